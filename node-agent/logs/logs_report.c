#include "node-agent/logs/logs_report.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "node-agent/logs/access_why.h"
#include "node-agent/logs/logs_entries.h"

enum { MAX_TROUBLES = 8, TROUBLE_LEN = 2048 };

struct troubles { /* what hinders all logs */
    char texts[MAX_TROUBLES][TROUBLE_LEN];
    size_t count;
};

struct writing {
    struct buf *out;
    bool is_json;
    size_t entries, left_out;
    int err;
};

static void add(struct writing *w, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void add(struct writing *w, const char *format, ...)
{
    char text[8192];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (w->err == 0)
        w->err = buf_append_string(w->out, text);
}

/* A JSON string (RFC 8259, section 7) of bytes that are valid UTF-8 or become '?'. */
static void add_quoted(struct writing *w, struct bytes text)
{
    add(w, "\"");
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = text.ptr[i];
        if (c == '"' || c == '\\')
            add(w, "\\%c", c);
        else if (c < 0x20 || c >= 0x7f)
            add(w, c < 0x20 ? "\\u%04x" : "?", c);
        else
            add(w, "%c", c);
    }
    add(w, "\"");
}

static void add_member(struct writing *w, const char *name, struct bytes text)
{
    add(w, "\"%s\":", name);
    add_quoted(w, text);
    add(w, ",");
}

/* ---- one file */

static void add_counts(struct writing *w, const struct log_tally *tally)
{
    const char *separator = "";
    for (int i = 0; i < LOG_EFFECTS; i++) {
        if (tally->counts[i] == 0)
            continue;
        add(w, "%s\"%s\":%" PRIu64, separator, log_tally_name((enum log_effect)i), tally->counts[i]);
        separator = ",";
    }
}

static void add_json(struct writing *w, const struct logs_entry *e)
{
    add(w, "%s\n{", w->entries ? "," : "");
    add_member(w, "namespace", e->namespace);
    add_member(w, "pod", e->pod);
    add_member(w, "container", e->container);
    add_member(w, "path", bytes_of_string(e->path));
    add_member(w, "state", bytes_of_string(e->state));
    add_member(w, "format", bytes_of_string(e->format));
    add_member(w, "error", bytes_of_string(e->why));
    add(w,
        "\"restart\":%" PRIu32 ",\"size\":%" PRIu64 ",\"read\":%" PRIu64 ",\"sent\":%" PRIu64
        ",\"committed\":%" PRIu64 ",\"delivered\":%" PRIu64 ",\"bytes_per_second\":%.0f,\"lines\":{",
        e->restart, e->size, e->read, e->sent, e->committed, e->delivered, e->bytes_per_second);
    if (e->tally)
        add_counts(w, e->tally);
    add(w, "}");
    if (e->tally && e->tally->rule) {
        add(w, ",\"rule\":");
        add_quoted(w, bytes_of_string(e->tally->rule));
    }
    add(w, "}");
}

/* What became of lines that did not go out as they were read. */
static const char *words_of(enum log_effect effect)
{
    static const char *const words[LOG_EFFECTS] = {
        [LOG_EXCLUDED_BYTES] = "bytes passed over: excluded",
        [LOG_SKIPPED_BYTES] = "bytes skipped: before where logs.read_from begins",
        [LOG_DROPPED_LINE] = "lines dropped: they match drop_lines",
        [LOG_DROPPED_KEEP] = "lines dropped: they match none of keep_lines",
        [LOG_DROPPED_RATE] = "lines dropped: rate-limited, over the container's rate",
        [LOG_DROPPED_OLD] = "lines dropped: older than the backend takes",
        [LOG_DROPPED_BEHIND] = "lines dropped: too far behind their stream's newest",
        [LOG_DROPPED_AHEAD] = "lines dropped: too far ahead of this machine's clock",
        [LOG_REDACTED] = "lines redacted",
        [LOG_JOINED] = "lines joined to the one before",
        [LOG_JOIN_SPLIT] = "joined lines ended at a bound",
        [LOG_CUT] = "lines cut at max_line_bytes",
        [LOG_UNPARSED] = "lines in an unknown format (neither CRI nor Docker), sent as they are",
    };
    return words[effect];
}

static bool is_by_rule(enum log_effect effect)
{
    return effect == LOG_EXCLUDED_BYTES || effect == LOG_DROPPED_LINE || effect == LOG_DROPPED_KEEP ||
           effect == LOG_DROPPED_RATE;
}

static void add_tally(struct writing *w, const struct log_tally *tally)
{
    for (int i = 0; i < LOG_EFFECTS; i++) {
        const char *words = words_of((enum log_effect)i);
        if (tally->counts[i] == 0 || !words)
            continue;
        add(w, "    %" PRIu64 " %s", tally->counts[i], words);
        if (is_by_rule((enum log_effect)i) && tally->rule)
            add(w, ", by rule %s", tally->rule);
        add(w, "\n");
    }
}

static void add_human(struct writing *w, const struct logs_entry *e)
{
    if (!e->tally) {
        add(w, "%s\n    not read: %s\n", e->path, e->why);
        return;
    }
    add(w,
        "%s\n    %s, %s, size %" PRIu64 ", read %" PRIu64 ", sent %" PRIu64 ", committed %" PRIu64
        ", delivered %" PRIu64 ", %" PRIu64 " lines, %.0f B/s\n",
        e->path, e->state, e->format, e->size, e->read, e->sent, e->committed, e->delivered,
        e->tally->counts[LOG_SENT], e->bytes_per_second);
    add_tally(w, e->tally);
    if (e->why[0])
        add(w, "    error: %s\n", e->why);
}

static void on_entry(void *ctx, const struct logs_entry *entry)
{
    struct writing *w = ctx;
    if (w->entries >= LOGS_REPORT_MOST) {
        w->left_out++;
        return;
    }
    if (w->is_json)
        add_json(w, entry);
    else
        add_human(w, entry);
    w->entries++;
}

/* ---- what hinders all */

static void add_trouble(struct troubles *troubles, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static void add_trouble(struct troubles *troubles, const char *format, ...)
{
    va_list arguments;
    if (troubles->count == MAX_TROUBLES)
        return;
    va_start(arguments, format);
    vsnprintf(troubles->texts[troubles->count++], TROUBLE_LEN, format, arguments);
    va_end(arguments);
}

static void find_save_trouble(const struct logs_standing *standing, struct troubles *troubles)
{
    struct buf why;
    if (standing->save_error == 0)
        return;
    buf_init(&why, TROUBLE_LEN - 512);
    access_why_tell(standing->config->state_folder, ACCESS_WRITE, standing->save_error, &why);
    add_trouble(troubles, "offsets cannot be saved to %s: %.*s", standing->offsets_path, (int)why.len,
                why.ptr ? (const char *)why.ptr : "");
    buf_fini(&why);
}

static void find_gateway_trouble(const struct logs_report *report, struct troubles *troubles)
{
    const char *gateway = ship_gateway(report->ship), *trouble = ship_trouble(report->ship, TELEMETRY_LOGS);
    if (!gateway[0])
        add_trouble(troubles, "no gateway is up: nothing is read until one is");
    else if (trouble[0])
        add_trouble(troubles, "queue full: nothing more is read: %s", trouble);
}

static void find_troubles(const struct logs_report *report, const struct logs_standing *standing, size_t pods,
                          size_t others, struct troubles *troubles)
{
    const char *root = standing->config->logs.root;
    find_gateway_trouble(report, troubles);
    find_save_trouble(standing, troubles);
    if (pods == 0 && access_why_is_folder(root))
        add_trouble(
            troubles,
            "wrong root? %s has no folder of a pod (NAMESPACE_POD_UID), and %zu other names; logs.root "
            "is where the kubelet keeps pod logs, usually /var/log/pods",
            root, others);
}

static void add_troubles(struct writing *w, const struct troubles *troubles)
{
    for (size_t i = 0; i < troubles->count; i++) {
        if (w->is_json) {
            add(w, "%s", i ? "," : "");
            add_quoted(w, bytes_of_string(troubles->texts[i]));
        } else
            add(w, "! %s\n", troubles->texts[i]);
    }
}

/* ---- the whole */

static void count_entry(void *ctx, const struct logs_entry *entry)
{
    (void)ctx;
    (void)entry;
}

static void write_head(struct writing *w, const struct logs_report *report,
                       const struct logs_standing *standing, const struct troubles *troubles)
{
    const char *gateway = ship_gateway(report->ship);
    if (!w->is_json) {
        add(w, "node %s, root %s, gateway %s\n", standing->config->node, standing->config->logs.root,
            gateway[0] ? gateway : "none");
        add_troubles(w, troubles);
        return;
    }
    add(w, "{");
    add_member(w, "node", bytes_of_string(standing->config->node));
    add_member(w, "root", bytes_of_string(standing->config->logs.root));
    add_member(w, "gateway", bytes_of_string(gateway));
    add(w, "\"troubles\":[");
    add_troubles(w, troubles);
    add(w, "],\"files\":[");
}

static int write_report(const struct logs_report *report, const struct logs_wanted *wanted, bool is_json,
                        struct buf *out)
{
    static const struct logs_wanted none = {
        {(const uint8_t *)"/", 1}, {0}, {0}}; /* no namespace has a slash */
    struct logs_standing standing = logs_get_standing(report->logs);
    struct writing w = {.out = out, .is_json = is_json};
    struct troubles troubles = {.count = 0};
    size_t pods, others;
    logs_entries_missed(&standing, &none, count_entry, NULL, &pods, &others);
    find_troubles(report, &standing, pods, others, &troubles);
    write_head(&w, report, &standing, &troubles);
    logs_entries_followed(&standing, wanted, on_entry, &w);
    logs_entries_missed(&standing, wanted, on_entry, &w, &pods, &others);
    if (is_json)
        add(&w, "],\"left_out\":%zu}\n", w.left_out);
    else if (w.left_out)
        add(&w, "%zu further files are left out: ask for a pod\n", w.left_out);
    else if (w.entries == 0)
        add(&w, "no log file%s\n", wanted->namespace.len ? " of that name" : "");
    return w.err;
}

static void serve(struct http_request *request, void *ctx)
{
    char format[16], of[1024];
    struct logs_wanted wanted = {{0}, {0}, {0}};
    struct buf text;
    const char *asked = http_request_param(request, "format", format, sizeof format);
    bool is_json = asked && strcmp(asked, "json") == 0;
    const char *names = http_request_param(request, "of", of, sizeof of);
    if (names && logs_entries_parse(names, &wanted) < 0) {
        http_answer_text(request, 400, "not NAMESPACE/POD/CONTAINER\n");
        return;
    }
    buf_init(&text, LOGS_REPORT_BYTES);
    int err = write_report(ctx, &wanted, is_json, &text);
    if (err < 0)
        http_answer_text(request, 503,
                         err == -ENOMEM ? "out of memory\n" : "too much to tell: ask for a pod\n");
    else
        http_answer(request, 200, NULL, is_json ? "application/json" : "text/plain; charset=utf-8",
                    buf_bytes(&text));
    buf_fini(&text);
}

void logs_report_add(struct control *control, struct logs_report *report)
{
    control_add(control, "GET", "/logs", serve, report);
}
