/* tail_line.h - one line on its way from a file into the push: parse, join, repair, cut, check, send.
 *
 * Split from tail_read.h, which does the reading. Loop thread only.
 */
#ifndef NODE_AGENT_TAIL_LINE_H
#define NODE_AGENT_TAIL_LINE_H

#include "node-agent/logs/tail_read.h"

/* tail_line_parse: takes the line apart as the file's format has it. 0, -EBADMSG (not in it), -ENOMEM. */
int tail_line_parse(struct tail_reader *reader, struct tail_file *file, struct bytes line,
                    struct cri_line *ret_line);

/* tail_line_take: the line (without its newline) that stands at offset of file. While the reader is
 * recalling, and before a stream's skip, a line takes the same way but is remembered and not sent. 0 (it was
 * sent, kept as a part, or dropped and counted), -EMSGSIZE (no room: nothing happened), -ENOMEM. */
int tail_line_take(struct tail_reader *reader, struct tail_log *log, struct tail_file *file, uint64_t offset,
                   struct bytes line);

/* tail_line_flush: sends the stream's open line as it is, and its open record; no more of them will come.
 * last: the log's newest file. Errors as tail_line_take. */
int tail_line_flush(struct tail_reader *reader, struct tail_log *log, struct tail_file *last, int stream);

/* tail_line_settle: the push's buffers are about to go; what was remembered in them is kept as a hash. */
void tail_line_settle(struct tail_reader *reader, struct tail_log *log);

#endif
