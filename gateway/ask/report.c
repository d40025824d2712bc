#include "gateway/ask/report.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

enum { CATCHING_UP_S = 10 };

int64_t report_imbalance(const struct buffer_ledger *ledger)
{
    int64_t left = (int64_t)ledger->accepted - (int64_t)ledger->buffered;
    for (int cause = 0; cause < BUFFER_CAUSES; cause++)
        left -= (int64_t)ledger->by_cause[cause];
    return left;
}

static double lag_s(const struct report *report, const struct fanout_view *view)
{
    int64_t oldest = view->ledger.oldest_committed_ns;
    return oldest ? (double)(report->now_ns - oldest) / 1e9 : 0;
}

static bool is_live(const struct report *report, const struct fanout_view *view)
{
    return !view->away && lag_s(report, view) <= CATCHING_UP_S;
}

static const char *state_of(const struct report *report, const struct fanout_view *view)
{
    return view->away ? "away" : is_live(report, view) ? "ok" : "catching up";
}

double report_end_s(const struct report *report, size_t backend)
{
    const struct fanout_view *view = &report->backends[backend];
    return is_live(report, view) ? 0 : rate_end_s(&report->rates[backend], view->ledger.lag_bytes);
}

/* Until the oldest batch owed is as old as the quota allows; -1: there is no such quota, or it is not behind.
 */
static double age_runway_s(const struct report *report, const struct fanout_view *view)
{
    double quota_s = (double)report->buffers[view->signal].quota_age_ms / 1000;
    double lag_s = (double)(report->now_ns - view->ledger.oldest_committed_ns) / 1e9;
    bool is_behind = view->away && view->ledger.oldest_committed_ns && quota_s > 0;
    return !is_behind ? -1 : lag_s < quota_s ? quota_s - lag_s : 0;
}

double report_runway_s(const struct report *report, enum telemetry signal)
{
    double shortest = -1;
    for (size_t i = 0; i < report->backend_count; i++) {
        const struct fanout_view *view = &report->backends[i];
        if (view->signal != signal || is_live(report, view))
            continue;
        int64_t held = buffer_held_bytes(view->ledger.lag_rows, view->ledger.lag_bytes);
        double runway = rate_runway_s(&report->rates[i], report->buffers[signal].room_bytes - held);
        if (runway >= 0 && (shortest < 0 || runway < shortest))
            shortest = runway;
        runway = age_runway_s(report, view);
        if (runway >= 0 && (shortest < 0 || runway < shortest))
            shortest = runway;
    }
    return shortest;
}

/* ---- lines */

/* Of all the backend's senders since its start: no part of the balance. */
static int print_discarded(const struct discarded *discarded, struct buf *out)
{
    if (!discarded || discarded->count == 0)
        return 0;
    int err = buf_append_string(out, "; the backend says it discarded");
    for (size_t i = 0; err == 0 && i < discarded->count; i++)
        err = buf_printf(out, "%s %llu %s", i ? "," : "", (unsigned long long)discarded->reasons[i].records,
                         discarded->reasons[i].reason);
    return err;
}

static const struct discarded *discarded_of(const struct report *report, size_t backend)
{
    return report->discarded ? report->discarded[backend] : NULL;
}

int report_ledger(const struct report *report, struct buf *out)
{
    int err = report->backend_count ? 0 : buf_append_string(out, "no backend is configured\n");
    for (size_t i = 0; err == 0 && i < report->backend_count; i++) {
        const struct fanout_view *view = &report->backends[i];
        const struct buffer_ledger *l = &view->ledger;
        err = buf_printf(out, "%s %s %s: accepted %llu =", report->name, telemetry_name(view->signal),
                         view->name, (unsigned long long)l->accepted);
        for (int cause = 0; err == 0 && cause < BUFFER_CAUSES; cause++)
            err = buf_printf(out, " %s %llu +", buffer_cause_name((enum buffer_cause)cause),
                             (unsigned long long)l->by_cause[cause]);
        if (err == 0)
            err = buf_printf(out, " buffered %llu", (unsigned long long)l->buffered);
        if (err == 0 && l->replayed)
            err = buf_printf(out, "; replayed %llu", (unsigned long long)l->replayed);
        if (err == 0)
            err = print_discarded(discarded_of(report, i), out);
        int64_t left = report_imbalance(l);
        if (err == 0)
            err = left ? buf_printf(out, "; %lld records DO NOT BALANCE\n", (long long)left)
                       : buf_append_string(out, "; balanced\n");
    }
    return err;
}

/* A span of time as a person says it. */
static const char *span(double seconds, char storage[32])
{
    if (seconds < 0)
        return "-";
    if (seconds < 120)
        snprintf(storage, 32, "%.1f s", seconds);
    else if (seconds < 7200)
        snprintf(storage, 32, "%.0f min", seconds / 60);
    else
        snprintf(storage, 32, "%.1f h", seconds / 3600);
    return storage;
}

/* What a buffer acknowledged and lost: damage in a WAL shows so. */
static int print_missing(const struct receive_agent *agent, struct buf *out)
{
    int err = 0;
    for (int s = 0; err == 0 && s < TELEMETRY_COUNT; s++) {
        const struct origin_missing *m = &agent->missing[s];
        if (m->batches)
            err = buf_printf(out, "; acknowledged %s batches missing: %llu (seq %llu-%llu)",
                             telemetry_name((enum telemetry)s), (unsigned long long)m->batches,
                             (unsigned long long)m->first, (unsigned long long)m->last);
    }
    return err < 0 ? err : buf_append_string(out, "\n");
}

static int print_agents(const struct report *report, struct buf *out)
{
    char seen[32];
    int err = buf_printf(out, "agents: %zu\n", report->agent_count);
    for (size_t i = 0; err == 0 && i < report->agent_count; i++) {
        const struct receive_agent *agent = &report->agents[i];
        err = buf_printf(
            out, "  %s: seen %s ago, clock %+.3f s, batches: metrics %llu, logs %llu, traces %llu",
            agent->origin, span((double)(report->now_ns - agent->last_seen_ns) / 1e9, seen),
            (double)agent->clock_skew_ns / 1e9, (unsigned long long)agent->batches[TELEMETRY_METRICS],
            (unsigned long long)agent->batches[TELEMETRY_LOGS],
            (unsigned long long)agent->batches[TELEMETRY_TRACES]);
        if (err == 0)
            err = print_missing(agent, out);
    }
    return err;
}

static int print_backend(const struct report *report, size_t i, struct buf *out)
{
    const struct fanout_view *view = &report->backends[i];
    const struct rate_view *rate = &report->rates[i];
    char lag[32], end[32];
    return buf_printf(
        out,
        "  %s %s: %s; behind by %lld batches, %lld bytes, %s; settles %.0f records/s, %.0f bytes/s; "
        "caught up in: %s%s%s\n",
        telemetry_name(view->signal), view->name, state_of(report, view), (long long)view->ledger.lag_rows,
        (long long)view->ledger.lag_bytes, span(lag_s(report, view), lag), rate->records_per_s,
        rate->bytes_per_s, span(report_end_s(report, i), end), view->last_error[0] ? "; last error: " : "",
        view->last_error);
}

static int print_buffer(const struct report *report, enum telemetry signal, struct buf *out)
{
    const struct buffer_state *state = &report->buffers[signal];
    char runway[32];
    return buf_printf(out, "  %s: file %lld, WAL %lld of %lld bytes; %lld batches; runway: %s%s%s%s\n",
                      telemetry_name(signal), (long long)state->file_bytes, (long long)state->wal_bytes,
                      (long long)state->quota_bytes, (long long)state->rows,
                      span(report_runway_s(report, signal), runway),
                      state->can_commit ? "" : "; CANNOT COMMIT",
                      state->wal_reader[0] ? "; the WAL is held by " : "", state->wal_reader);
}

int report_status(const struct report *report, struct buf *out)
{
    int err = buf_printf(out, "gateway %s: %s\n", report->name, report->is_draining ? "draining" : "running");
    if (err == 0)
        err = print_agents(report, out);
    if (err == 0)
        err = buf_printf(out, "backends: %zu\n", report->backend_count);
    for (size_t i = 0; err == 0 && i < report->backend_count; i++)
        err = print_backend(report, i, out);
    if (err == 0)
        err = buf_append_string(out, "buffers:\n");
    for (int s = 0; err == 0 && s < TELEMETRY_COUNT; s++)
        err = print_buffer(report, (enum telemetry)s, out);
    return err;
}

/* ---- JSON */

static int dump(json_t *json, struct buf *out)
{
    char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;
    int err = text ? buf_printf(out, "%s\n", text) : -ENOMEM;
    free(text);
    json_decref(json);
    return err;
}

static json_t *discarded_json(const struct discarded *discarded)
{
    json_t *reasons = discarded ? json_object() : json_null();
    for (size_t i = 0; discarded && i < discarded->count; i++)
        json_object_set_new(reasons, discarded->reasons[i].reason,
                            json_integer((json_int_t)discarded->reasons[i].records));
    return reasons;
}

static json_t *ledger_json(const struct fanout_view *view)
{
    const struct buffer_ledger *l = &view->ledger;
    json_t *json =
        json_pack("{s:s, s:s, s:I, s:I, s:I, s:I}", "signal", telemetry_name(view->signal), "backend",
                  view->name, "accepted", (json_int_t)l->accepted, "buffered", (json_int_t)l->buffered,
                  "replayed", (json_int_t)l->replayed, "imbalance", (json_int_t)report_imbalance(l));
    for (int cause = 0; cause < BUFFER_CAUSES; cause++)
        json_object_set_new(json, buffer_cause_name((enum buffer_cause)cause),
                            json_integer((json_int_t)l->by_cause[cause]));
    return json;
}

int report_ledger_json(const struct report *report, struct buf *out)
{
    json_t *list = json_array();
    for (size_t i = 0; i < report->backend_count; i++) {
        json_t *ledger = ledger_json(&report->backends[i]);
        json_object_set_new(ledger, "discarded_by_backend", discarded_json(discarded_of(report, i)));
        json_array_append_new(list, ledger);
    }
    return dump(json_pack("{s:s, s:o}", "gateway", report->name, "ledgers", list), out);
}

static json_t *missing_json(const struct receive_agent *agent)
{
    json_t *list = json_array();
    for (int s = 0; s < TELEMETRY_COUNT; s++) {
        const struct origin_missing *m = &agent->missing[s];
        if (m->batches)
            json_array_append_new(list, json_pack("{s:s, s:I, s:I, s:I}", "signal",
                                                  telemetry_name((enum telemetry)s), "batches",
                                                  (json_int_t)m->batches, "first_seq", (json_int_t)m->first,
                                                  "last_seq", (json_int_t)m->last));
    }
    return list;
}

static json_t *agents_json(const struct report *report)
{
    json_t *list = json_array();
    for (size_t i = 0; i < report->agent_count; i++) {
        const struct receive_agent *a = &report->agents[i];
        json_array_append_new(
            list, json_pack("{s:s, s:f, s:f, s:{s:I, s:I, s:I}, s:o}", "origin", a->origin,
                            "last_seen_seconds", (double)(report->now_ns - a->last_seen_ns) / 1e9,
                            "clock_skew_seconds", (double)a->clock_skew_ns / 1e9, "batches", "metrics",
                            (json_int_t)a->batches[TELEMETRY_METRICS], "logs",
                            (json_int_t)a->batches[TELEMETRY_LOGS], "traces",
                            (json_int_t)a->batches[TELEMETRY_TRACES], "missing", missing_json(a)));
    }
    return list;
}

/* What is not known, or for ever, is null. */
static json_t *seconds_json(double seconds)
{
    return seconds < 0 ? json_null() : json_real(seconds);
}

static json_t *backends_json(const struct report *report)
{
    json_t *list = json_array();
    for (size_t i = 0; i < report->backend_count; i++) {
        const struct fanout_view *v = &report->backends[i];
        const struct rate_view *rate = &report->rates[i];
        json_array_append_new(
            list, json_pack("{s:s, s:s, s:s, s:I, s:I, s:f, s:f, s:f, s:o, s:I, s:s}", "signal",
                            telemetry_name(v->signal), "backend", v->name, "state", state_of(report, v),
                            "lag_batches", (json_int_t)v->ledger.lag_rows, "lag_bytes",
                            (json_int_t)v->ledger.lag_bytes, "lag_seconds", lag_s(report, v),
                            "records_per_second", rate->records_per_s, "bytes_per_second", rate->bytes_per_s,
                            "end_seconds", seconds_json(report_end_s(report, i)), "last_delivered_ns",
                            (json_int_t)v->last_delivered_ns, "last_error", v->last_error));
    }
    return list;
}

static json_t *buffers_json(const struct report *report)
{
    json_t *list = json_array();
    for (int s = 0; s < TELEMETRY_COUNT; s++) {
        const struct buffer_state *b = &report->buffers[s];
        json_array_append_new(
            list,
            json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:b, s:o, s:s}", "signal",
                      telemetry_name((enum telemetry)s), "file_bytes", (json_int_t)b->file_bytes, "wal_bytes",
                      (json_int_t)b->wal_bytes, "quota_bytes", (json_int_t)b->quota_bytes, "batches",
                      (json_int_t)b->rows, "damaged", (json_int_t)b->damaged_rows, "can_commit",
                      b->can_commit, "runway_seconds",
                      seconds_json(report_runway_s(report, (enum telemetry)s)), "wal_reader", b->wal_reader));
    }
    return list;
}

int report_status_json(const struct report *report, struct buf *out)
{
    return dump(json_pack("{s:s, s:b, s:o, s:o, s:o}", "gateway", report->name, "draining",
                          report->is_draining, "agents", agents_json(report), "backends",
                          backends_json(report), "buffers", buffers_json(report)),
                out);
}
