/* otlp_json.h - an OTLP request in JSON as the same request in protobuf.
 *
 * Source: https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding: names in lowerCamelCase, trace
 * and span ids in hex, 64-bit integers as number or string, enums as integers, bytes in base64; unknown names
 * are ignored. Reads the text once, writes as it goes, keeps OTLP_JSON_DEPTH levels and no tree. Pure
 * function, any thread.
 */
#ifndef BASE_OTLP_JSON_H
#define BASE_OTLP_JSON_H

#include "base/batch.h"
#include "base/buf.h"

/* Objects and arrays inside each other. */
enum { OTLP_JSON_DEPTH = 200 };

/* otlp_json_transcode: appends the request in protobuf to out. 0; -EBADMSG: not such a request, or deeper
 * than OTLP_JSON_DEPTH; -EMSGSIZE past out's limit; -ENOMEM. On failure out holds what was written so far. */
int otlp_json_transcode(struct bytes json, enum telemetry signal, struct buf *out);

#endif
