/* textfile.c - pages that others write: DIRECTORY/NAME.prom in the text exposition format.
 *
 * The rules are node_exporter's: the directories may be patterns; a file with a timestamp or a fault in it is
 * left out and counts as an error; a metric in several files needs the same HELP, else the later ones are
 * left out; without a HELP it says where it was read; samples of a metric get all labels that it has in the
 * file. An error is itself a metric: the collector does not fail. Of what several files say of one metric the
 * first type and kind of HELP holds, and the first value of a series.
 */
#include <dirent.h>
#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "node-agent/host/collector_flags.h"
#include "node-agent/host/collectors/table.h"
#include "node-agent/host/collectors/textfile_check.h"
#include "node-agent/host/procfile.h"
#include "node-agent/host/seen_set.h"
#include "node-agent/host/text.h"
#include "node-agent/scrape/exposition.h"
#include "node-agent/scrape/exposition_value.h"

enum {
    PATH_BYTES = 1024,
    MAX_FAMILIES = 16384,
    MAX_SERIES = 1 << 20,
    MAX_GROUPS = 65536,
    GROUP_BYTES = 65536,
    MAX_LABELS = EXPOSITION_MAX_LABELS
};

struct family {               /* of one file */
    char *name, *help, *file; /* owned; help may be NULL */
    enum metric_type type;
    char *labels[MAX_LABELS]; /* owned; the names of all its samples */
    size_t label_count;
    bool has_type, has_help, has_samples;
    bool left_out; /* its HELP is not that of the others */
    bool hidden;   /* by an earlier one of its name, or of the name that a part of it has */
};

/* The samples of a histogram or summary with the same labels: a page has all their parts. */
struct group {
    const struct family *family;
    char *labels;                     /* owned; names and values in turn, each with a NUL, and one more */
    bool has_sum, has_count, has_all; /* has_all: the bound +Inf */
    double count;
};

struct textfile_state {
    const struct agent_config *config; /* borrowed */
    struct family *families;           /* owned; of this update */
    size_t count, room;
    size_t file_begin; /* the families of the file being read begin here */
    size_t total;      /* of all files */
    bool errored;
    struct group *groups; /* owned; of the file being shown */
    size_t group_count;
    struct seen_set seen; /* the series shown */
};

static void forget(struct textfile_state *state)
{
    for (size_t i = 0; i < state->count; i++) {
        struct family *family = &state->families[i];
        for (size_t l = 0; l < family->label_count; l++)
            free(family->labels[l]);
        free(family->name);
        free(family->help);
        free(family->file);
    }
    state->count = 0;
}

static int start(const struct agent_config *config, void **ret_state)
{
    struct textfile_state *state = calloc(1, sizeof *state);
    if (!state)
        return -ENOMEM;
    state->config = config;
    *ret_state = state;
    return 0;
}

static void stop(void *ctx)
{
    struct textfile_state *state = ctx;
    forget(state);
    free(state->families);
    seen_set_fini(&state->seen);
    free(state);
}

/* ---- families ---- */

static struct family *find(const struct textfile_state *state, struct bytes name)
{
    for (size_t i = state->count; i > state->file_begin; i--)
        if (text_is(name, state->families[i - 1].name))
            return &state->families[i - 1];
    return NULL;
}

/* The family that a sample belongs to: its own name, or that before the part of a histogram or summary. */
static struct family *find_of_sample(const struct textfile_state *state, struct bytes name)
{
    static const char *const parts[] = {"_sum", "_count", "_bucket"};
    struct family *family = find(state, name);
    for (int i = 0; i < 3 && !family; i++) {
        if (!text_ends(name, parts[i]))
            continue;
        family = find(state, (struct bytes){name.ptr, name.len - strlen(parts[i])});
        if (family && family->type != METRIC_HISTOGRAM && (family->type != METRIC_SUMMARY || i == 2))
            family = NULL;
    }
    return family;
}

static struct family *add(struct textfile_state *state, struct bytes name, const char *file)
{
    if (state->count == state->room) {
        size_t room = state->room ? 2 * state->room : 16;
        struct family *families =
            room <= MAX_FAMILIES ? realloc(state->families, room * sizeof *families) : NULL;
        if (!families)
            return NULL;
        state->families = families;
        state->room = room;
    }
    struct family *family = &state->families[state->count];
    *family = (struct family){.type = METRIC_UNTYPED};
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

static const char *part_label(enum metric_type type)
{
    return type == METRIC_HISTOGRAM ? "le" : type == METRIC_SUMMARY ? "quantile" : NULL;
}

static int add_label(struct family *family, struct bytes name)
{
    const char *part = part_label(family->type);
    if (part && text_is(name, part))
        return 0;
    for (size_t i = 0; i < family->label_count; i++)
        if (text_is(name, family->labels[i]))
            return 0;
    if (family->label_count == MAX_LABELS - 1)
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
        if (text_is(text, names[i]))
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
static int note_entry(struct family *family, const struct exposition_entry *e)
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

static int take_entry(struct textfile_state *state, const struct exposition_entry *e, const char *file)
{
    struct family *family =
        e->kind == EXPOSITION_SAMPLE ? find_of_sample(state, e->name) : find(state, e->name);
    if (e->kind == EXPOSITION_SAMPLE && e->has_time)
        return -EINVAL;
    if (!family && !(family = add(state, e->name, file)))
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

/* ---- samples ---- */

static int compare_pairs(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The labels but the bound, sorted by name: what a group is known by. NULL when memory is out. */
static char *group_labels(const char *const *pairs, const char *part)
{
    const char *sorted[2 * MAX_LABELS];
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

static struct group *find_group(struct textfile_state *state, const struct family *family, char *labels)
{
    for (size_t i = state->group_count; i > 0; i--) { /* most often the last one */
        struct group *group = &state->groups[i - 1];
        if (group->family == family && same_labels(group->labels, labels)) {
            free(labels);
            return group;
        }
    }
    struct group *groups = state->group_count < MAX_GROUPS
                               ? realloc(state->groups, (state->group_count + 1) * sizeof *groups)
                               : NULL;
    if (!groups) {
        free(labels);
        return NULL;
    }
    state->groups = groups;
    state->groups[state->group_count] = (struct group){.family = family, .labels = labels};
    return &state->groups[state->group_count++];
}

static void note_part(struct textfile_state *state, const struct family *family, const char *name,
                      const char *const *pairs, double value)
{
    const char *part = part_label(family->type), *suffix = name + strlen(family->name);
    char *labels = part ? group_labels(pairs, part) : NULL;
    struct group *group = labels ? find_group(state, family, labels) : NULL;
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

static void emit_part(const struct group *group, const char *suffix, const char *bound, const char *help,
                      double value, struct metric_sink *sink)
{
    const char *pairs[2 * MAX_LABELS + 3];
    char name[PATH_BYTES];
    size_t at = 0;
    for (const char *label = group->labels; *label && at < 2 * MAX_LABELS;) {
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
static bool is_stray(const struct family *family, const char *name, const char *const *pairs)
{
    const char *part = part_label(family->type), *suffix = name + strlen(family->name);
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
    const char *words[2 * MAX_LABELS + 2] = {name};
    size_t count = 0;
    for (; pairs[2 * count]; count++) {
        words[2 * count + 1] = pairs[2 * count];
        words[2 * count + 2] = pairs[2 * count + 1];
    }
    qsort(words + 1, count, 2 * sizeof *words, compare_pairs);
    words[2 * count + 1] = NULL;
    return seen_set_add(&state->seen, words, MAX_SERIES) == 1;
}

/* The labels of the sample, those of its family that it lacks being empty; bounds are written anew. */
static void emit(struct textfile_state *state, struct metric_sink *sink, const struct family *family,
                 const char *help, const struct exposition_entry *e)
{
    const char *pairs[2 * MAX_LABELS + 1], *part = part_label(family->type);
    char *copies[MAX_LABELS], name[PATH_BYTES];
    size_t count = 0;
    char number[EXPOSITION_VALUE_BYTES];
    double bound;
    text_copy(e->name, name, sizeof name);
    for (size_t i = 0; i < e->label_count && count < MAX_LABELS; i++) {
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
        if (has || count == MAX_LABELS)
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

/* Its HELP; else where the metric was read, in storage. */
static const char *help_of(const struct textfile_state *state, const struct family *family,
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

/* The parts that a file does not have are 0; all observations are below +Inf. */
static void complete_groups(struct textfile_state *state, struct metric_sink *sink, struct buf *storage)
{
    for (size_t i = 0; i < state->group_count; i++) {
        const struct group *group = &state->groups[i];
        const char *help = help_of(state, group->family, storage);
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

/* ---- files ---- */

/* Calls for each entry of the file; 0, the file's or the parser's error, -EINVAL for a timestamp. */
static int read_file(struct textfile_state *state, const char *path, struct metric_sink *sink)
{
    static _Thread_local struct exposition_entry entry;
    struct procfile *file = procfile_new(*path == '/' ? "" : ".", *path == '/' ? path + 1 : path);
    struct exposition parser;
    struct bytes page;
    struct buf storage;
    int err = file ? procfile_read(file, &page) : -ENOMEM, got = 1;
    buf_init(&storage, 64 * PATH_BYTES);
    if (err == 0)
        err = textfile_check_page(page);
    exposition_init(&parser, err == 0 ? page : (struct bytes){0});
    while (err == 0 && (got = exposition_next(&parser, &entry)) == 1) {
        if (!sink) {
            err = take_entry(state, &entry, path);
        } else if (entry.kind == EXPOSITION_SAMPLE) {
            const struct family *family = find_of_sample(state, entry.name);
            if (family && !family->left_out && !family->hidden)
                emit(state, sink, family, help_of(state, family, &storage), &entry);
        }
    }
    if (sink)
        complete_groups(state, sink, &storage);
    exposition_fini(&parser);
    buf_fini(&storage);
    procfile_free(file);
    return err < 0 ? err : got < 0 ? got : 0;
}

/* A metric whose HELP is another one than in an earlier file is left out, from then on in all files. */
static void check_help(struct textfile_state *state)
{
    for (size_t i = state->file_begin; i < state->count; i++)
        for (size_t j = 0; j < state->file_begin; j++) {
            const struct family *earlier = &state->families[j];
            struct family *family = &state->families[i];
            if (!family->has_samples || strcmp(earlier->name, family->name) != 0 || !earlier->has_samples)
                continue;
            if (earlier->left_out ||
                (earlier->help && family->help && strcmp(earlier->help, family->help) != 0))
                state->errored = family->left_out = true;
        }
}

/* Whether one is a histogram or summary, and the other has the name of its sum, count or buckets. */
static bool is_part_of(const struct family *whole, const struct family *part)
{
    size_t len = strlen(whole->name);
    if (!part_label(whole->type) || strncmp(whole->name, part->name, len) != 0)
        return false;
    const char *suffix = part->name + len;
    return strcmp(suffix, "_sum") == 0 || strcmp(suffix, "_count") == 0 ||
           (whole->type == METRIC_HISTOGRAM && strcmp(suffix, "_bucket") == 0);
}

static bool is_hidden_by(const struct family *family, const struct family *earlier)
{
    if (!earlier->has_samples || earlier->left_out || earlier->hidden)
        return false;
    if (strcmp(family->name, earlier->name) != 0)
        return is_part_of(earlier, family) || is_part_of(family, earlier);
    return family->type != earlier->type || !family->help != !earlier->help;
}

/* Metrics that cannot stand on one page: the earlier ones stay. */
static void hide_conflicts(struct textfile_state *state)
{
    for (size_t i = 0; i < state->count; i++)
        for (size_t j = 0; j < i && !state->families[i].hidden && state->families[i].has_samples; j++)
            state->families[i].hidden = is_hidden_by(&state->families[i], &state->families[j]);
}

/* The folder's files: first all are looked through, then those without a fault are shown. */
static void look_through(struct textfile_state *state, const char *path)
{
    size_t before = state->count;
    state->file_begin = before;
    if (read_file(state, path, NULL) == 0) {
        check_help(state);
        return;
    }
    state->errored = true;
    add(state, (struct bytes){(const uint8_t *)"", 0}, path); /* so that it is known by name */
    for (size_t i = before; i < state->count; i++) {          /* nothing of it is shown */
        state->families[i].left_out = true;
        free(state->families[i].help);
        state->families[i].help = NULL;
        state->families[i].name[0] = '\0';
        state->families[i].has_samples = false;
    }
}

static void show(struct textfile_state *state, const char *path, struct metric_sink *sink)
{
    struct stat st;
    size_t begin = 0, end;
    while (begin < state->count && strcmp(state->families[begin].file, path) != 0)
        begin++;
    for (end = begin; end < state->count && strcmp(state->families[end].file, path) == 0; end++)
        ;
    if (begin < end && !state->families[begin].name[0])
        return;
    size_t count = state->count, file_begin = state->file_begin;
    state->file_begin = begin;
    state->count = end;
    read_file(state, path, sink);
    state->count = count;
    state->file_begin = file_begin;
    if (stat(path, &st) == 0)
        COLLECTOR_SAMPLE(sink, "node_textfile_mtime_seconds", METRIC_GAUGE,
                         "Unixtime mtime of textfiles successfully read.", (double)st.st_mtim.tv_sec, "file",
                         path);
}

/* Names that begin with a dot are as good as others. */
static int is_page(const struct dirent *entry)
{
    return text_ends(bytes_of_string(entry->d_name), ".prom");
}

static int compare_names(const struct dirent **left, const struct dirent **right)
{
    return strcmp((*left)->d_name, (*right)->d_name);
}

static void each_file(struct textfile_state *state, const char *folder, struct metric_sink *sink)
{
    struct dirent **entries;
    char path[PATH_BYTES];
    size_t len = strlen(folder);
    while (len > 1 && folder[len - 1] == '/')
        len--;
    int count = scandir(folder, &entries, is_page, compare_names);
    if (count < 0) {
        state->errored = true;
        return;
    }
    for (int i = 0; i < count; i++) {
        snprintf(path, sizeof path, "%.*s/%s", (int)len, folder, entries[i]->d_name);
        if (sink)
            show(state, path, sink);
        else
            look_through(state, path);
        free(entries[i]);
    }
    free(entries);
}

/* sink NULL: only look through. */
static void each_folder(struct textfile_state *state, struct metric_sink *sink)
{
    const char *pattern;
    for (size_t at = 0; (pattern = collector_flag_next(state->config, "textfile.directory", &at));) {
        glob_t found;
        if (!*pattern)
            continue;
        if (glob(pattern, GLOB_NOCHECK, NULL, &found) != 0)
            continue;
        for (size_t i = 0; i < found.gl_pathc; i++)
            each_file(state, found.gl_pathv[i], sink);
        globfree(&found);
    }
}

static int update(void *ctx, struct metric_sink *sink)
{
    struct textfile_state *state = ctx;
    state->errored = false;
    each_folder(state, NULL);
    state->total = state->count;
    hide_conflicts(state);
    seen_set_clear(&state->seen);
    each_folder(state, sink);
    forget(state);
    collector_emit(sink, "node_textfile_scrape_error", METRIC_GAUGE,
                   "1 if there was an error opening or reading a file, 0 otherwise", state->errored);
    return 0;
}

static const char *const flags[] = {"textfile.directory=", NULL};

const struct collector collector_textfile = {.name = "textfile",
                                             .enabled_by_default = true,
                                             .start = start,
                                             .update = update,
                                             .stop = stop,
                                             .flags = flags};
