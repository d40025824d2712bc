#include "node-agent/logs/redact.h"

#include <errno.h>

#include "node-agent/logs/redact_find.h"

static const struct preset {
    const char *name, *with;
    enum redact_kind kind;
    const char *expression; /* REDACT_TOKEN: begins with one of redact_find_token_mark's words */
} presets[] = {
    {"card", "[redacted:card]", REDACT_CARD, NULL},
    {"email", "[redacted:email]", REDACT_EMAIL, NULL},
    {"token", "[redacted:token]", REDACT_TOKEN,
     "\\G(?:://[^/\\s:]{0,64}:\\K[^@/\\s]{1,128}(?:@[^@/\\s\"'\\\\,;<>()?#]{1,64})*(?=@)"
     "|(?i:\\b(?:bearer|basic|(?<=authorization: |authorization\": \")(?:token|apikey)"
     "|(?<=authorization\":\")(?:token|apikey))\\s{1,4})\\K[A-Za-z0-9._~+/-]{8,}={0,2}"
     "|\\beyJ[A-Za-z0-9_-]{5,}\\.[A-Za-z0-9_-]{5,}\\.[A-Za-z0-9_-]*"
     "|\\b(?:AKIA|ASIA|ABIA|ACCA)[0-9A-Z]{16}\\b"
     "|\\bgh[opsru]_[A-Za-z0-9]{36,}|\\bgithub_pat_[A-Za-z0-9_]{22,}"
     "|\\bgl(?:pat|rt|dt|ptt|cbt)-[A-Za-z0-9_-]{20,}(?:\\.[A-Za-z0-9_-]+){0,2}"
     "|\\bxox[abeprs]-[A-Za-z0-9-]{10,}|\\bxapp-[A-Za-z0-9-]{10,}"
     "|\\bhooks\\.slack\\.com/services/\\K[A-Za-z0-9/]{20,}"
     "|\\b[rs]k_(?:live|test)_[A-Za-z0-9]{16,}|\\bsk-(?:ant|proj)-[A-Za-z0-9_-]{16,}"
     "|\\bAIza[0-9A-Za-z_-]{35}|\\bya29\\.[A-Za-z0-9_-]{20,}|\\bhvs\\.[A-Za-z0-9_-]{24,}"
     "|\\bnpm_[A-Za-z0-9]{36}|\\bpypi-AgEI[A-Za-z0-9_-]{10,}"
     "|(?<!END )(?<!END RSA |END DSA |END PGP )(?<!END EC )(?<!END OPENSSH )(?<!END ENCRYPTED )"
     "PRIVATE KEY(?: BLOCK)?-----\\K[^-]++(?:-(?!----END)[^-]*+)*+(?:-----END [A-Z ]{0,32}-----)?"
     "|(?i:(?:pass(?:word|wd|phrase)|(?-i:[pP]wd)|secret(?:[_-]?key)?|token|(?:api|access|account)[_-]?key)"
     "\\\\?[\"']?\\s{0,4}(?::=|=>|[:=])\\s{0,4}"
     "(?:\\\\?\"(?:(?:bearer|basic)\\s{1,4})?\\K[^\"\\\\]+|'(?:(?:bearer|basic)\\s{1,4})?\\K[^']+"
     "|(?:(?:bearer|basic)\\s{1,4})?\\K[^\\s\"',;&\\\\]{3,})))"},
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
        *redact = (struct redact){.kind = presets[i].kind, .with = with};
        return presets[i].expression ? pattern_new(presets[i].expression, &redact->pattern) : 0;
    }
    return -ENOENT;
}

void redact_fini(struct redact *redact)
{
    pattern_free(redact->pattern);
    *redact = (struct redact){0};
}

static bool find_token(struct pattern *pattern, struct bytes text, size_t from, size_t *begin, size_t *end)
{
    for (; redact_find_token_mark(text, from, &from); from++)
        if (pattern_find(pattern, text, from, begin, end))
            return true;
    return false;
}

static bool find(const struct redact *redact, struct bytes text, size_t from, size_t *begin, size_t *end)
{
    switch (redact->kind) {
    case REDACT_PATTERN:
        return pattern_find(redact->pattern, text, from, begin, end);
    case REDACT_CARD:
        return redact_find_card(text, from, begin, end);
    case REDACT_EMAIL:
        return redact_find_email(text, from, begin, end);
    case REDACT_TOKEN:
        return find_token(redact->pattern, text, from, begin, end);
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
