#include "node-agent/pattern.h"

#include <errno.h>
#include <stdlib.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "node-agent/host/collector_flags.h"

enum {
    MATCH_LIMIT = 100000,
    DEPTH_LIMIT = 2000,
    HEAP_LIMIT_KIB = 1024,
    EXPRESSION_BYTES = 65536,
    SEEN_SLOTS = 2048,
    SEEN_MAX = 1536
};

struct pattern {
    pcre2_code *code;         /* owned */
    pcre2_match_data *match;  /* owned */
    pcre2_match_context *ctx; /* owned */
    uint64_t *seen;           /* owned; hash table, the lowest bit is the answer; 0: free */
    size_t seen_count;
};

void pattern_free(struct pattern *pattern)
{
    if (!pattern)
        return;
    pcre2_code_free(pattern->code);
    pcre2_match_data_free(pattern->match);
    pcre2_match_context_free(pattern->ctx);
    free(pattern->seen);
    free(pattern);
}

static int set_limits(struct pattern *pattern)
{
    pattern->match = pcre2_match_data_create(1, NULL);
    pattern->ctx = pcre2_match_context_create(NULL);
    if (!pattern->match || !pattern->ctx)
        return -ENOMEM;
    pcre2_set_match_limit(pattern->ctx, MATCH_LIMIT);
    pcre2_set_depth_limit(pattern->ctx, DEPTH_LIMIT);
    pcre2_set_heap_limit(pattern->ctx, HEAP_LIMIT_KIB);
    return 0;
}

int pattern_new(const char *expression, struct pattern **ret_pattern)
{
    int error;
    size_t offset, len = strlen(expression);
    if (len > EXPRESSION_BYTES)
        return -EINVAL;
    struct pattern *pattern = calloc(1, sizeof *pattern);
    if (!pattern)
        return -ENOMEM;
    pattern->code =
        pcre2_compile((PCRE2_SPTR)expression, len,
                      PCRE2_UTF | PCRE2_MATCH_INVALID_UTF | PCRE2_DOLLAR_ENDONLY | PCRE2_NEVER_BACKSLASH_C,
                      &error, &offset, NULL);
    int err = pattern->code ? set_limits(pattern) : error == PCRE2_ERROR_HEAP_FAILED ? -ENOMEM : -EINVAL;
    if (err < 0)
        pattern_free(pattern);
    else
        *ret_pattern = pattern;
    return err;
}

bool pattern_matches(struct pattern *pattern, struct bytes text)
{
    const char *ptr = text.len ? (const char *)text.ptr : "";
    return pcre2_match(pattern->code, (PCRE2_SPTR)ptr, text.len, 0, 0, pattern->match, pattern->ctx) >= 0;
}

bool pattern_find(struct pattern *pattern, struct bytes text, size_t from, size_t *ret_begin, size_t *ret_end)
{
    const char *ptr = text.len ? (const char *)text.ptr : "";
    if (pcre2_match(pattern->code, (PCRE2_SPTR)ptr, text.len, from, 0, pattern->match, pattern->ctx) < 0)
        return false;
    const size_t *at = pcre2_get_ovector_pointer(pattern->match);
    if (at[0] > at[1]) /* \K within a lookahead */
        return false;
    *ret_begin = at[0];
    *ret_end = at[1];
    return true;
}

void pattern_compile(struct pattern *pattern)
{
    pcre2_jit_compile(pattern->code, PCRE2_JIT_COMPLETE);
}

bool pattern_matches_again(struct pattern *pattern, struct bytes text)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < text.len; i++)
        hash = (hash ^ text.ptr[i]) * UINT64_C(0x100000001b3);
    hash = (hash | 2) & ~UINT64_C(1);
    if (!pattern->seen)
        pattern->seen = calloc(SEEN_SLOTS, sizeof *pattern->seen);
    size_t at = (hash >> 32) % SEEN_SLOTS;
    while (pattern->seen && pattern->seen[at]) {
        if ((pattern->seen[at] & ~UINT64_C(1)) == hash)
            return pattern->seen[at] & 1;
        at = (at + 1) % SEEN_SLOTS;
    }
    bool answer = pattern_matches(pattern, text);
    if (pattern->seen && pattern->seen_count < SEEN_MAX) {
        pattern->seen[at] = hash | answer;
        pattern->seen_count++;
    }
    return answer;
}

int pattern_filter_init(struct pattern_filter *filter, const struct agent_config *config,
                        const char *include_flag, const char *exclude_flag, const char *exclude_fallback)
{
    const char *include = include_flag ? collector_flag(config, include_flag, "") : "";
    const char *exclude = collector_flag(config, exclude_flag, *include ? "" : exclude_fallback);
    *filter = (struct pattern_filter){0};
    int err = *include ? pattern_new(include, &filter->include) : 0;
    if (err == 0 && *exclude)
        err = pattern_new(exclude, &filter->exclude);
    if (err < 0)
        pattern_filter_fini(filter);
    return err;
}

void pattern_filter_fini(struct pattern_filter *filter)
{
    pattern_free(filter->include);
    pattern_free(filter->exclude);
    *filter = (struct pattern_filter){0};
}

bool pattern_filter_passes(const struct pattern_filter *filter, struct bytes text)
{
    return !(filter->exclude && pattern_matches(filter->exclude, text)) &&
           !(filter->include && !pattern_matches(filter->include, text));
}
