/* otlp_value.h - the attribute values of OTLP as text.
 *
 * Source: opentelemetry-proto v1 common/v1 (AnyValue, KeyValue); the text forms are those of the
 * OpenTelemetry specification, "Attribute type mapping to non-OTLP formats": a string as it is, numbers and
 * booleans in JSON's form, bytes in base64, arrays and maps as JSON. Nested values are walked with a stack of
 * OTLP_VALUE_DEPTH levels, never recursively; what is deeper is refused. Text that is not UTF-8 is made so
 * with U+FFFD (backends drop what is not, without a word). Pure functions, any thread.
 */
#ifndef GATEWAY_OTLP_VALUE_H
#define GATEWAY_OTLP_VALUE_H

#include "base/buf.h"
#include "base/pb.h"

enum { OTLP_VALUE_DEPTH = 32 };

enum otlp_value_kind { /* field numbers of AnyValue */
                       OTLP_VALUE_NONE = 0,
                       OTLP_VALUE_STRING = 1,
                       OTLP_VALUE_BOOL = 2,
                       OTLP_VALUE_INT = 3,
                       OTLP_VALUE_DOUBLE = 4,
                       OTLP_VALUE_ARRAY = 5,
                       OTLP_VALUE_MAP = 6,
                       OTLP_VALUE_BYTES = 7,
};

/* otlp_value_read: what an AnyValue holds: the last of its fields that is known (bytes of a nested one are
 * borrowed). 0, -EBADMSG. */
int otlp_value_read(struct bytes any, enum otlp_value_kind *ret_kind, struct pb_field *ret_field);

/* otlp_value_put_text: appends the value as text. 0, -EBADMSG, -E2BIG (nested deeper than OTLP_VALUE_DEPTH),
 * errors of buf_reserve; on failure out is as it was. */
int otlp_value_put_text(struct bytes any, struct buf *out);

/* otlp_value_read_pair: key and AnyValue of a KeyValue, both borrowed; absent ones are empty. 0, -EBADMSG. */
int otlp_value_read_pair(struct bytes pair, struct bytes *ret_key, struct bytes *ret_any);

#endif
