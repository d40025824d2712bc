#include "node-agent/host/collectors/textfile_pages.h"

#include <errno.h>
#include <stdlib.h>

#include "node-agent/host/collectors/textfile_check.h"
#include "node-agent/host/text.h"

enum { MAX_FAMILIES = 16384 };

void textfile_families_forget(struct textfile_state *state)
{
    for (size_t i = 0; i < state->count; i++) {
        struct textfile_family *family = &state->families[i];
        for (size_t l = 0; l < family->label_count; l++)
            free(family->labels[l]);
        free(family->name);
        free(family->help);
        free(family->file);
    }
    state->count = 0;
}

static struct textfile_family *find(const struct textfile_state *state, struct bytes name)
{
    for (size_t i = state->count; i > state->file_begin; i--)
        if (text_is(name, state->families[i - 1].name))
            return &state->families[i - 1];
    return NULL;
}

struct textfile_family *textfile_families_find(const struct textfile_state *state, struct bytes name)
{
    static const char *const parts[] = {"_sum", "_count", "_bucket"};
    struct textfile_family *family = find(state, name);
    for (int i = 0; i < 3 && !family; i++) {
        if (!text_ends(name, parts[i]))
            continue;
        family = find(state, (struct bytes){name.ptr, name.len - strlen(parts[i])});
        if (family && family->type != METRIC_HISTOGRAM && (family->type != METRIC_SUMMARY || i == 2))
            family = NULL;
    }
    return family;
}

struct textfile_family *textfile_families_add(struct textfile_state *state, struct bytes name,
                                              const char *file)
{
    if (state->count == state->room) {
        size_t room = state->room ? 2 * state->room : 16;
        struct textfile_family *families =
            room <= MAX_FAMILIES ? realloc(state->families, room * sizeof *families) : NULL;
        if (!families)
            return NULL;
        state->families = families;
        state->room = room;
    }
    struct textfile_family *family = &state->families[state->count];
    *family = (struct textfile_family){.type = METRIC_UNTYPED};
    family->name = strndup((const char *)name.ptr, name.len);
    family->file = strdup(file);
    if (family->name && family->file) {
        state->count++;
        return family;
    }
    free(family->name);
    free(family->file);
    return NULL;
}

static int add_label(struct textfile_family *family, struct bytes name)
{
    const char *part = textfile_part_label(family->type);
    if (part && text_is(name, part))
        return 0;
    for (size_t i = 0; i < family->label_count; i++)
        if (text_is(name, family->labels[i]))
            return 0;
    if (family->label_count == TEXTFILE_MAX_LABELS - 1)
        return -E2BIG;
    char *copy = strndup((const char *)name.ptr, name.len);
    if (!copy)
        return -ENOMEM;
    family->labels[family->label_count++] = copy;
    return 0;
}

static enum metric_type type_of(struct bytes text)
{
    static const char *const names[] = {[METRIC_COUNTER] = "counter",
                                        [METRIC_GAUGE] = "gauge",
                                        [METRIC_UNTYPED] = "untyped",
                                        [METRIC_SUMMARY] = "summary",
                                        [METRIC_HISTOGRAM] = "histogram"};
    for (int i = METRIC_COUNTER; i <= METRIC_HISTOGRAM; i++)
        if (text_is_caseless(text, names[i]))
            return (enum metric_type)i;
    return METRIC_UNTYPED;
}

/* HELP as it is meant: \\, \n and \" are escapes. */
static char *unescape(struct bytes text)
{
    char *help = malloc(text.len + 1);
    size_t len = 0;
    for (size_t i = 0; help && i < text.len; i++) {
        char c = (char)text.ptr[i], next = i + 1 < text.len ? (char)text.ptr[i + 1] : 0;
        if (c == '\\' && (next == '\\' || next == 'n' || next == '"')) {
            c = next == 'n' ? '\n' : next;
            i++;
        }
        help[len++] = c;
    }
    if (help)
        help[len] = '\0';
    return help;
}

/* HELP and TYPE stand once each, TYPE before the samples. */
static int note_entry(struct textfile_family *family, const struct exposition_entry *e)
{
    bool *has = e->kind == EXPOSITION_HELP ? &family->has_help : &family->has_type;
    if (e->kind == EXPOSITION_SAMPLE) {
        family->has_samples = true;
        return textfile_check_labels(e, family->type);
    }
    if (*has || (e->kind == EXPOSITION_TYPE && family->has_samples))
        return -EINVAL;
    *has = e->kind == EXPOSITION_TYPE || e->text.len;
    return 0;
}

int textfile_families_take(struct textfile_state *state, const struct exposition_entry *e, const char *file)
{
    struct textfile_family *family =
        e->kind == EXPOSITION_SAMPLE ? textfile_families_find(state, e->name) : find(state, e->name);
    if (e->kind == EXPOSITION_SAMPLE && e->has_time)
        return -EINVAL;
    if (!family && !(family = textfile_families_add(state, e->name, file)))
        return -ENOMEM;
    int err = note_entry(family, e);
    if (err < 0)
        return err;
    if (e->kind == EXPOSITION_HELP && e->text.len && !family->help && !(family->help = unescape(e->text)))
        return -ENOMEM;
    if (e->kind == EXPOSITION_TYPE)
        family->type = type_of(e->text);
    for (size_t i = 0; e->kind == EXPOSITION_SAMPLE && i < e->label_count && err == 0; i++)
        err = add_label(family, e->labels[i].name);
    return err;
}

const char *textfile_families_help(const struct textfile_state *state, const struct textfile_family *family,
                                   struct buf *storage)
{
    bool first = true;
    if (family->help)
        return family->help;
    buf_clear(storage);
    buf_append_string(storage, "Metric read from ");
    for (size_t i = 0; i < state->total; i++)
        if (strcmp(state->families[i].name, family->name) == 0 && state->families[i].has_samples &&
            !state->families[i].left_out) {
            buf_printf(storage, "%s%s", first ? "" : ", ", state->families[i].file);
            first = false;
        }
    return buf_append(storage, "", 1) == 0 ? (const char *)storage->ptr : "";
}

void textfile_families_check_help(struct textfile_state *state)
{
    for (size_t i = state->file_begin; i < state->count; i++)
        for (size_t j = 0; j < state->file_begin; j++) {
            const struct textfile_family *earlier = &state->families[j];
            struct textfile_family *family = &state->families[i];
            if (!family->has_samples || strcmp(earlier->name, family->name) != 0 || !earlier->has_samples)
                continue;
            if (earlier->left_out ||
                (earlier->help && family->help && strcmp(earlier->help, family->help) != 0))
                state->errored = family->left_out = true;
        }
}

/* Whether one is a histogram or summary, and the other has the name of its sum, count or buckets. */
static bool is_part_of(const struct textfile_family *whole, const struct textfile_family *part)
{
    size_t len = strlen(whole->name);
    if (!textfile_part_label(whole->type) || strncmp(whole->name, part->name, len) != 0)
        return false;
    const char *suffix = part->name + len;
    return strcmp(suffix, "_sum") == 0 || strcmp(suffix, "_count") == 0 ||
           (whole->type == METRIC_HISTOGRAM && strcmp(suffix, "_bucket") == 0);
}

static bool is_hidden_by(const struct textfile_family *family, const struct textfile_family *earlier)
{
    if (!earlier->has_samples || earlier->left_out || earlier->hidden)
        return false;
    if (strcmp(family->name, earlier->name) != 0)
        return is_part_of(earlier, family) || is_part_of(family, earlier);
    return family->type != earlier->type || !family->help != !earlier->help;
}

void textfile_families_hide_conflicts(struct textfile_state *state)
{
    for (size_t i = 0; i < state->count; i++)
        for (size_t j = 0; j < i && !state->families[i].hidden && state->families[i].has_samples; j++)
            state->families[i].hidden = is_hidden_by(&state->families[i], &state->families[j]);
}
