#include "base/buffer/buffer_recent.h"

#include <errno.h>

void buffer_recent_init(struct buffer_recent *recent)
{
    *recent = (struct buffer_recent){0};
    pthread_mutex_init(&recent->lock, NULL);
}

void buffer_recent_fini(struct buffer_recent *recent)
{
    buffer_recent_clear(recent);
    pthread_mutex_destroy(&recent->lock);
}

static void drop(struct buffer_recent *recent, struct buffer_recent_payload *payload)
{
    recent->bytes -= payload->bytes.len;
    payload->release(payload->owner);
    *payload = (struct buffer_recent_payload){0};
}

/* The oldest that nobody copies; NULL when there is none. */
static struct buffer_recent_payload *oldest_of(struct buffer_recent *recent)
{
    struct buffer_recent_payload *oldest = NULL;
    for (size_t i = 0; i < BUFFER_RECENT_COUNT; i++) {
        struct buffer_recent_payload *payload = &recent->payloads[i];
        if (payload->row_id && !payload->pins && (!oldest || payload->row_id < oldest->row_id))
            oldest = payload;
    }
    return oldest;
}

static struct buffer_recent_payload *find(struct buffer_recent *recent, int64_t row_id)
{
    for (size_t i = 0; i < BUFFER_RECENT_COUNT; i++)
        if (recent->payloads[i].row_id == row_id)
            return &recent->payloads[i];
    return NULL;
}

/* A free place with room for len bytes; NULL when all is being copied. */
static struct buffer_recent_payload *make_room(struct buffer_recent *recent, size_t len)
{
    struct buffer_recent_payload *place, *oldest;
    while (!(place = find(recent, 0)) || recent->bytes + len > BUFFER_RECENT_BYTES) {
        if (!(oldest = oldest_of(recent)))
            return NULL;
        drop(recent, oldest);
    }
    return place;
}

void buffer_recent_keep(struct buffer_recent *recent, int64_t row_id, struct batch *batch)
{
    size_t len = batch->payload.len;
    if (!batch->payload_release || len > BUFFER_RECENT_BYTES / 2)
        return;
    pthread_mutex_lock(&recent->lock);
    struct buffer_recent_payload *place = make_room(recent, len);
    if (place) {
        *place = (struct buffer_recent_payload){.row_id = row_id,
                                                .bytes = batch->payload,
                                                .owner = batch->payload_owner,
                                                .release = batch->payload_release};
        recent->bytes += len;
        batch->payload = (struct bytes){NULL, len};
        batch->payload_owner = NULL;
        batch->payload_release = NULL;
    }
    pthread_mutex_unlock(&recent->lock);
}

int buffer_recent_copy(struct buffer_recent *recent, int64_t row_id, struct buf *out)
{
    pthread_mutex_lock(&recent->lock);
    struct buffer_recent_payload *payload = find(recent, row_id);
    if (payload)
        payload->pins++;
    pthread_mutex_unlock(&recent->lock);
    if (!payload)
        return -ENOENT;
    int err = buf_append(out, payload->bytes.ptr, payload->bytes.len);
    pthread_mutex_lock(&recent->lock);
    payload->pins--;
    pthread_mutex_unlock(&recent->lock);
    return err;
}

void buffer_recent_clear(struct buffer_recent *recent)
{
    struct buffer_recent_payload *oldest;
    pthread_mutex_lock(&recent->lock);
    while ((oldest = oldest_of(recent)))
        drop(recent, oldest);
    pthread_mutex_unlock(&recent->lock);
}
