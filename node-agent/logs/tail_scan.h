/* tail_scan.h - reads one file of a log from its position on, block by block, and finds its lines.
 *
 * A line that is larger than the block is cut to its begin; what stands behind the last newline is a line
 * once nothing more can come; NULs before a line are a hole that a truncation under a writer's offset left,
 * and are passed over. A file that was truncated or written anew is begun again. Loop thread only.
 */
#ifndef NODE_AGENT_TAIL_SCAN_H
#define NODE_AGENT_TAIL_SCAN_H

#include "node-agent/logs/tail_read.h"

/* tail_scan_file: takes the file's lines (tail_line.h) until its end or until the budget, which shrinks, is
 * used up. 0 with the result (an error of the file is kept in it and counted), or -ENOMEM. */
int tail_scan_file(struct tail_reader *reader, struct tail_log *log, struct tail_file *file, uint64_t *budget,
                   enum tail_result *ret_result);

/* tail_scan_fill: reads up to len bytes at the offset into the reader's block. How many, or a negative
 * errno. */
ssize_t tail_scan_fill(struct tail_reader *reader, struct tail_file *file, uint64_t offset, size_t len);

/* tail_scan_nuls: how many NULs stand from begin on, before end. */
size_t tail_scan_nuls(const uint8_t *begin, const uint8_t *end);

/* tail_scan_is_finished: whether the file has not its live name any more and was not changed for wait_ns. */
bool tail_scan_is_finished(const struct tail_reader *reader, const struct tail_file *file, int64_t wait_ns);

#endif
