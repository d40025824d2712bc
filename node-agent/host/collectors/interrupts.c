/* interrupts.c - /proc/interrupts: a head with a word for each CPU, then lines "NAME: COUNT ... WORDS"; a
 * numbered one's first word is its controller, the others its devices. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "node-agent/host/collector_flags.h"
#include "node-agent/host/collectors/table.h"
#include "node-agent/host/procfile.h"
#include "node-agent/host/text.h"
#include "node-agent/pattern.h"

enum { NAME_BYTES = 64, WORDS_BYTES = 512, FILTER_BYTES = 1200 };

struct interrupts_state {
    struct procfile *file; /* owned */
    struct pattern_filter names;
    bool with_zeros;
};

static void stop(void *ctx)
{
    struct interrupts_state *state = ctx;
    procfile_free(state->file);
    pattern_filter_fini(&state->names);
    free(state);
}

static int start(const struct agent_config *config, void **ret_state)
{
    struct interrupts_state *state = calloc(1, sizeof *state);
    if (!state)
        return -ENOMEM;
    int err =
        pattern_filter_init(&state->names, config, "interrupts.name-include", "interrupts.name-exclude", "");
    state->with_zeros = collector_flag_is_on(config, "interrupts.include-zeros", true);
    state->file = procfile_new_long(config->host_metrics.path_procfs, "interrupts");
    if (err == 0 && !state->file)
        err = -ENOMEM;
    if (err < 0)
        stop(state);
    else
        *ret_state = state;
    return err;
}

/* The words of the rest of a line, one blank between them. */
static void join_words(struct bytes line, char words[WORDS_BYTES])
{
    struct bytes word;
    size_t len = 0;
    words[0] = '\0';
    while (text_field(&line, &word) && len + word.len + 2 < WORDS_BYTES) {
        if (len)
            words[len++] = ' ';
        text_copy(word, words + len, WORDS_BYTES - len);
        len += word.len;
    }
}

/* Info and devices; false where nothing stands behind the counts, as for the sums over all CPUs. */
static bool take_words(struct bytes name, struct bytes rest, char info[WORDS_BYTES],
                       char devices[WORDS_BYTES])
{
    struct bytes word, all = rest;
    if (!text_field(&rest, &word))
        return false;
    bool is_numbered = name.len && text_digits(name) == name.len;
    devices[0] = '\0';
    if (is_numbered) {
        text_copy(word, info, WORDS_BYTES);
        join_words(rest, devices);
    } else {
        join_words(all, info);
    }
    return true;
}

static int emit_counts(const struct interrupts_state *state, struct bytes counts, uint64_t cpus,
                       const char *const labels[6], struct metric_sink *sink)
{
    struct bytes field;
    for (uint64_t i = 0; i < cpus && text_field(&counts, &field); i++) {
        double value;
        char cpu[24];
        if (text_double(field, &value) < 0)
            return -EINVAL;
        if (value == 0 && !state->with_zeros)
            continue;
        snprintf(cpu, sizeof cpu, "%llu", (unsigned long long)i);
        const char *const pairs[] = {"cpu",     cpu,       "type",    labels[0], "info",
                                     labels[1], "devices", labels[2], NULL};
        sink->sample(sink, "node_interrupts_total", METRIC_COUNTER, "Interrupt details.", pairs, value);
    }
    return 0;
}

static int update_line(const struct interrupts_state *state, struct bytes line, uint64_t cpus,
                       struct metric_sink *sink)
{
    char name[NAME_BYTES], info[WORDS_BYTES], devices[WORDS_BYTES], filter[FILTER_BYTES];
    const uint8_t *colon = line.len ? memchr(line.ptr, ':', line.len) : NULL;
    if (!colon)
        return 0;
    struct bytes head = {line.ptr, (size_t)(colon - line.ptr)}, rest = bytes_skip(line, head.len + 1), field;
    while (head.len && *head.ptr == ' ')
        head = bytes_skip(head, 1);
    struct bytes counts = rest;
    for (uint64_t i = 0; i < cpus; i++)
        if (!text_field(&rest, &field))
            return 0;
    if (!take_words(head, rest, info, devices))
        return 0;
    text_copy(head, name, sizeof name);
    snprintf(filter, sizeof filter, "%s;%s;%s", name, info, devices);
    if (!pattern_filter_passes(&state->names, bytes_of_string(filter)))
        return 0;
    return emit_counts(state, counts, cpus, (const char *const[6]){name, info, devices}, sink);
}

static int update(void *ctx, struct metric_sink *sink)
{
    const struct interrupts_state *state = ctx;
    struct bytes text, line, field;
    uint64_t cpus = 0;
    int err = procfile_read(state->file, &text);
    if (err == 0 && !text_line(&text, &line))
        err = -EINVAL;
    while (err == 0 && text_field(&line, &field))
        cpus++;
    while (err == 0 && text_line(&text, &line))
        err = update_line(state, line, cpus, sink);
    return err;
}

static const char *const flags[] = {"interrupts.name-include=~", "interrupts.name-exclude=~",
                                    "interrupts.include-zeros", NULL};

const struct collector collector_interrupts = {
    .name = "interrupts", .start = start, .update = update, .stop = stop, .flags = flags};
