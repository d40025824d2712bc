#include "node-agent/logs/cri.h"

#include <errno.h>

enum { SECOND_LEN = 19, STREAM_LEN = 6 };
enum { MAX_YEAR = 2261 }; /* the last whole one whose nanoseconds fit in 64 bits */

static bool digits(const uint8_t *p, int n, int *ret_value)
{
    int value = 0;
    for (int i = 0; i < n; i++) {
        if (p[i] < '0' || p[i] > '9')
            return false;
        value = value * 10 + p[i] - '0';
    }
    *ret_value = value;
    return true;
}

/* Days since 1970-01-01 of a date of the proleptic Gregorian calendar; the year begins in March. */
static int64_t days_of(int year, int month, int day)
{
    int64_t y = month > 2 ? year : year - 1;
    int64_t era = y / 400, of_era = y - era * 400;
    int64_t of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static bool parse_second(const uint8_t *p, int64_t *ret_seconds)
{
    int year, month, day, hour, minute, second;
    if (!digits(p, 4, &year) || p[4] != '-' || !digits(p + 5, 2, &month) || p[7] != '-' ||
        !digits(p + 8, 2, &day) || (p[10] != 'T' && p[10] != 't') || !digits(p + 11, 2, &hour) ||
        p[13] != ':' || !digits(p + 14, 2, &minute) || p[16] != ':' || !digits(p + 17, 2, &second))
        return false;
    if (year < 1970 || year > MAX_YEAR || month < 1 || month > 12 || day < 1 || day > 31 || hour > 23 ||
        minute > 59 || second > 60)
        return false;
    *ret_seconds = days_of(year, month, day) * 86400 + hour * 3600 + minute * 60 + second;
    return true;
}

static bool get_second(struct cri_clock *clock, const uint8_t *p, int64_t *ret_seconds)
{
    if (!*p || memcmp(clock->text, p, SECOND_LEN) != 0) { /* a zeroed clock knows no second */
        int64_t seconds;
        if (!parse_second(p, &seconds))
            return false;
        memcpy(clock->text, p, SECOND_LEN);
        clock->seconds = seconds;
    }
    *ret_seconds = clock->seconds;
    return true;
}

/* Fraction of a second at *p, if there is one, in ns; digits past the ninth are dropped. */
static bool get_fraction(const uint8_t **p, const uint8_t *end, int64_t *ret_ns)
{
    const uint8_t *at = *p;
    int64_t ns = 0;
    int n = 0;
    if (at < end && *at == '.') {
        for (at++; at < end && *at >= '0' && *at <= '9'; at++)
            if (n < 9)
                ns = ns * 10 + *at - '0', n++;
        if (n == 0)
            return false;
        for (; n < 9; n++)
            ns *= 10;
    }
    *p = at;
    *ret_ns = ns;
    return true;
}

/* Z or an offset such as +05:30, in seconds east. */
static bool get_zone(const uint8_t **p, const uint8_t *end, int *ret_seconds)
{
    const uint8_t *at = *p;
    int hours, minutes;
    if (at < end && (*at == 'Z' || *at == 'z')) {
        *p = at + 1;
        *ret_seconds = 0;
        return true;
    }
    if (end - at < 6 || (*at != '+' && *at != '-') || !digits(at + 1, 2, &hours) || at[3] != ':' ||
        !digits(at + 4, 2, &minutes) || hours > 23 || minutes > 59)
        return false;
    *ret_seconds = (hours * 3600 + minutes * 60) * (*at == '-' ? -1 : 1);
    *p = at + 6;
    return true;
}

static bool get_time(struct cri_clock *clock, const uint8_t **p, const uint8_t *end, int64_t *ret_ns)
{
    int64_t seconds, ns;
    int zone;
    if (end - *p < SECOND_LEN || !get_second(clock, *p, &seconds))
        return false;
    *p += SECOND_LEN;
    if (!get_fraction(p, end, &ns) || !get_zone(p, end, &zone) || seconds < zone)
        return false;
    *ret_ns = (seconds - zone) * INT64_C(1000000000) + ns;
    return true;
}

/* Takes P or F, with further tags after colons, and the blank behind; leaves *p alone when there is no tag.
 */
static bool get_partial(const uint8_t **p, const uint8_t *end)
{
    const uint8_t *at = *p;
    if (at >= end || (*at != 'P' && *at != 'F'))
        return false;
    bool partial = *at++ == 'P';
    if (at < end && *at == ':') {
        const uint8_t *blank = memchr(at, ' ', (size_t)(end - at));
        at = blank ? blank : end;
    }
    if (at < end && *at != ' ')
        return false;
    *p = at < end ? at + 1 : end;
    return partial;
}

int cri_parse(struct cri_clock *clock, struct bytes line, struct cri_line *ret_line)
{
    const uint8_t *p = line.ptr, *end = line.ptr + line.len;
    struct cri_line parsed;
    if (!get_time(clock, &p, end, &parsed.time_ns) || end - p < 1 + STREAM_LEN || *p != ' ')
        return -EBADMSG;
    if (memcmp(p + 1, "stdout", STREAM_LEN) == 0)
        parsed.stream = CRI_STDOUT;
    else if (memcmp(p + 1, "stderr", STREAM_LEN) == 0)
        parsed.stream = CRI_STDERR;
    else
        return -EBADMSG;
    p += 1 + STREAM_LEN;
    if (p < end && *p++ != ' ')
        return -EBADMSG;
    parsed.partial = get_partial(&p, end);
    parsed.text = (struct bytes){p, (size_t)(end - p)};
    *ret_line = parsed;
    return 0;
}

int cri_parse_time(struct cri_clock *clock, struct bytes text, int64_t *ret_ns)
{
    const uint8_t *p = text.ptr, *end = text.ptr + text.len;
    int64_t ns;
    if (!get_time(clock, &p, end, &ns) || p != end)
        return -EBADMSG;
    *ret_ns = ns;
    return 0;
}

const char *cri_stream_name(enum cri_stream stream)
{
    switch (stream) {
    case CRI_STDOUT:
        return "stdout";
    case CRI_STDERR:
        return "stderr";
    case CRI_UNPARSED:
        break;
    }
    return "unknown";
}
