/* offsets_file.h - the offsets on disk: one small text file, replaced as a whole.
 *
 *   tributary-offsets 1
 *   buffer ID
 *   file COMMITTED DELIVERED COMMITTED_LINES DELIVERED_LINES KEY
 *   crc32c HEX            of everything before this line
 *
 * A file of a newer version, or a damaged one, is moved aside, never overwritten and never half-read.
 */
#ifndef NODE_AGENT_OFFSETS_FILE_H
#define NODE_AGENT_OFFSETS_FILE_H

#include "base/buf.h"
#include "node-agent/logs/offsets.h"

enum { OFFSETS_FILE_VERSION = 1, OFFSETS_FILE_MAX = 16 << 20 };

/* offsets_file_write: appends the file's text. Errors as buf_append. Loop thread. */
int offsets_file_write(struct offsets *offsets, struct buf *out);

/* offsets_file_parse: fills empty offsets from the text. 0, -EPROTONOSUPPORT (a newer version), -EBADMSG
 * (damaged), -ENOMEM; on an error the offsets may hold a part. */
int offsets_file_parse(struct bytes text, struct offsets *offsets);

/* offsets_file_load: reads path into new offsets; without a file they are empty. When the file is newer or
 * damaged it is renamed to path.aside and *ret_aside says why (-EPROTONOSUPPORT, -EBADMSG; else 0). 0 or a
 * negative errno. */
int offsets_file_load(const char *path, struct offsets **ret_offsets, int *ret_aside);

/* offsets_file_replace: writes text to PATH + suffix, syncs it, renames it over path. Blocks; any thread, two
 * at a time only with different suffixes. 0 or a negative errno. */
int offsets_file_replace(const char *path, const char *suffix, struct bytes text);

#endif
