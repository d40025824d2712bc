/* gunzip.h - reads a gzip file at offsets of its uncompressed bytes, by streaming, forwards.
 *
 * Source: RFC 1952. The kubelet writes one member below 4 GiB; several are read as one run of bytes, zeros
 * behind the last one are padding. Keeps what was unpacked from the last offset asked for on; asking for an
 * earlier one begins again at the file's start. Takes about 64 KiB and the largest length asked for. Reads
 * the descriptor by pread only. One thread.
 */
#ifndef NODE_AGENT_GUNZIP_H
#define NODE_AGENT_GUNZIP_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/buf.h"

struct gunzip;

/* gunzip_new: fd is borrowed; most is the largest length that will be asked for. 0 or -ENOMEM. */
int gunzip_new(int fd, size_t most, struct gunzip **ret_gunzip);
void gunzip_free(struct gunzip *gunzip); /* NULL is fine */

/* gunzip_read: up to len bytes at the offset into to. How many (less only at the end, or where the file is
 * damaged or cut short), or a negative errno. */
ssize_t gunzip_read(struct gunzip *gunzip, void *to, size_t len, uint64_t offset);

/* gunzip_extent: how many bytes the file surely unpacks to: more than were read last, unless those were the
 * last ones. */
uint64_t gunzip_extent(struct gunzip *gunzip);

/* gunzip_is_damaged: whether less came out than the file held. */
bool gunzip_is_damaged(const struct gunzip *gunzip);

/* gunzip_size: the uncompressed size as the file's last bytes tell it: that of its last member. 0, -EBADMSG
 * (no gzip file) or another negative errno. */
int gunzip_size(int fd, uint64_t *ret_size);

#endif
