#include "node-agent/logs/log_bulk.h"

static bool is_settled(const struct log_bulks *all, const struct log_bulk *log)
{
    if (log->is_in_flight)
        return false;
    if (log->last_seq)
        return log->last_seq <= all->delivered[log->is_bulk];
    return log->is_clear || !all->held_before[log->is_bulk];
}

static bool wants_change(const struct log_bulks *all, struct log_bulk *log, uint64_t unread, int64_t now_ns)
{
    bool is_loud = all->bytes && unread >= (log->is_bulk ? all->bytes / 4 : all->bytes);
    if (is_loud)
        log->loud_ns = now_ns;
    return log->is_bulk ? !is_loud && now_ns - log->loud_ns >= LOG_BULK_CALM_NS : is_loud;
}

static void change(struct log_bulk *log)
{
    *log = (struct log_bulk){
        .is_bulk = !log->is_bulk, .is_born = true, .is_clear = true, .loud_ns = log->loud_ns};
}

enum log_bulk_turn log_bulk_turn(const struct log_bulks *all, struct log_bulk *log, uint64_t unread,
                                 int64_t now_ns)
{
    if (!wants_change(all, log, unread, now_ns) || now_ns < log->rest_ns) {
        log->waiting_ns = 0;
        return LOG_BULK_READ;
    }
    if (is_settled(all, log)) {
        change(log);
        return LOG_BULK_READ;
    }
    if (!log->waiting_ns)
        log->waiting_ns = now_ns;
    if (now_ns - log->waiting_ns < LOG_BULK_WAIT_NS)
        return LOG_BULK_WAIT;
    log->waiting_ns = 0;
    log->rest_ns = now_ns + LOG_BULK_REST_NS;
    return LOG_BULK_READ;
}

void log_bulk_committed(struct log_bulk *log, uint64_t seq)
{
    if (!log->is_in_flight)
        return;
    log->is_in_flight = false;
    log->last_seq = seq;
}

void log_bulk_dropped(struct log_bulk *log)
{
    log->is_in_flight = false;
}

void log_bulk_forget(struct log_bulk *log, bool is_bulk)
{
    *log = (struct log_bulk){.is_bulk = is_bulk, .loud_ns = log->loud_ns};
}

void log_bulk_follow(struct log_bulk *log, const struct log_bulk *former)
{
    log->is_bulk = former->is_bulk;
    log->is_clear = former->is_clear;
    log->last_seq = former->last_seq;
}
