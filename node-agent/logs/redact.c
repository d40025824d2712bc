#include "node-agent/logs/redact.h"

#include <errno.h>

enum { CARD_MIN = 13, CARD_MAX = 19 };

static const struct preset {
    const char *name, *expression, *with;
} presets[] = {
    {"card", NULL, "[redacted:card]"},
    {"email", "[A-Za-z0-9._%+-]{1,64}@(?:[A-Za-z0-9-]{1,63}\\.){1,8}[A-Za-z]{2,63}", "[redacted:email]"},
    {"token",
     "(?i:\\b(?:bearer|basic)\\s{1,4})\\K[A-Za-z0-9._~+/-]{8,}={0,2}"
     "|\\beyJ[A-Za-z0-9_-]{5,}\\.[A-Za-z0-9_-]{5,}\\.[A-Za-z0-9_-]*"
     "|\\b(?:AKIA|ASIA)[0-9A-Z]{16}\\b"
     "|\\bgh[opsru]_[A-Za-z0-9]{36,}|\\bgithub_pat_[A-Za-z0-9_]{22,}|\\bglpat-[A-Za-z0-9_-]{20,}"
     "|\\bxox[abeprs]-[A-Za-z0-9-]{10,}|\\bsk_live_[A-Za-z0-9]{16,}|\\bAIza[0-9A-Za-z_-]{35}"
     "|://[^/\\s:@]{1,64}:\\K[^@/\\s]{1,128}(?=@)"
     "|(?i:(?:password|passwd|secret|token|api[_-]?key)\\\\?[\"']?\\s{0,4}[:=]\\s{0,4}\\\\?[\"']?)\\K[^\\s\"'"
     ",;&\\\\]{3,}",
     "[redacted:token]"},
};

int redact_init(struct redact *redact, const char *expression, const char *with)
{
    *redact = (struct redact){.kind = REDACT_PATTERN, .with = with};
    return pattern_new(expression, &redact->pattern);
}

int redact_init_preset(struct redact *redact, const char *name, const char *with)
{
    for (size_t i = 0; i < sizeof presets / sizeof *presets; i++) {
        if (strcmp(presets[i].name, name) != 0)
            continue;
        with = with ? with : presets[i].with;
        if (presets[i].expression)
            return redact_init(redact, presets[i].expression, with);
        *redact = (struct redact){.kind = REDACT_CARD, .with = with};
        return 0;
    }
    return -ENOENT;
}

void redact_fini(struct redact *redact)
{
    pattern_free(redact->pattern);
    *redact = (struct redact){0};
}

static bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

/* ISO/IEC 7812's check digit: every second digit from the right counts twice, as the sum of its digits. */
static bool has_check_digit(const uint8_t *digits, size_t count)
{
    unsigned sum = 0;
    for (size_t i = 0; i < count; i++) {
        unsigned d = (unsigned)(digits[count - 1 - i] - '0') * (i % 2 ? 2 : 1);
        sum += d > 9 ? d - 9 : d;
    }
    return sum % 10 == 0;
}

/* Issuers' first digits: 3 (American Express, Diners, JCB), 4 (Visa), 51-55 and 2221-2720 (Mastercard), 5x
 * and 6 (Maestro, Discover, UnionPay). */
static bool is_issued(const uint8_t *digits)
{
    unsigned four = 0;
    for (int i = 0; i < 4; i++)
        four = four * 10 + (unsigned)(digits[i] - '0');
    return (digits[0] >= '3' && digits[0] <= '6') || (four >= 2221 && four <= 2720);
}

/* The end of the longest card number that begins at from (a digit with none before it), or 0. */
static size_t card_end(struct bytes text, size_t from)
{
    uint8_t digits[CARD_MAX];
    size_t count = 0, end = 0, at = from;
    while (at < text.len && is_digit(text.ptr[at]) && count < CARD_MAX) {
        digits[count++] = text.ptr[at++];
        bool ends = at == text.len || !is_digit(text.ptr[at]);
        if (ends && count >= CARD_MIN && is_issued(digits) && has_check_digit(digits, count))
            end = at;
        if (ends && at + 1 < text.len && (text.ptr[at] == ' ' || text.ptr[at] == '-'))
            at++;
    }
    return end;
}

bool redact_find_card(struct bytes text, size_t from, size_t *ret_begin, size_t *ret_end)
{
    for (size_t i = from; i < text.len; i++) {
        if (!is_digit(text.ptr[i]) || (i > 0 && is_digit(text.ptr[i - 1])))
            continue;
        size_t end = card_end(text, i);
        if (end) {
            *ret_begin = i;
            *ret_end = end;
            return true;
        }
    }
    return false;
}

static bool find(const struct redact *redact, struct bytes text, size_t from, size_t *begin, size_t *end)
{
    switch (redact->kind) {
    case REDACT_PATTERN:
        return pattern_find(redact->pattern, text, from, begin, end);
    case REDACT_CARD:
        return redact_find_card(text, from, begin, end);
    }
    return false;
}

/* Appends as much as there is room for. */
static int append(struct buf *out, const void *from, size_t len)
{
    size_t room = out->max - out->len;
    int err = buf_append(out, from, len < room ? len : room);
    return err < 0 ? err : len > room ? -EMSGSIZE : 0;
}

static size_t next_character(struct bytes text, size_t at)
{
    at++;
    while (at < text.len && (text.ptr[at] & 0xc0) == 0x80)
        at++;
    return at;
}

int redact_apply(const struct redact *redact, struct bytes text, struct buf *out, unsigned *ret_count)
{
    size_t at = 0, from = 0, begin, end;
    unsigned count = 0;
    int err = 0;
    while (err == 0 && text.len && from <= text.len && find(redact, text, from, &begin, &end)) {
        from = end > begin ? end : next_character(text, end);
        if (end == begin || begin < at)
            continue;
        count++;
        err = append(out, text.ptr + at, begin - at);
        if (err == 0)
            err = append(out, redact->with, strlen(redact->with));
        at = end;
    }
    if (err == 0 && count)
        err = append(out, text.ptr + at, text.len - at);
    if (err == -ENOMEM)
        return err;
    *ret_count = count;
    return err;
}
