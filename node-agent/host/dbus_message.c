#include "node-agent/host/dbus_message.h"

#include <errno.h>
#include <stdbool.h>

enum { REPLY_SERIAL = 5 };

static bool align(struct dbus_reader *r, size_t step, size_t needed)
{
    size_t at = (r->at + step - 1) / step * step;
    if (r->failed || at > r->len || r->len - at < needed) {
        r->failed = true;
        return false;
    }
    r->at = at;
    return true;
}

uint32_t dbus_read_u32(struct dbus_reader *r)
{
    if (!align(r, 4, 4))
        return 0;
    const uint8_t *p = r->begin + r->at;
    r->at += 4;
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

uint64_t dbus_read_u64(struct dbus_reader *r)
{
    if (!align(r, 8, 8))
        return 0;
    uint64_t low = dbus_read_u32(r);
    return low | (uint64_t)dbus_read_u32(r) << 32;
}

static const char *take_text(struct dbus_reader *r, size_t len)
{
    if (r->failed || len >= r->len - r->at || r->begin[r->at + len] != '\0') {
        r->failed = true;
        return "";
    }
    const char *text = (const char *)r->begin + r->at;
    r->at += len + 1;
    return text;
}

const char *dbus_read_string(struct dbus_reader *r)
{
    uint32_t len = dbus_read_u32(r);
    return take_text(r, len);
}

const char *dbus_read_signature(struct dbus_reader *r)
{
    size_t len = align(r, 1, 1) ? r->begin[r->at++] : 0;
    return take_text(r, len);
}

size_t dbus_read_array(struct dbus_reader *r)
{
    size_t len = dbus_read_u32(r);
    if (!align(r, 8, 0) || len > r->len - r->at) {
        r->failed = true;
        return r->at;
    }
    return r->at + len;
}

bool dbus_read_struct(struct dbus_reader *r, size_t end)
{
    return r->at < end && align(r, 8, 1);
}

/* The serial of the request that a message answers; 0 for none. */
static uint32_t read_reply_serial(struct bytes fields)
{
    struct dbus_reader r = {.begin = fields.ptr, .len = fields.len};
    uint32_t serial = 0;
    while (!r.failed && r.at < r.len && align(&r, 8, 1)) {
        uint8_t code = r.begin[r.at++];
        const char *signature = dbus_read_signature(&r);
        if (strcmp(signature, "u") == 0) {
            uint32_t value = dbus_read_u32(&r);
            serial = code == REPLY_SERIAL ? value : serial;
        } else if (strcmp(signature, "s") == 0 || strcmp(signature, "o") == 0) {
            dbus_read_string(&r);
        } else if (strcmp(signature, "g") == 0) {
            dbus_read_signature(&r);
        } else {
            return 0;
        }
    }
    return serial;
}

static int lengths_of(const uint8_t *fixed, size_t *ret_fields, size_t *ret_body)
{
    if (fixed[0] != 'l')
        return -EBADMSG;
    struct dbus_reader r = {.begin = fixed, .len = DBUS_FIXED_BYTES, .at = 4};
    size_t body = dbus_read_u32(&r);
    dbus_read_u32(&r);
    size_t fields = dbus_read_u32(&r);
    if (body > DBUS_MESSAGE_BYTES / 2 || fields > DBUS_MESSAGE_BYTES / 4)
        return -EMSGSIZE;
    *ret_fields = fields;
    *ret_body = body;
    return 0;
}

int dbus_message_rest(const uint8_t *fixed, size_t *ret_len)
{
    size_t fields, body;
    int err = lengths_of(fixed, &fields, &body);
    if (err == 0)
        *ret_len = (fields + 7) / 8 * 8 + body;
    return err;
}

int dbus_message_parse(struct bytes message, struct dbus_message *ret_message)
{
    size_t fields, body;
    if (message.len < DBUS_FIXED_BYTES)
        return -EBADMSG;
    int err = lengths_of(message.ptr, &fields, &body);
    if (err < 0)
        return err;
    if (message.len != DBUS_FIXED_BYTES + (fields + 7) / 8 * 8 + body)
        return -EBADMSG;
    *ret_message = (struct dbus_message){
        .type = message.ptr[1],
        .answers = read_reply_serial((struct bytes){message.ptr + DBUS_FIXED_BYTES, fields}),
        .body = {.begin = message.ptr + message.len - body, .len = body},
    };
    return 0;
}
