/* payload.h - the payloads of rows, as requests need them: appended to a joined body as they are, or raw.
 *
 * Raw means what the backend takes: a row that is translated for it (translate.h) shows its translation.
 *
 * One thread; the raw bytes of the row asked for last are kept.
 */
#ifndef GATEWAY_PAYLOAD_H
#define GATEWAY_PAYLOAD_H

#include "base/buffer/buffer.h"
#include "gateway/fanout/join.h"
#include "gateway/translate/translate.h"

enum { PAYLOAD_MAX_RAW = 256 << 20 };

struct payload {
    struct buffer_reader *reader; /* borrowed */
    struct translate *translate;  /* borrowed; NULL: nothing is translated */
    struct buf block, raw;
    int64_t row_id; /* whose raw bytes there are; 0: none */
};

void payload_init(struct payload *payload, struct buffer_reader *reader, struct translate *translate);
void payload_fini(struct payload *payload);

/* payload_join: appends the row to join. 0; -ENOENT: the row is gone; -EBADMSG: it is damaged; -ENOMEM, -EIO.
 */
int payload_join(struct payload *payload, const struct buffer_row *row, struct join *join);

/* payload_raw: the row uncompressed, borrowed until the next call. Errors as payload_join; -EPROTO: what the
 * agent sealed is no snappy block, or cannot be translated. */
int payload_raw(struct payload *payload, const struct buffer_row *row, struct bytes *ret_raw);

/* payload_is_translated: whether payload_raw shows something else than what the row holds. */
bool payload_is_translated(const struct payload *payload, const struct buffer_row *row);

/* payload_format: of the bytes that payload_raw shows. */
enum batch_format payload_format(const struct payload *payload, const struct buffer_row *row);

/* payload_source: of a translated row whose payload_raw was the last call: what it holds. */
struct bytes payload_source(const struct payload *payload);

/* payload_release: gives the memory back. */
void payload_release(struct payload *payload);

#endif
