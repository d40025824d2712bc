#include "node-agent/logs/level.h"

#include <strings.h>

enum { WORD_MIN = 3, WORD_MAX = 11 };
static const char *const names[LEVELS] = {"", "trace", "debug", "info", "warn", "error", "critical", "fatal"};

static const struct word {
    const char *text;
    enum line_level level;
} words[] = {
    {"trace", LEVEL_TRACE},   {"debug", LEVEL_DEBUG},  {"dbg", LEVEL_DEBUG},
    {"info", LEVEL_INFO},     {"inf", LEVEL_INFO},     {"information", LEVEL_INFO},
    {"notice", LEVEL_INFO},   {"warn", LEVEL_WARN},    {"wrn", LEVEL_WARN},
    {"warning", LEVEL_WARN},  {"error", LEVEL_ERROR},  {"err", LEVEL_ERROR},
    {"eror", LEVEL_ERROR},    {"severe", LEVEL_ERROR}, {"critical", LEVEL_CRITICAL},
    {"crit", LEVEL_CRITICAL}, {"alert", LEVEL_FATAL},  {"emergency", LEVEL_FATAL},
    {"fatal", LEVEL_FATAL},   {"panic", LEVEL_FATAL},
};

/* All begin with an l or an s. */
static const char *const keys[] = {"level", "lvl", "severity", "loglevel", "severity_text", "levelname"};
enum { KEY_MIN = 3, KEY_MAX = 13 };

static bool is_letter(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static enum line_level level_of(const uint8_t *text, size_t len)
{
    if (len < WORD_MIN || len > WORD_MAX)
        return LEVEL_NONE;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strlen(words[i].text) == len && strncasecmp(words[i].text, (const char *)text, len) == 0)
            return words[i].level;
    return LEVEL_NONE;
}

static bool is_key(const uint8_t *text, size_t len)
{
    if (len < KEY_MIN || len > KEY_MAX || !(strchr("lLsS", *text)))
        return false;
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (strlen(keys[i]) == len && strncasecmp(keys[i], (const char *)text, len) == 0)
            return true;
    return false;
}

static bool is_capital(const uint8_t *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (text[i] < 'A' || text[i] > 'Z')
            return false;
    return true;
}

static size_t word_len(const uint8_t *p, const uint8_t *end)
{
    const uint8_t *at = p;
    while (at < end && is_letter(*at))
        at++;
    return (size_t)(at - p);
}

/* pino and bunyan write 10 (trace) to 60 (fatal). */
static enum line_level level_of_number(const uint8_t *p, const uint8_t *end)
{
    static const enum line_level by_ten[] = {LEVEL_NONE, LEVEL_TRACE, LEVEL_DEBUG, LEVEL_INFO,
                                             LEVEL_WARN, LEVEL_ERROR, LEVEL_FATAL};
    bool is_two = end - p >= 2 && *p >= '1' && *p <= '6' && p[1] == '0' &&
                  (end - p == 2 || p[2] == ',' || p[2] == '}' || p[2] == ' ');
    return is_two ? by_ten[*p - '0'] : LEVEL_NONE;
}

/* What stands behind a key: =VALUE, ="VALUE", ":"VALUE", ": VALUE. */
static enum line_level level_behind(const uint8_t *p, const uint8_t *end)
{
    bool is_value = false;
    for (; p < end && (*p == '"' || *p == ' ' || (!is_value && (*p == '=' || *p == ':'))); p++)
        is_value |= *p == '=' || *p == ':';
    if (!is_value)
        return LEVEL_NONE;
    size_t len = word_len(p, end);
    return len ? level_of(p, len) : level_of_number(p, end);
}

/* klog: one of IWEF, then month and day, then a space and the time. */
static enum line_level level_of_klog(struct bytes line)
{
    if (line.len < 6 || line.ptr[5] != ' ')
        return LEVEL_NONE;
    for (int i = 1; i < 5; i++)
        if (line.ptr[i] < '0' || line.ptr[i] > '9')
            return LEVEL_NONE;
    switch (line.ptr[0]) {
    case 'I':
        return LEVEL_INFO;
    case 'W':
        return LEVEL_WARN;
    case 'E':
        return LEVEL_ERROR;
    case 'F':
        return LEVEL_FATAL;
    default:
        return LEVEL_NONE;
    }
}

static bool is_enclosed(const uint8_t *begin, const uint8_t *p, const uint8_t *end, size_t len)
{
    return p > begin && p + len < end && ((p[-1] == '[' && p[len] == ']') || (p[-1] == '<' && p[len] == '>'));
}

enum line_level level_detect(struct bytes line)
{
    if (line.len == 0)
        return LEVEL_NONE;
    const uint8_t *end = line.ptr + (line.len < LEVEL_LOOK ? line.len : LEVEL_LOOK);
    enum line_level word = level_of_klog(line);
    for (const uint8_t *p = line.ptr; p < end;) {
        size_t len = word_len(p, end);
        if (len == 0) {
            p++;
            continue;
        }
        if (is_key(p, len)) {
            enum line_level told = level_behind(p + len, end);
            if (told != LEVEL_NONE)
                return told;
        }
        if (word == LEVEL_NONE && (is_capital(p, len) || is_enclosed(line.ptr, p, end, len)))
            word = level_of(p, len);
        p += len;
    }
    return word;
}

const char *level_name(enum line_level level)
{
    return names[level];
}
