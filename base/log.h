/* log.h - the programs' log: logfmt lines on standard error. Programs log; the pure parts of base/ never do.
 *
 * A line: ts=2026-11-22T18:00:00.123Z level=warn msg="..." key=value ... Any thread; one write(2) a line.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARN, LOG_LEVEL_ERROR };

/* log_set_level: lines below it are not written; the default is LOG_LEVEL_INFO. */
void log_set_level(enum log_level level);

/* log_line: msg is a constant sentence, fields a printf format of further logfmt pairs ("peer=%s rows=%d") or
 * NULL. Values that may hold blanks or quotes are quoted by the caller with log_quote. At most 4 KiB a line;
 * longer ones are cut and end in "...". */
void log_line(enum log_level level, const char *msg, const char *fields, ...)
    __attribute__((format(printf, 3, 4)));

#define log_debug(...) log_line(LOG_LEVEL_DEBUG, __VA_ARGS__)
#define log_info(...) log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_warn(...) log_line(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_error(...) log_line(LOG_LEVEL_ERROR, __VA_ARGS__)

/* log_quote: value as a logfmt value, quoted and escaped where needed, in the caller's storage (cut to fit,
 * always terminated); returns storage. */
const char *log_quote(const char *value, char *storage, unsigned size);

/* A place that would repeat itself: at most one line each period_s, the next one telling how many were held
 * back. Static storage, zeroed. Usage: if (log_limit_pass(&limit, 10, &held)) log_warn(..., "held_back=%u",
 * held) */
struct log_limit {
    int64_t next_ns;
    unsigned held_back;
};
bool log_limit_pass(struct log_limit *limit, int period_s, unsigned *ret_held_back);

#endif
