#include "gateway/fanout/stream_times.h"

#define KNOWN_NS ((int64_t)STREAM_TIMES_S * 1000000000)

uint64_t stream_times_key(struct bytes labels)
{
    uint64_t hash = 0xcbf29ce484222325ULL;
    for (size_t i = 0; i < labels.len; i++)
        hash = (hash ^ labels.ptr[i]) * 0x100000001b3ULL;
    return hash;
}

static int64_t later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static bool is_known(int64_t noted_ns, int64_t now_ns)
{
    return noted_ns && now_ns - noted_ns <= KNOWN_NS;
}

void stream_times_use(struct stream_times *times, int64_t now_ns)
{
    times->used_ns = now_ns;
}

bool stream_times_is_in_use(const struct stream_times *times, int64_t now_ns)
{
    return is_known(times->used_ns, now_ns);
}

static struct stream_time *set_of(struct stream_times *times, uint64_t stream)
{
    return times->sets[stream % (STREAM_TIMES_MAX / STREAM_TIMES_WAYS)];
}

static struct stream_time *find(struct stream_times *times, uint64_t stream, int64_t now_ns)
{
    struct stream_time *set = set_of(times, stream);
    for (size_t i = 0; i < STREAM_TIMES_WAYS; i++)
        if (set[i].stream == stream && is_known(set[i].noted_ns, now_ns))
            return &set[i];
    return NULL;
}

static struct stream_time *make_room(struct stream_times *times, uint64_t stream)
{
    struct stream_time *set = set_of(times, stream), *oldest = &set[0];
    for (size_t i = 0; i < STREAM_TIMES_WAYS; i++) {
        if (set[i].noted_ns && set[i].stream == stream)
            return &set[i];
        if (set[i].noted_ns < oldest->noted_ns)
            oldest = &set[i];
    }
    return oldest;
}

void stream_times_take(struct stream_times *times, uint64_t stream, int64_t earliest_ns, int64_t latest_ns,
                       int64_t now_ns)
{
    struct stream_time *known = find(times, stream, now_ns), *to = known ? known : make_room(times, stream);
    int64_t posted_ns = known ? later(known->posted_ns, latest_ns) : latest_ns;
    *to = (struct stream_time){stream, earliest_ns, posted_ns, now_ns};
    times->used_ns = now_ns;
}

void stream_times_post(struct stream_times *times, uint64_t stream, int64_t time_ns, int64_t now_ns)
{
    struct stream_time *known = find(times, stream, now_ns);
    if (known)
        known->posted_ns = later(known->posted_ns, time_ns);
    else
        *make_room(times, stream) = (struct stream_time){stream, INT64_MAX, time_ns, now_ns};
}

int64_t stream_times_safe_from(struct stream_times *times, uint64_t stream, int64_t now_ns,
                               int64_t unknown_ns)
{
    const struct stream_time *known = find(times, stream, now_ns);
    return known && known->taken_ns != INT64_MAX
               ? later(known->taken_ns, known->posted_ns - STREAM_TIMES_SPAN_NS)
               : unknown_ns;
}
