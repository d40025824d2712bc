/* record_print.h - a record as a line of text: for people, or as a JSON object. Pure, any thread.
 *
 * For people: control bytes are written as \xNN, so that a log line cannot drive the terminal that shows it.
 * JSON (RFC 8259): invalid UTF-8 becomes U+FFFD; values that are no JSON number are the strings "NaN",
 * "+Inf", "-Inf". Times are RFC 3339 in UTC with nine digits.
 *
 *   {"time":"...","labels":{...},"value":1.5}                     sample; a histogram has "count" and "sum"
 *   {"time":"...","labels":{...},"line":"..."}                    line
 *   {"time":"...","trace_id":"<hex>","span_id":"<hex>","parent_span_id":"<hex>","name":"...","duration_ns":1,
 *    "status":"ok","resource":{...},"attributes":{...}}           span
 */
#ifndef GATEWAY_RECORD_PRINT_H
#define GATEWAY_RECORD_PRINT_H

#include "base/buf.h"
#include "gateway/fanout/records.h"

/* record_print_human, record_print_json: append one line with its newline. 0 or the error of buf_reserve. */
int record_print_human(const struct record *record, struct buf *out);
int record_print_json(const struct record *record, struct buf *out);

enum { RECORD_PRINT_TIME = 40, RECORD_PRINT_WORDS = 1025 };

/* record_print_time: "2026-11-22T18:00:00.123456789Z". */
void record_print_time(int64_t time_ns, char storage[RECORD_PRINT_TIME]);

/* record_print_words: a backend's words, which may hold line ends, on one line; returns storage. */
const char *record_print_words(const char *words, char storage[RECORD_PRINT_WORDS]);

#endif
