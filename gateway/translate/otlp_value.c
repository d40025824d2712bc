#include "gateway/translate/otlp_value.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>

#include "base/utf8.h"
#include "gateway/translate/number_text.h"

enum { LIST_VALUES = 1, PAIR_KEY = 1, PAIR_VALUE = 2 };

int otlp_value_read(struct bytes any, enum otlp_value_kind *ret_kind, struct pb_field *ret_field)
{
    static const enum pb_type types[] = {
        [OTLP_VALUE_STRING] = PB_LEN, [OTLP_VALUE_BOOL] = PB_VARINT,    [OTLP_VALUE_INT] = PB_VARINT,
        [OTLP_VALUE_ARRAY] = PB_LEN,  [OTLP_VALUE_DOUBLE] = PB_FIXED64, [OTLP_VALUE_MAP] = PB_LEN,
        [OTLP_VALUE_BYTES] = PB_LEN};
    enum otlp_value_kind kind = OTLP_VALUE_NONE;
    struct pb_field field, found = {0};
    int more;
    while ((more = pb_next(&any, &field)) == 1) {
        if (field.number < OTLP_VALUE_STRING || field.number > OTLP_VALUE_BYTES)
            continue;
        if (field.type != types[field.number])
            return -EBADMSG;
        kind = (enum otlp_value_kind)field.number;
        found = field;
    }
    if (more < 0)
        return more;
    *ret_kind = kind;
    *ret_field = found;
    return 0;
}

int otlp_value_read_pair(struct bytes pair, struct bytes *ret_key, struct bytes *ret_any)
{
    struct bytes key = {0}, any = {0};
    struct pb_field field;
    int more;
    while ((more = pb_next(&pair, &field)) == 1) {
        if (field.type == PB_LEN && field.number == PAIR_KEY)
            key = field.bytes;
        else if (field.type == PB_LEN && field.number == PAIR_VALUE)
            any = field.bytes;
    }
    if (more < 0)
        return more;
    *ret_key = key;
    *ret_any = any;
    return 0;
}

/* ---- scalars */

static int put_double(uint64_t bits, bool in_json, struct buf *out)
{
    char text[NUMBER_TEXT];
    double value;
    memcpy(&value, &bits, sizeof value);
    number_text(value, NUMBER_JSON, text);
    bool is_quoted = in_json && !isfinite(value); /* JSON has no such numbers */
    return buf_printf(out, is_quoted ? "\"%s\"" : "%s", text);
}

static int put_base64(struct bytes bytes, struct buf *out)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    int err = buf_reserve(out, (bytes.len + 2) / 3 * 4);
    if (err < 0)
        return err;
    uint8_t *p = out->ptr + out->len;
    for (size_t i = 0; i < bytes.len; i += 3) {
        size_t left = bytes.len - i;
        uint32_t three = (uint32_t)bytes.ptr[i] << 16 | (left > 1 ? (uint32_t)bytes.ptr[i + 1] << 8 : 0) |
                         (left > 2 ? bytes.ptr[i + 2] : 0);
        *p++ = (uint8_t)digits[three >> 18];
        *p++ = (uint8_t)digits[three >> 12 & 63];
        *p++ = left > 1 ? (uint8_t)digits[three >> 6 & 63] : '=';
        *p++ = left > 2 ? (uint8_t)digits[three & 63] : '=';
    }
    out->len = (size_t)(p - out->ptr);
    return 0;
}

static int put_escaped(uint8_t c, struct buf *out)
{
    switch (c) {
    case '"':
        return buf_append_string(out, "\\\"");
    case '\\':
        return buf_append_string(out, "\\\\");
    case '\n':
        return buf_append_string(out, "\\n");
    case '\r':
        return buf_append_string(out, "\\r");
    case '\t':
        return buf_append_string(out, "\\t");
    default:
        return buf_printf(out, "\\u%04x", c);
    }
}

static int put_json_string(struct bytes text, struct buf *out)
{
    size_t from = 0;
    int err = buf_append_string(out, "\"");
    for (size_t i = 0; i <= text.len && err == 0; i++) {
        bool is_plain = i < text.len && text.ptr[i] >= 0x20 && text.ptr[i] != '"' && text.ptr[i] != '\\';
        if (is_plain)
            continue;
        if (i > from)
            err = utf8_put_valid((struct bytes){text.ptr + from, i - from}, out);
        if (err == 0 && i < text.len)
            err = put_escaped(text.ptr[i], out);
        from = i + 1;
    }
    return err < 0 ? err : buf_append_string(out, "\"");
}

static int put_scalar(enum otlp_value_kind kind, const struct pb_field *field, bool in_json, struct buf *out)
{
    switch (kind) {
    case OTLP_VALUE_NONE:
        return in_json ? buf_append_string(out, "null") : 0;
    case OTLP_VALUE_STRING:
        return in_json ? put_json_string(field->bytes, out) : utf8_put_valid(field->bytes, out);
    case OTLP_VALUE_BOOL:
        return buf_append_string(out, field->value ? "true" : "false");
    case OTLP_VALUE_INT:
        return buf_printf(out, "%lld", (long long)field->value);
    case OTLP_VALUE_DOUBLE:
        return put_double(field->value, in_json, out);
    case OTLP_VALUE_BYTES: {
        int err = in_json ? buf_append_string(out, "\"") : 0;
        if (err == 0)
            err = put_base64(field->bytes, out);
        return err < 0 || !in_json ? err : buf_append_string(out, "\"");
    }
    case OTLP_VALUE_ARRAY:
    case OTLP_VALUE_MAP:
        break;
    }
    return -EINVAL;
}

/* ---- nested values */

struct level { /* an array or a map that is being written */
    struct bytes rest;
    bool is_map, has_some;
};

static int open_level(struct level *levels, size_t *depth, enum otlp_value_kind kind, struct bytes content,
                      struct buf *out)
{
    if (*depth == OTLP_VALUE_DEPTH)
        return -E2BIG;
    bool is_map = kind == OTLP_VALUE_MAP;
    levels[(*depth)++] = (struct level){content, is_map, false};
    return buf_append_string(out, is_map ? "{" : "[");
}

/* The next element of the level into *ret_any, with its comma and key written. 1, 0 at the end, errors. */
static int next_element(struct level *level, struct buf *out, struct bytes *ret_any)
{
    struct pb_field field;
    struct bytes key;
    int more;
    while ((more = pb_next(&level->rest, &field)) == 1) {
        if (field.number != LIST_VALUES || field.type != PB_LEN)
            continue;
        int err = level->has_some ? buf_append_string(out, ",") : 0;
        level->has_some = true;
        *ret_any = field.bytes;
        if (err == 0 && level->is_map && (err = otlp_value_read_pair(field.bytes, &key, ret_any)) == 0 &&
            (err = put_json_string(key, out)) == 0)
            err = buf_append_string(out, ":");
        return err < 0 ? err : 1;
    }
    return more;
}

static int put_nested(enum otlp_value_kind kind, struct bytes content, struct buf *out)
{
    struct level levels[OTLP_VALUE_DEPTH];
    struct pb_field field;
    struct bytes any;
    size_t depth = 0;
    int err = open_level(levels, &depth, kind, content, out);
    while (err == 0 && depth) {
        struct level *level = &levels[depth - 1];
        int more = next_element(level, out, &any);
        if (more < 0)
            return more;
        if (more == 0) {
            depth--;
            err = buf_append_string(out, level->is_map ? "}" : "]");
            continue;
        }
        err = otlp_value_read(any, &kind, &field);
        if (err == 0)
            err = kind == OTLP_VALUE_ARRAY || kind == OTLP_VALUE_MAP
                      ? open_level(levels, &depth, kind, field.bytes, out)
                      : put_scalar(kind, &field, true, out);
    }
    return err;
}

int otlp_value_put_text(struct bytes any, struct buf *out)
{
    enum otlp_value_kind kind;
    struct pb_field field;
    size_t before = out->len;
    int err = otlp_value_read(any, &kind, &field);
    if (err == 0)
        err = kind == OTLP_VALUE_ARRAY || kind == OTLP_VALUE_MAP ? put_nested(kind, field.bytes, out)
                                                                 : put_scalar(kind, &field, false, out);
    if (err < 0)
        out->len = before;
    return err;
}
