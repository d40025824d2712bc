#include "node-agent/host/collectors/textfile_pages.h"

#include <stdio.h>
#include <stdlib.h>

#include "node-agent/host/text.h"
#include "node-agent/scrape/exposition_value.h"

enum { MAX_GROUPS = 65536, GROUP_BYTES = 65536, MAX_SERIES = 1 << 20 };

static int compare_pairs(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The labels but the bound, sorted by name: what a group is known by. NULL when memory is out. */
static char *group_labels(const char *const *pairs, const char *part)
{
    const char *sorted[2 * TEXTFILE_MAX_LABELS];
    size_t count = 0;
    struct buf out;
    for (; *pairs; pairs += 2)
        if (strcmp(pairs[0], part) != 0) {
            sorted[2 * count] = pairs[0];
            sorted[2 * count++ + 1] = pairs[1];
        }
    qsort(sorted, count, 2 * sizeof *sorted, compare_pairs);
    buf_init(&out, GROUP_BYTES);
    int err = 0;
    for (size_t i = 0; i < 2 * count && err == 0; i++)
        err = buf_append(&out, sorted[i], strlen(sorted[i]) + 1);
    if (err == 0)
        err = buf_append(&out, "", 1);
    if (err < 0)
        buf_fini(&out);
    return (char *)out.ptr;
}

static bool same_labels(const char *a, const char *b)
{
    while (*a || *b) { /* name, then value */
        for (int i = 0; i < 2; i++) {
            if (strcmp(a, b) != 0)
                return false;
            a += strlen(a) + 1;
            b += strlen(b) + 1;
        }
    }
    return true;
}

static struct textfile_group *find_group(struct textfile_state *state, const struct textfile_family *family,
                                         char *labels)
{
    for (size_t i = state->group_count; i > 0; i--) { /* most often the last one */
        struct textfile_group *group = &state->groups[i - 1];
        if (group->family == family && same_labels(group->labels, labels)) {
            free(labels);
            return group;
        }
    }
    struct textfile_group *groups = state->group_count < MAX_GROUPS
                                        ? realloc(state->groups, (state->group_count + 1) * sizeof *groups)
                                        : NULL;
    if (!groups) {
        free(labels);
        return NULL;
    }
    state->groups = groups;
    state->groups[state->group_count] = (struct textfile_group){.family = family, .labels = labels};
    return &state->groups[state->group_count++];
}

static void note_part(struct textfile_state *state, const struct textfile_family *family, const char *name,
                      const char *const *pairs, double value)
{
    const char *part = textfile_part_label(family->type), *suffix = name + strlen(family->name);
    char *labels = part ? group_labels(pairs, part) : NULL;
    struct textfile_group *group = labels ? find_group(state, family, labels) : NULL;
    if (!group)
        return;
    group->has_sum = group->has_sum || strcmp(suffix, "_sum") == 0;
    if (strcmp(suffix, "_count") == 0) {
        group->has_count = true;
        group->count = value;
    }
    for (; *pairs && family->type == METRIC_HISTOGRAM; pairs += 2)
        group->has_all = group->has_all || (strcmp(pairs[0], part) == 0 && strcmp(pairs[1], "+Inf") == 0);
}

static void emit_part(const struct textfile_group *group, const char *suffix, const char *bound,
                      const char *help, double value, struct metric_sink *sink)
{
    const char *pairs[2 * TEXTFILE_MAX_LABELS + 3];
    char name[TEXTFILE_PATH_BYTES];
    size_t at = 0;
    for (const char *label = group->labels; *label && at < 2 * TEXTFILE_MAX_LABELS;) {
        pairs[at++] = label;
        label += strlen(label) + 1;
        pairs[at++] = label;
        label += strlen(label) + 1;
    }
    if (bound) {
        pairs[at++] = "le";
        pairs[at++] = bound;
    }
    pairs[at] = NULL;
    snprintf(name, sizeof name, "%s%s", group->family->name, suffix);
    sink->sample(sink, name, group->family->type, help, pairs, value);
}

/* A sample that is no part of its histogram or summary: without the part's name or bound. */
static bool is_stray(const struct textfile_family *family, const char *name, const char *const *pairs)
{
    const char *part = textfile_part_label(family->type), *suffix = name + strlen(family->name);
    if (!part || strcmp(suffix, "_sum") == 0 || strcmp(suffix, "_count") == 0)
        return false;
    bool has_bound = false;
    for (; *pairs; pairs += 2)
        has_bound = has_bound || strcmp(pairs[0], part) == 0;
    return !has_bound || (family->type == METRIC_HISTOGRAM && strcmp(suffix, "_bucket") != 0);
}

/* Whether a series of this name and these labels was shown before. */
static bool was_shown(struct textfile_state *state, const char *name, const char *const *pairs)
{
    const char *words[2 * TEXTFILE_MAX_LABELS + 2] = {name};
    size_t count = 0;
    for (; pairs[2 * count]; count++) {
        words[2 * count + 1] = pairs[2 * count];
        words[2 * count + 2] = pairs[2 * count + 1];
    }
    qsort(words + 1, count, 2 * sizeof *words, compare_pairs);
    words[2 * count + 1] = NULL;
    return seen_set_add(&state->seen, words, MAX_SERIES) == 1;
}

void textfile_samples_emit(struct textfile_state *state, struct metric_sink *sink,
                           const struct textfile_family *family, const char *help,
                           const struct exposition_entry *e)
{
    const char *pairs[2 * TEXTFILE_MAX_LABELS + 1], *part = textfile_part_label(family->type);
    char *copies[TEXTFILE_MAX_LABELS], name[TEXTFILE_PATH_BYTES];
    size_t count = 0;
    char number[EXPOSITION_VALUE_BYTES];
    double bound;
    text_copy(e->name, name, sizeof name);
    for (size_t i = 0; i < e->label_count && count < TEXTFILE_MAX_LABELS; i++) {
        bool is_bound =
            part && text_is(e->labels[i].name, part) && text_double(e->labels[i].value, &bound) == 0;
        struct bytes value = e->labels[i].value;
        if (is_bound)
            value = (struct bytes){(const uint8_t *)number, exposition_value_write(bound, number)};
        copies[count] = malloc(e->labels[i].name.len + value.len + 2);
        if (!copies[count])
            break;
        pairs[2 * count] = text_copy(e->labels[i].name, copies[count], e->labels[i].name.len + 1);
        pairs[2 * count + 1] = text_copy(value, copies[count] + e->labels[i].name.len + 1, value.len + 1);
        count++;
    }
    size_t own = count;
    for (size_t l = 0; l < family->label_count; l++) {
        bool has = false;
        for (size_t i = 0; i < own; i++)
            has = has || strcmp(pairs[2 * i], family->labels[l]) == 0;
        if (has || count == TEXTFILE_MAX_LABELS)
            continue;
        pairs[2 * count] = family->labels[l];
        pairs[2 * count++ + 1] = "";
    }
    pairs[2 * count] = NULL;
    if (!is_stray(family, name, pairs) && !was_shown(state, name, pairs))
        sink->sample(sink, name, family->type, help, pairs, e->value);
    note_part(state, family, name, pairs, e->value);
    for (size_t i = 0; i < own; i++)
        free(copies[i]);
}

void textfile_samples_complete(struct textfile_state *state, struct metric_sink *sink, struct buf *storage)
{
    for (size_t i = 0; i < state->group_count; i++) {
        const struct textfile_group *group = &state->groups[i];
        const char *help = textfile_families_help(state, group->family, storage);
        if (group->family->type == METRIC_HISTOGRAM && !group->has_all)
            emit_part(group, "_bucket", "+Inf", help, group->count, sink);
        if (!group->has_sum)
            emit_part(group, "_sum", NULL, help, 0, sink);
        if (!group->has_count)
            emit_part(group, "_count", NULL, help, 0, sink);
        free(group->labels);
    }
    free(state->groups);
    state->groups = NULL;
    state->group_count = 0;
}
