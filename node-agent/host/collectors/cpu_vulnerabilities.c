/* cpu_vulnerabilities.c - /sys/devices/system/cpu/vulnerabilities: a file for each, "STATE" or "STATE:
 * WORDS". */
#include <errno.h>
#include <stdio.h>
#include <strings.h>

#include "node-agent/host/collectors/table.h"
#include "node-agent/host/sysfs.h"
#include "node-agent/host/text.h"

enum { WORD_BYTES = 1024 };

/* The text's fields after the first, with single blanks between them. */
static void take_words(const char *text, char words[WORD_BYTES])
{
    struct bytes rest = bytes_of_string(text), field;
    size_t len = 0;
    words[0] = '\0';
    text_field(&rest, &field);
    while (text_field(&rest, &field) && len + field.len + 2 < WORD_BYTES)
        len += (size_t)snprintf(words + len, WORD_BYTES - len, "%s%.*s", len ? " " : "", (int)field.len,
                                (const char *)field.ptr);
}

static void emit(struct metric_sink *sink, const char *name, const char *text)
{
    static const char *const states[] = {"not affected", "vulnerable", "mitigation", "unknown"};
    char words[WORD_BYTES];
    const char *state = "unknown";
    snprintf(words, sizeof words, "%s", text);
    for (int i = 0; i < 4; i++) {
        if (strncasecmp(text, states[i], strlen(states[i])) != 0)
            continue;
        state = states[i];
        take_words(i ? text : "", words);
        break;
    }
    COLLECTOR_SAMPLE(
        sink, "node_cpu_vulnerabilities_info", METRIC_GAUGE,
        "Details of each CPU vulnerability reported by sysfs. The value of the series is an int encoded "
        "state of the vulnerability. The same state is stored as a string in the label",
        1, "codename", name, "state", state, "mitigation", words);
}

static int update(void *ctx, struct metric_sink *sink)
{
    const struct agent_config *config = ctx;
    const char *sysfs = config->host_metrics.path_sysfs;
    struct sysfs_names names;
    char text[WORD_BYTES];
    int err = sysfs_list(&names, "%s/devices/system/cpu/vulnerabilities", sysfs);
    if (err < 0)
        return 0; /* none: nothing to say, which is no failure */
    for (size_t i = 0; i < names.count && err == 0; i++) {
        err =
            sysfs_word(text, sizeof text, "%s/devices/system/cpu/vulnerabilities/%s", sysfs, names.items[i]);
        if (err == 0)
            emit(sink, names.items[i], text);
    }
    sysfs_names_fini(&names);
    return err;
}

const struct collector collector_cpu_vulnerabilities = {.name = "cpu_vulnerabilities",
                                                        .start = collector_start_with_config,
                                                        .update = update,
                                                        .stop = collector_stop_nothing};
