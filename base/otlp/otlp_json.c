#include "base/otlp/otlp_json.h"

#include <errno.h>

#include "base/json_read.h"
#include "base/otlp/otlp_schema.h"
#include "base/pb.h"

enum { TRACE_ID_BYTES = 16, SPAN_ID_BYTES = 8 };

/* An object or array that is open. */
struct level {
    const struct otlp_field *field; /* what an array's elements are; NULL: what is here is not known */
    size_t mark;                    /* of pb_begin, when is_marked */
    uint8_t message;                /* of an object */
    bool is_array, is_marked, is_started;
};

struct transcoder {
    struct bytes rest;
    struct buf *out, text; /* text: owned; of the string under way */
    struct level levels[OTLP_JSON_DEPTH];
    size_t depth;
};

/* Scalars: text as it stands, a number's or a string's */

static int hex_value(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int put_id(struct buf *out, uint32_t number, struct bytes text, size_t bytes)
{
    uint8_t id[TRACE_ID_BYTES];
    if (text.len == 0)
        return 0;
    if (text.len != 2 * bytes)
        return -EBADMSG;
    for (size_t i = 0; i < bytes; i++) {
        int high = hex_value(text.ptr[2 * i]), low = hex_value(text.ptr[2 * i + 1]);
        if (high < 0 || low < 0)
            return -EBADMSG;
        id[i] = (uint8_t)(high << 4 | low);
    }
    return pb_put_bytes(out, number, (struct bytes){id, bytes});
}

static int base64_value(uint8_t c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    if (c == '+' || c == '-')
        return 62;
    return c == '/' || c == '_' ? 63 : -1;
}

/* Standard or URL alphabet, with or without padding, as protobuf's JSON has it. */
static int put_base64(struct buf *out, uint32_t number, struct bytes text)
{
    size_t mark;
    uint32_t bits = 0;
    int err = pb_begin(out, number, &mark), held = 0;
    for (int i = 0; i < 2 && text.len && text.ptr[text.len - 1] == '='; i++)
        text.len--;
    if (err == 0)
        err = text.len % 4 == 1 ? -EBADMSG : buf_reserve(out, text.len);
    for (size_t i = 0; i < text.len && err == 0; i++) {
        int value = base64_value(text.ptr[i]);
        if (value < 0)
            return -EBADMSG;
        bits = bits << 6 | (uint32_t)value;
        held += 6;
        if (held >= 8) {
            held -= 8;
            out->ptr[out->len++] = (uint8_t)(bits >> held);
        }
    }
    if (err == 0)
        pb_end(out, mark);
    return err;
}

/* How a number is written: as its wire type has it, with its tag, or without one in a packed field. */
static int put_wire(struct buf *out, const struct otlp_field *field, enum pb_type type, uint64_t value)
{
    int err = buf_reserve(out, PB_MAX_TAG + PB_MAX_VARINT);
    if (err < 0)
        return err;
    uint8_t *p = out->ptr + out->len;
    if (!field->is_repeated)
        p = pb_write_tag(p, field->number, type);
    if (type == PB_VARINT) {
        p = pb_write_varint(p, value);
    } else {
        size_t len = type == PB_FIXED64 ? 8 : 4;
        memcpy(p, &value, len); /* the machines served are little-endian, as the wire is */
        p += len;
    }
    out->len = (size_t)(p - out->ptr);
    return 0;
}

static int put_int32(struct buf *out, const struct otlp_field *field, struct bytes text)
{
    uint64_t bits;
    if (json_read_int(text, true, &bits) < 0)
        return -EBADMSG;
    int64_t value = (int64_t)bits;
    if (field->type == OTLP_SINT32 || field->type == OTLP_ENUM) {
        if (value < INT32_MIN || value > INT32_MAX)
            return -EBADMSG;
        bool is_zigzag = field->type == OTLP_SINT32;
        return put_wire(out, field, PB_VARINT,
                        is_zigzag ? (uint32_t)value << 1 ^ (uint32_t)(value >> 63) : bits);
    }
    if (value < 0 || value > UINT32_MAX)
        return -EBADMSG;
    return put_wire(out, field, field->type == OTLP_FIXED32 ? PB_FIXED32 : PB_VARINT, bits);
}

static int put_int64(struct buf *out, const struct otlp_field *field, struct bytes text)
{
    bool is_signed = field->type == OTLP_INT64 || field->type == OTLP_SFIXED64;
    bool is_varint = field->type == OTLP_INT64 || field->type == OTLP_UINT64;
    uint64_t value;
    if (json_read_int(text, is_signed, &value) < 0)
        return -EBADMSG;
    return put_wire(out, field, is_varint ? PB_VARINT : PB_FIXED64, value);
}

static int put_double(struct buf *out, const struct otlp_field *field, struct bytes text)
{
    double value;
    uint64_t bits;
    if (json_read_double(text, &value) < 0)
        return -EBADMSG;
    memcpy(&bits, &value, sizeof bits);
    return put_wire(out, field, PB_FIXED64, bits);
}

static int put_number(struct buf *out, const struct otlp_field *field, struct bytes text, bool is_quoted)
{
    switch ((enum otlp_type)field->type) {
    case OTLP_ENUM: /* never a string */
        return is_quoted ? -EBADMSG : put_int32(out, field, text);
    case OTLP_UINT32:
    case OTLP_SINT32:
    case OTLP_FIXED32:
        return put_int32(out, field, text);
    case OTLP_INT64:
    case OTLP_UINT64:
    case OTLP_FIXED64:
    case OTLP_SFIXED64:
        return put_int64(out, field, text);
    case OTLP_DOUBLE:
        return put_double(out, field, text);
    case OTLP_STRING:
    case OTLP_BYTES:
    case OTLP_TRACE_ID:
    case OTLP_SPAN_ID:
    case OTLP_BOOL:
    case OTLP_MESSAGE:
        break;
    }
    return -EBADMSG;
}

static int put_text(struct buf *out, const struct otlp_field *field, struct bytes text)
{
    switch ((enum otlp_type)field->type) {
    case OTLP_STRING:
        return pb_put_bytes(out, field->number, text);
    case OTLP_BYTES:
        return put_base64(out, field->number, text);
    case OTLP_TRACE_ID:
        return put_id(out, field->number, text, TRACE_ID_BYTES);
    case OTLP_SPAN_ID:
        return put_id(out, field->number, text, SPAN_ID_BYTES);
    case OTLP_BOOL:
    case OTLP_ENUM:
    case OTLP_UINT32:
    case OTLP_SINT32:
    case OTLP_INT64:
    case OTLP_UINT64:
    case OTLP_FIXED32:
    case OTLP_FIXED64:
    case OTLP_SFIXED64:
    case OTLP_DOUBLE:
    case OTLP_MESSAGE:
        break;
    }
    return put_number(out, field, text, true);
}

static int take_bool(struct transcoder *t, const struct otlp_field *field)
{
    bool is_true = json_read_word(&t->rest, "true");
    if (!is_true && !json_read_word(&t->rest, "false"))
        return -EBADMSG;
    if (!field)
        return 0;
    return field->type == OTLP_BOOL ? put_wire(t->out, field, PB_VARINT, is_true) : -EBADMSG;
}

static int take_string(struct transcoder *t, const struct otlp_field *field)
{
    struct bytes text;
    int err = json_read_string(&t->rest, &t->text, &text);
    return err < 0 || !field ? err : put_text(t->out, field, text);
}

static int take_number(struct transcoder *t, const struct otlp_field *field)
{
    struct bytes text;
    int err = json_read_number(&t->rest, &text);
    return err < 0 || !field ? err : put_number(t->out, field, text, false);
}

/* Levels */

static struct level *top(struct transcoder *t)
{
    return &t->levels[t->depth - 1];
}

static int open_level(struct transcoder *t, struct level level)
{
    if (t->depth == OTLP_JSON_DEPTH)
        return -EBADMSG;
    t->levels[t->depth++] = level;
    t->rest = bytes_skip(t->rest, 1); /* its bracket */
    return 0;
}

static int open_object(struct transcoder *t, const struct otlp_field *field)
{
    struct level level = {0};
    if (field && field->type != OTLP_MESSAGE)
        return -EBADMSG;
    if (field) {
        int err = pb_begin(t->out, field->number, &level.mark);
        if (err < 0)
            return err;
        level.is_marked = true;
        level.message = field->message;
    }
    return open_level(t, level);
}

static bool is_packed(const struct otlp_field *field)
{
    return field->type != OTLP_MESSAGE && field->type != OTLP_STRING;
}

static int open_array(struct transcoder *t, const struct otlp_field *field)
{
    struct level level = {.field = field, .is_array = true};
    if (field && (!field->is_repeated || top(t)->is_array))
        return -EBADMSG;
    if (field && is_packed(field)) {
        int err = pb_begin(t->out, field->number, &level.mark);
        if (err < 0)
            return err;
        level.is_marked = true;
    }
    return open_level(t, level);
}

static void close_level(struct transcoder *t)
{
    const struct level *level = top(t);
    if (level->is_marked)
        pb_end(t->out, level->mark);
    t->rest = bytes_skip(t->rest, 1);
    t->depth--;
}

/* A value; field NULL: whatever it is, it is not known and left out. */
static int take_value(struct transcoder *t, const struct otlp_field *field)
{
    uint8_t c = json_read_peek(&t->rest);
    if (c == '[')
        return open_array(t, field);
    if (c == 'n' && !(field && top(t)->is_array)) /* null: as if it were not there */
        return json_read_word(&t->rest, "null") ? 0 : -EBADMSG;
    if (field && field->is_repeated && !top(t)->is_array)
        return -EBADMSG;
    if (c == '{')
        return open_object(t, field);
    if (c == '"')
        return take_string(t, field);
    return c == 't' || c == 'f' ? take_bool(t, field) : take_number(t, field);
}

static int take_member(struct transcoder *t, const struct level *level)
{
    struct bytes name;
    int err = json_read_string(&t->rest, &t->text, &name);
    if (err < 0)
        return err;
    const struct otlp_field *field = otlp_schema_named((enum otlp_message)level->message, name);
    err = json_read_take(&t->rest, ':');
    return err < 0 ? err : take_value(t, field);
}

/* What comes next in the innermost level: its end, or one more member or element. */
static int step(struct transcoder *t)
{
    struct level *level = top(t);
    uint8_t c = json_read_peek(&t->rest);
    if (c == (level->is_array ? ']' : '}')) {
        close_level(t);
        return 0;
    }
    if (level->is_started && json_read_take(&t->rest, ',') < 0)
        return -EBADMSG;
    level->is_started = true;
    return level->is_array ? take_value(t, level->field) : take_member(t, level);
}

int otlp_json_transcode(struct bytes json, enum telemetry signal, struct buf *out)
{
    struct transcoder t = {.rest = json, .out = out};
    int err = 0;
    if (json_read_peek(&t.rest) != '{')
        return -EBADMSG;
    buf_init(&t.text, json.len);
    open_level(&t, (struct level){.message = (uint8_t)otlp_schema_request(signal)});
    while (err == 0 && t.depth)
        err = step(&t);
    buf_fini(&t.text);
    if (err == 0 && (json_read_peek(&t.rest) || t.rest.len))
        return -EBADMSG;
    return err;
}
