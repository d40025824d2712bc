/* tail_key.h - the text by which a log file is known again, here and at the gateway.
 *
 * NAMESPACE_POD_UID/CONTAINER/RESTART:DEVICE:INODE:LEN:CRC, where CRC is the crc32c of the file's first LEN
 * bytes (tail_head.h), in hexadecimal like device and inode; behind it "#stdout" etc. where it is of one
 * stream's own end. Names are escaped (%XX); a prefix that is too long is shortened to a hash.
 */
#ifndef NODE_AGENT_TAIL_KEY_H
#define NODE_AGENT_TAIL_KEY_H

#include "base/batch.h"
#include "node-agent/logs/tail_head.h"

enum { TAIL_KEY_LEN = BATCH_MAX_FILE };

/* A key taken apart. */
struct tail_key {
    struct bytes prefix; /* borrowed from the key */
    uint64_t device, inode;
    uint32_t head_len, head_crc;
    int stream; /* enum cri_stream of a stream's own end, or -1 */
};

/* tail_key_prefix: what the keys of a stream's files begin with, before the first colon. stream: what its
 * path tells, as in the head comment; not escaped. */
void tail_key_prefix(const char *stream, char ret_prefix[TAIL_KEY_LEN]);

/* tail_key_write: the key of a file of the stream; numbers' prefix and stream are not looked at. */
void tail_key_write(const char *stream, const struct tail_key *numbers, char ret_key[TAIL_KEY_LEN]);

/* tail_key_parse: 0 or -EINVAL. */
int tail_key_parse(const char *key, struct tail_key *ret_key);

#endif
