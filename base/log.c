#include "base/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

enum { LINE_MAX_BYTES = 4096 };

static _Atomic int lowest = LOG_LEVEL_INFO;
static const char *const level_names[] = {"debug", "info", "warn", "error"};

void log_set_level(enum log_level level)
{
    atomic_store(&lowest, (int)level);
}

static int write_head(char *line, size_t size, enum log_level level, const char *msg)
{
    int64_t now = clock_wall_ns();
    time_t seconds = (time_t)(now / 1000000000);
    struct tm tm;
    gmtime_r(&seconds, &tm);
    return snprintf(line, size, "ts=%04d-%02d-%02dT%02d:%02d:%02d.%03dZ level=%s msg=\"%s\"",
                    tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec,
                    (int)(now / 1000000 % 1000), level_names[level], msg);
}

void log_line(enum log_level level, const char *msg, const char *fields, ...)
{
    char line[LINE_MAX_BYTES];
    if ((int)level < atomic_load(&lowest))
        return;
    size_t len = (size_t)write_head(line, sizeof line, level, msg);
    if (fields && len < sizeof line - 2) {
        line[len++] = ' ';
        va_list args;
        va_start(args, fields);
        int n = vsnprintf(line + len, sizeof line - len, fields, args);
        va_end(args);
        len += n > 0 ? (size_t)n : 0;
    }
    if (len > sizeof line - 1) {
        len = sizeof line - 1;
        memcpy(line + len - 3, "...", 3);
    }
    line[len++] = '\n';
    ssize_t written = write(STDERR_FILENO, line, len);
    (void)written; /* there is no other place to tell */
}

static bool is_plain(const char *value)
{
    if (!*value)
        return false;
    for (const unsigned char *p = (const unsigned char *)value; *p; p++) {
        if (*p <= ' ' || *p == '"' || *p == '=' || *p == '\\' || *p == 0x7f)
            return false;
    }
    return true;
}

const char *log_quote(const char *value, char *storage, unsigned size)
{
    if (is_plain(value)) {
        snprintf(storage, size, "%s", value);
        return storage;
    }
    unsigned n = 0;
    storage[n++] = '"';
    for (const char *p = value; *p && n + 4 < size; p++) {
        if (*p == '"' || *p == '\\' || *p == '\n')
            storage[n++] = '\\';
        storage[n++] = (char)(*p == '\n' ? 'n' : (unsigned char)*p < ' ' ? ' ' : *p);
    }
    storage[n++] = '"';
    storage[n] = '\0';
    return storage;
}

bool log_limit_pass(struct log_limit *limit, int period_s, unsigned *ret_held_back)
{
    int64_t now = clock_mono_ns();
    if (now < limit->next_ns) {
        limit->held_back++;
        return false;
    }
    *ret_held_back = limit->held_back;
    limit->held_back = 0;
    limit->next_ns = now + (int64_t)period_s * 1000000000;
    return true;
}
