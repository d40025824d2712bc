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
#include "node-agent/host/collectors/textfile_pages.h"
#include "node-agent/host/procfile.h"
#include "node-agent/host/text.h"

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
    textfile_families_forget(state);
    free(state->families);
    seen_set_fini(&state->seen);
    free(state);
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
    buf_init(&storage, 64 * TEXTFILE_PATH_BYTES);
    if (err == 0)
        err = textfile_check_page(page);
    exposition_init(&parser, err == 0 ? page : (struct bytes){0});
    while (err == 0 && (got = exposition_next(&parser, &entry)) == 1) {
        if (!sink) {
            err = textfile_families_take(state, &entry, path);
        } else if (entry.kind == EXPOSITION_SAMPLE) {
            const struct textfile_family *family = textfile_families_find(state, entry.name);
            if (family && !family->left_out && !family->hidden)
                textfile_samples_emit(state, sink, family, textfile_families_help(state, family, &storage),
                                      &entry);
        }
    }
    if (sink)
        textfile_samples_complete(state, sink, &storage);
    exposition_fini(&parser);
    buf_fini(&storage);
    procfile_free(file);
    return err < 0 ? err : got < 0 ? got : 0;
}

/* The folder's files: first all are looked through, then those without a fault are shown. */
static void look_through(struct textfile_state *state, const char *path)
{
    size_t before = state->count;
    state->file_begin = before;
    if (read_file(state, path, NULL) == 0) {
        textfile_families_check_help(state);
        return;
    }
    state->errored = true;
    textfile_families_add(state, (struct bytes){(const uint8_t *)"", 0},
                          path);                     /* so that it is known by name */
    for (size_t i = before; i < state->count; i++) { /* nothing of it is shown */
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
    char path[TEXTFILE_PATH_BYTES];
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
    textfile_families_hide_conflicts(state);
    seen_set_clear(&state->seen);
    each_folder(state, sink);
    textfile_families_forget(state);
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
