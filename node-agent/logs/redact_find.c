#include "node-agent/logs/redact_find.h"

enum {
    CARD_MIN = 13,
    CARD_MAX = 19,
    LOCAL_MAX = 64, /* RFC 5321, 4.5.3.1.1 */
    LABEL_MAX = 63, /* RFC 1035, 2.3.4 */
    LABELS = 9,
    MARK = 3, /* bytes that are looked at of each word */
    MARK_SLOTS = 4096,
    URL_MAX = 256, /* where the first @ is looked for: behind ://, a user of 64 bytes and a password of 128 */
};

static bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(uint8_t c)
{
    return (uint8_t)((c | 0x20) - 'a') < 26;
}

/* ---- card numbers ---- */

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

/* Whether the byte may stand within a card number: a digit, or a separator between two. */
static bool is_of_card(struct bytes text, size_t i)
{
    if (is_digit(text.ptr[i]))
        return true;
    return (text.ptr[i] == ' ' || text.ptr[i] == '-') && i > 0 && i + 1 < text.len &&
           is_digit(text.ptr[i - 1]) && is_digit(text.ptr[i + 1]);
}

bool redact_find_card(struct bytes text, size_t from, size_t *ret_begin, size_t *ret_end)
{
    /* Of a number's bytes one lies at every CARD_MIN-th place. */
    for (size_t probe = from + CARD_MIN - 1; from + CARD_MIN <= text.len; probe = from + CARD_MIN - 1) {
        size_t begin = probe, end = probe;
        if (!is_of_card(text, probe)) {
            from = probe + 1;
            continue;
        }
        while (begin > from && is_of_card(text, begin - 1))
            begin--;
        for (size_t i = begin; i < text.len && is_of_card(text, i); end = ++i) {
            size_t found = 0;
            if (is_digit(text.ptr[i]) && (i == 0 || !is_digit(text.ptr[i - 1])))
                found = card_end(text, i);
            if (found) {
                *ret_begin = i;
                *ret_end = found;
                return true;
            }
        }
        from = end;
    }
    return false;
}

/* ---- mail addresses ---- */

static bool is_of_local(uint8_t c)
{
    return is_letter(c) || is_digit(c) || c == '.' || c == '_' || c == '%' || c == '+' || c == '-';
}

/* The end of the domain that begins at from, or 0. */
static size_t domain_end(struct bytes text, size_t from)
{
    size_t end = 0;
    for (int label = 0; label < LABELS; label++) {
        size_t letters = 0, len = 0;
        while (letters < LABEL_MAX && from + letters < text.len && is_letter(text.ptr[from + letters]))
            letters++;
        len = letters;
        while (len < LABEL_MAX && from + len < text.len &&
               (is_letter(text.ptr[from + len]) || is_digit(text.ptr[from + len]) ||
                text.ptr[from + len] == '-'))
            len++;
        if (label > 0 && letters >= 2)
            end = from + letters;
        from += len + 1;
        if (len == 0 || from >= text.len || text.ptr[from - 1] != '.')
            break;
    }
    return end;
}

bool redact_find_email(struct bytes text, size_t from, size_t *ret_begin, size_t *ret_end)
{
    for (size_t least = from; from < text.len; from++) {
        const uint8_t *at = memchr(text.ptr + from, '@', text.len - from);
        if (!at)
            return false;
        from = (size_t)(at - text.ptr);
        size_t begin = from, end;
        while (begin > least && from - begin < LOCAL_MAX && is_of_local(text.ptr[begin - 1]))
            begin--;
        if (begin < from && (end = domain_end(text, from + 1)) > 0) {
            *ret_begin = begin;
            *ret_end = end;
            return true;
        }
    }
    return false;
}

/* ---- credentials ---- */

/* In lower case with bit 5 set in each byte, as the text is when it is compared; of _ that makes DEL. */
#define UNDERLINE "\x7f"
static const char *const marks[] = {"://",
                                    "bearer",
                                    "basic",

                                    "eyj",
                                    "akia",
                                    "asia",
                                    "abia",
                                    "acca",
                                    "gho" UNDERLINE,
                                    "ghp" UNDERLINE,
                                    "ghs" UNDERLINE,
                                    "ghr" UNDERLINE,
                                    "ghu" UNDERLINE,
                                    "github" UNDERLINE "pat",
                                    "glpat-",
                                    "glrt-",
                                    "gldt-",
                                    "glptt-",
                                    "glcbt-",
                                    "xox",
                                    "xapp-",
                                    "hooks.slack.com",
                                    "sk" UNDERLINE "live",
                                    "sk" UNDERLINE "test",
                                    "rk" UNDERLINE "live",
                                    "rk" UNDERLINE "test",
                                    "sk-ant-",
                                    "sk-proj-",
                                    "aiza",
                                    "ya29.",
                                    "hvs.",
                                    "npm" UNDERLINE,
                                    "pypi-agei",
                                    "password",
                                    "passwd",
                                    "passphrase",
                                    "pwd",
                                    "secret",
                                    "token",
                                    "apikey",
                                    "api-key",
                                    "api" UNDERLINE "key",
                                    "accesskey",
                                    "access-key",
                                    "access" UNDERLINE "key",
                                    "accountkey",
                                    "account-key",
                                    "account" UNDERLINE "key",
                                    "private key-----",
                                    "private key block"};

static uint8_t folded(uint8_t c)
{
    return c | 0x20;
}

static size_t slot_of(uint8_t a, uint8_t b, uint8_t c)
{
    uint32_t word = (uint32_t)folded(a) << 16 | (uint32_t)folded(b) << 8 | folded(c);
    return (word * UINT32_C(2654435761)) >> 20; /* of MARK_SLOTS */
}

static uint8_t slots[MARK_SLOTS / 8]; /* bit: a word begins so */
static uint8_t first[MARK_SLOTS];     /* of the words that begin so, counted from 1 */
static uint8_t others[sizeof marks / sizeof *marks + 1];
static bool has_slots;

static void fill_slots(void)
{
    for (size_t i = 0; i < sizeof marks / sizeof *marks; i++) {
        const uint8_t *mark = (const uint8_t *)marks[i];
        size_t slot = slot_of(mark[0], mark[1], mark[2]);
        slots[slot / 8] |= (uint8_t)(1U << (slot % 8));
        others[i + 1] = first[slot];
        first[slot] = (uint8_t)(i + 1);
    }
    has_slots = true;
}

/* A URL's password ends at an @. */
static bool may_be_mark(const char *mark, const uint8_t *at, size_t len)
{
    return *mark != ':' || memchr(at, '@', len < URL_MAX ? len : URL_MAX);
}

static bool begins_with_mark(size_t slot, const uint8_t *at, size_t len)
{
    for (size_t i = first[slot]; i; i = others[i]) {
        const char *mark = marks[i - 1];
        size_t k = 0;
        while (k < len && mark[k] && folded(at[k]) == (uint8_t)mark[k])
            k++;
        if (!mark[k] && may_be_mark(mark, at, len))
            return true;
    }
    return false;
}

bool redact_find_token_mark(struct bytes text, size_t from, size_t *ret_at)
{
    if (!has_slots)
        fill_slots();
    for (size_t i = from; i + MARK <= text.len; i++) {
        size_t slot = slot_of(text.ptr[i], text.ptr[i + 1], text.ptr[i + 2]);
        if (!(slots[slot / 8] >> (slot % 8) & 1) || !begins_with_mark(slot, text.ptr + i, text.len - i))
            continue;
        *ret_at = i;
        return true;
    }
    return false;
}
