/* mountstats.c - NFS mounts: /proc/self/mountstats (Linux' fs/nfs/super.c, net/sunrpc/stats.c), with the
 * server's address from /proc/self/mountinfo, whose lines come in the same order.
 *
 * "device EXPORT mounted on POINT with fstype nfs statvers=1.1", then lines "age:", "bytes:", "events:",
 * "xprt:" (one for each connection), and after "per-op statistics" a line for each operation until an empty
 * one.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "node-agent/host/collectors/table.h"
#include "node-agent/host/procfile.h"
#include "node-agent/host/seen_set.h"
#include "node-agent/host/text.h"

enum {
    DEVICE_FIELDS = 8,
    BYTES = 8,
    EVENTS = 27,
    OPERATION = 8,
    TRANSPORT = 31,
    TRANSPORTS = 64,
    TCP_10 = 10,
    UDP_10 = 7,
    TCP_11 = 13,
    UDP_11 = 10,
    RDMA_LEAST = 20,
    LINE_FIELDS = 64,
    IDLE_TIME = 4,
    QUEUE_TIME = 5,
    MAX_SEEN = 65536,
    TEXT_BYTES = 1024
};
static const uint64_t exact_integers = UINT64_C(9007199254740992); /* 2^53 */

struct row {
    int index; /* of the line's numbers */
    const char *name;
    enum metric_type type;
    const char *help;
};

static const struct row of_bytes[] = {
    {0, "node_mountstats_nfs_read_bytes_total", METRIC_COUNTER,
     "Number of bytes read using the read() syscall."},
    {1, "node_mountstats_nfs_write_bytes_total", METRIC_COUNTER,
     "Number of bytes written using the write() syscall."},
    {2, "node_mountstats_nfs_direct_read_bytes_total", METRIC_COUNTER,
     "Number of bytes read using the read() syscall in O_DIRECT mode."},
    {3, "node_mountstats_nfs_direct_write_bytes_total", METRIC_COUNTER,
     "Number of bytes written using the write() syscall in O_DIRECT mode."},
    {4, "node_mountstats_nfs_total_read_bytes_total", METRIC_COUNTER,
     "Number of bytes read from the NFS server, in total."},
    {5, "node_mountstats_nfs_total_write_bytes_total", METRIC_COUNTER,
     "Number of bytes written to the NFS server, in total."},
    {6, "node_mountstats_nfs_read_pages_total", METRIC_COUNTER,
     "Number of pages read directly via mmap()'d files."},
    {7, "node_mountstats_nfs_write_pages_total", METRIC_COUNTER,
     "Number of pages written directly via mmap()'d files."},
};

static const struct row of_events[] = {
    {0, "node_mountstats_nfs_event_inode_revalidate_total", METRIC_COUNTER,
     "Number of times cached inode attributes are re-validated from the server."},
    {1, "node_mountstats_nfs_event_dnode_revalidate_total", METRIC_COUNTER,
     "Number of times cached dentry nodes are re-validated from the server."},
    {2, "node_mountstats_nfs_event_data_invalidate_total", METRIC_COUNTER,
     "Number of times an inode cache is cleared."},
    {3, "node_mountstats_nfs_event_attribute_invalidate_total", METRIC_COUNTER,
     "Number of times cached inode attributes are invalidated."},
    {4, "node_mountstats_nfs_event_vfs_open_total", METRIC_COUNTER,
     "Number of times cached inode attributes are invalidated."},
    {5, "node_mountstats_nfs_event_vfs_lookup_total", METRIC_COUNTER,
     "Number of times a directory lookup has occurred."},
    {6, "node_mountstats_nfs_event_vfs_access_total", METRIC_COUNTER,
     "Number of times permissions have been checked."},
    {7, "node_mountstats_nfs_event_vfs_update_page_total", METRIC_COUNTER,
     "Number of updates (and potential writes) to pages."},
    {8, "node_mountstats_nfs_event_vfs_read_page_total", METRIC_COUNTER,
     "Number of pages read directly via mmap()'d files."},
    {9, "node_mountstats_nfs_event_vfs_read_pages_total", METRIC_COUNTER,
     "Number of times a group of pages have been read."},
    {10, "node_mountstats_nfs_event_vfs_write_page_total", METRIC_COUNTER,
     "Number of pages written directly via mmap()'d files."},
    {11, "node_mountstats_nfs_event_vfs_write_pages_total", METRIC_COUNTER,
     "Number of times a group of pages have been written."},
    {12, "node_mountstats_nfs_event_vfs_getdents_total", METRIC_COUNTER,
     "Number of times directory entries have been read with getdents()."},
    {13, "node_mountstats_nfs_event_vfs_setattr_total", METRIC_COUNTER,
     "Number of times directory entries have been read with getdents()."},
    {14, "node_mountstats_nfs_event_vfs_flush_total", METRIC_COUNTER,
     "Number of pending writes that have been forcefully flushed to the server."},
    {15, "node_mountstats_nfs_event_vfs_fsync_total", METRIC_COUNTER,
     "Number of times fsync() has been called on directories and files."},
    {16, "node_mountstats_nfs_event_vfs_lock_total", METRIC_COUNTER,
     "Number of times locking has been attempted on a file."},
    {17, "node_mountstats_nfs_event_vfs_file_release_total", METRIC_COUNTER,
     "Number of times files have been closed and released."},
    {19, "node_mountstats_nfs_event_truncation_total", METRIC_COUNTER,
     "Number of times files have been truncated."},
    {20, "node_mountstats_nfs_event_write_extension_total", METRIC_COUNTER,
     "Number of times a file has been grown due to writes beyond its existing end."},
    {21, "node_mountstats_nfs_event_silly_rename_total", METRIC_COUNTER,
     "Number of times a file was removed while still open by another process."},
    {22, "node_mountstats_nfs_event_short_read_total", METRIC_COUNTER,
     "Number of times the NFS server gave less data than expected while reading."},
    {23, "node_mountstats_nfs_event_short_write_total", METRIC_COUNTER,
     "Number of times the NFS server wrote less data than expected while writing."},
    {24, "node_mountstats_nfs_event_jukebox_delay_total", METRIC_COUNTER,
     "Number of times the NFS server indicated EJUKEBOX; retrieving data from offline storage."},
    {25, "node_mountstats_nfs_event_pnfs_read_total", METRIC_COUNTER, "Number of NFS v4.1+ pNFS reads."},
    {26, "node_mountstats_nfs_event_pnfs_write_total", METRIC_COUNTER, "Number of NFS v4.1+ pNFS writes."},
};

static const struct row of_transport[] = {
    {1, "node_mountstats_nfs_transport_bind_total", METRIC_COUNTER,
     "Number of times the client has had to establish a connection from scratch to the NFS server."},
    {2, "node_mountstats_nfs_transport_connect_total", METRIC_COUNTER,
     "Number of times the client has made a TCP connection to the NFS server."},
    {4, "node_mountstats_nfs_transport_idle_time_seconds", METRIC_GAUGE,
     "Duration since the NFS mount last saw any RPC traffic, in seconds."},
    {5, "node_mountstats_nfs_transport_sends_total", METRIC_COUNTER,
     "Number of RPC requests for this mount sent to the NFS server."},
    {6, "node_mountstats_nfs_transport_receives_total", METRIC_COUNTER,
     "Number of RPC responses for this mount received from the NFS server."},
    {7, "node_mountstats_nfs_transport_bad_transaction_ids_total", METRIC_COUNTER,
     "Number of times the NFS server sent a response with a transaction ID unknown to this client."},
    {9, "node_mountstats_nfs_transport_backlog_queue_total", METRIC_COUNTER,
     "Total number of items added to the RPC backlog queue."},
    {10, "node_mountstats_nfs_transport_maximum_rpc_slots", METRIC_GAUGE,
     "Maximum number of simultaneously active RPC requests ever used."},
    {11, "node_mountstats_nfs_transport_sending_queue_total", METRIC_COUNTER,
     "Total number of items added to the RPC transmission sending queue."},
    {12, "node_mountstats_nfs_transport_pending_queue_total", METRIC_COUNTER,
     "Total number of items added to the RPC transmission pending queue."},
};

static const struct row of_operation[] = {
    {0, "node_mountstats_nfs_operations_requests_total", METRIC_COUNTER,
     "Number of requests performed for a given operation."},
    {1, "node_mountstats_nfs_operations_transmissions_total", METRIC_COUNTER,
     "Number of times an actual RPC request has been transmitted for a given operation."},
    {2, "node_mountstats_nfs_operations_major_timeouts_total", METRIC_COUNTER,
     "Number of times a request has had a major timeout for a given operation."},
    {3, "node_mountstats_nfs_operations_sent_bytes_total", METRIC_COUNTER,
     "Number of bytes sent for a given operation, including RPC headers and payload."},
    {4, "node_mountstats_nfs_operations_received_bytes_total", METRIC_COUNTER,
     "Number of bytes received for a given operation, including RPC headers and payload."},
    {5, "node_mountstats_nfs_operations_queue_time_seconds_total", METRIC_COUNTER,
     "Duration all requests spent queued for transmission for a given operation before they were sent, in "
     "seconds."},
    {6, "node_mountstats_nfs_operations_response_time_seconds_total", METRIC_COUNTER,
     "Duration all requests took to get a reply back after a request for a given operation was transmitted, "
     "in seconds."},
    {7, "node_mountstats_nfs_operations_request_time_seconds_total", METRIC_COUNTER,
     "Duration all requests took from when a request was enqueued to when it was completely handled for a "
     "given operation, in seconds."},
};

struct transport {
    char protocol[16];
    uint64_t numbers[TRANSPORT];
};

struct mount {
    char device[TEXT_BYTES], point[TEXT_BYTES], address[256];
    double age;
    uint64_t bytes[BYTES], events[EVENTS];
    struct transport transports[TRANSPORTS];
    size_t transport_count;
    struct bytes operations; /* their lines; borrowed from the file's text */
};

struct mountstats_state {
    struct procfile *stats, *info; /* owned */
    struct mount mount;            /* the one being looked at */
    struct seen_set seen;          /* what was shown in this update */
};

static void stop(void *ctx)
{
    struct mountstats_state *state = ctx;
    procfile_free(state->stats);
    procfile_free(state->info);
    seen_set_fini(&state->seen);
    free(state);
}

static int start(const struct agent_config *config, void **ret_state)
{
    struct mountstats_state *state = calloc(1, sizeof *state);
    if (!state)
        return -ENOMEM;
    state->stats = procfile_new_long(config->host_metrics.path_procfs, "self/mountstats");
    state->info = procfile_new_long(config->host_metrics.path_procfs, "self/mountinfo");
    if (!state->stats || !state->info) {
        stop(state);
        return -ENOMEM;
    }
    *ret_state = state;
    return 0;
}

/* ---- a mount ---- */

/* The fields from the one of that number on as numbers; how many, or -EINVAL. */
static int take_numbers(const struct bytes *fields, size_t from, size_t count, uint64_t *numbers, size_t max)
{
    size_t n = 0;
    for (size_t i = from; i < count && n < max; i++, n++)
        if (text_u64(fields[i], &numbers[n]) < 0)
            return -EINVAL;
    return (int)n;
}

/* How many numbers a transport's line has, and after how many three are missing. False: none that is known.
 */
static bool shape_of(const char *protocol, bool is_11, int count, int *ret_gap)
{
    *ret_gap = TRANSPORT;
    if (strcmp(protocol, "tcp") == 0)
        return count == (is_11 ? TCP_11 : TCP_10);
    if (strcmp(protocol, "udp") == 0) { /* no count of connections, no idle times */
        *ret_gap = 2;
        return count == (is_11 ? UDP_11 : UDP_10);
    }
    *ret_gap = TCP_10; /* rdma: no slots and queues */
    return is_11 && strcmp(protocol, "rdma") == 0 && count >= RDMA_LEAST;
}

static int take_transport(const struct bytes *fields, size_t count, bool is_11, struct mount *mount)
{
    uint64_t numbers[TRANSPORT] = {0};
    int gap;
    if (count < 3)
        return -EINVAL;
    if (mount->transport_count == TRANSPORTS)
        return 0;
    struct transport *transport = &mount->transports[mount->transport_count];
    *transport = (struct transport){.numbers = {0}};
    text_copy(fields[1], transport->protocol, sizeof transport->protocol);
    int n = take_numbers(fields, 2, count, numbers, TRANSPORT - 3);
    if (n < 0 || !shape_of(transport->protocol, is_11, n, &gap))
        return -EINVAL;
    for (int i = 0; i < n; i++)
        transport->numbers[i < gap ? i : i + 3] = numbers[i];
    mount->transport_count++;
    return 0;
}

static int take_line(const struct bytes *fields, size_t count, bool is_11, struct mount *mount)
{
    if (text_is(fields[0], "age:"))
        return count >= 2 ? text_double(fields[1], &mount->age) : -EINVAL;
    if (text_is(fields[0], "bytes:"))
        return count == BYTES + 1 && take_numbers(fields, 1, count, mount->bytes, BYTES) == BYTES ? 0
                                                                                                  : -EINVAL;
    if (text_is(fields[0], "events:"))
        return count == EVENTS + 1 && take_numbers(fields, 1, count, mount->events, EVENTS) == EVENTS
                   ? 0
                   : -EINVAL;
    return text_is(fields[0], "xprt:") ? take_transport(fields, count, is_11, mount) : 0;
}

/* The lines that follow a device's. */
static int take_mount(struct bytes *text, bool is_11, struct mount *mount)
{
    struct bytes line, fields[LINE_FIELDS];
    int err = 0;
    mount->age = 0;
    memset(mount->bytes, 0, sizeof mount->bytes);
    memset(mount->events, 0, sizeof mount->events);
    mount->transport_count = 0;
    while (err == 0 && text_line(text, &line)) {
        size_t count = text_fields(line, fields, LINE_FIELDS);
        if (count == 0 || text_is(fields[0], "per-op"))
            break;
        err = take_line(fields, count, is_11, mount);
    }
    mount->operations = *text;
    while (err == 0 && text_line(text, &line) && text_fields(line, fields, 1) > 0)
        mount->operations.len = (size_t)(text->ptr - mount->operations.ptr);
    return err;
}

/* The option addr= of the mount's line in mountinfo. */
static void take_address(struct bytes line, char *address, size_t size)
{
    static const char key[] = "addr=";
    struct bytes last = {0}, field;
    address[0] = '\0';
    while (text_field(&line, &field))
        last = field;
    while (last.len) {
        const uint8_t *comma = memchr(last.ptr, ',', last.len);
        struct bytes option = {last.ptr, comma ? (size_t)(comma - last.ptr) : last.len};
        if (text_starts(option, key))
            text_copy(bytes_skip(option, sizeof key - 1), address, size);
        last = bytes_skip(last, comma ? option.len + 1 : option.len);
    }
}

/* ---- samples ---- */

static void emit_rows(struct metric_sink *sink, const struct row *rows, size_t count, const uint64_t *numbers,
                      const char *const *labels)
{
    for (size_t i = 0; i < count; i++)
        sink->sample(sink, rows[i].name, rows[i].type, rows[i].help, labels, (double)numbers[rows[i].index]);
}

static void emit_transports(const struct mount *mount, const char *protocol, struct metric_sink *sink)
{
    for (size_t i = 0; i < mount->transport_count; i++) {
        char number[24];
        uint64_t numbers[TRANSPORT];
        memcpy(numbers, mount->transports[i].numbers, sizeof numbers);
        numbers[IDLE_TIME] %= exact_integers;
        snprintf(number, sizeof number, "%zu", i);
        const char *const labels[] = {"export",       mount->device, "protocol", protocol, "mountaddr",
                                      mount->address, "transport",   number,     NULL};
        emit_rows(sink, of_transport, sizeof of_transport / sizeof *of_transport, numbers, labels);
    }
}

static int emit_operation(const struct mount *mount, const char *protocol, struct bytes line,
                          struct metric_sink *sink)
{
    struct bytes fields[LINE_FIELDS];
    uint64_t numbers[LINE_FIELDS];
    char operation[64];
    size_t count = text_fields(line, fields, LINE_FIELDS);
    if (count <= OPERATION || take_numbers(fields, 1, count, numbers, LINE_FIELDS) < 0)
        return -EINVAL;
    fields[0].len -= text_ends(fields[0], ":") ? 1 : 0;
    const char *const labels[] = {
        "export",    mount->device,  "protocol",  protocol,
        "mountaddr", mount->address, "operation", text_copy(fields[0], operation, sizeof operation),
        NULL};
    for (size_t i = 0; i < sizeof of_operation / sizeof *of_operation; i++) {
        const struct row *row = &of_operation[i];
        double value = row->index < QUEUE_TIME ? (double)numbers[row->index]
                                               : (double)(numbers[row->index] % exact_integers) / 1000.0;
        sink->sample(sink, row->name, row->type, row->help, labels, value);
    }
    return 0;
}

static int emit_stats(const struct mount *mount, const char *protocol, struct metric_sink *sink)
{
    const char *const labels[] = {"export",    mount->device,  "protocol", protocol,
                                  "mountaddr", mount->address, NULL};
    struct bytes rest = mount->operations, line;
    int err = 0;
    sink->sample(sink, "node_mountstats_nfs_age_seconds_total", METRIC_COUNTER,
                 "The age of the NFS mount in seconds.", labels, mount->age);
    emit_rows(sink, of_bytes, sizeof of_bytes / sizeof *of_bytes, mount->bytes, labels);
    emit_transports(mount, protocol, sink);
    while (err == 0 && text_line(&rest, &line))
        err = emit_operation(mount, protocol, line, sink);
    emit_rows(sink, of_events, sizeof of_events / sizeof *of_events, mount->events, labels);
    return err;
}

/* A mount is shown once for each protocol and address, its mount points all. */
static int emit_mount(struct mountstats_state *state, struct metric_sink *sink)
{
    const struct mount *mount = &state->mount;
    for (size_t i = 0; i < mount->transport_count; i++) {
        const char *protocol = mount->transports[i].protocol;
        const char *const point[] = {"export",       mount->device, "protocol",   protocol, "mountaddr",
                                     mount->address, "mountpoint",  mount->point, NULL};
        const char *const device[] = {mount->device, protocol, mount->address, NULL};
        int seen = seen_set_add(&state->seen, point, MAX_SEEN);
        if (seen == 0)
            sink->sample(sink, "node_mountstats_nfs_mountpoint_info", METRIC_GAUGE,
                         "Info metric for an NFS mountpoint.", point, 1);
        if (seen >= 0)
            seen = seen_set_add(&state->seen, device, MAX_SEEN);
        if (seen != 0)
            return seen < 0 ? seen : 0;
        int err = emit_stats(mount, protocol, sink);
        if (err < 0)
            return err;
    }
    return 0;
}

/* ---- the files ---- */

static int update_device(struct mountstats_state *state, const struct bytes *fields, size_t count,
                         struct bytes *text, struct bytes info, struct metric_sink *sink)
{
    if (count < DEVICE_FIELDS || !text_is(fields[2], "mounted") || !text_is(fields[6], "fstype"))
        return -EINVAL;
    if (count == DEVICE_FIELDS)
        return 0;
    bool is_11 = text_is(fields[8], "statvers=1.1");
    if ((!text_is(fields[7], "nfs") && !text_is(fields[7], "nfs4")) ||
        (!is_11 && !text_is(fields[8], "statvers=1.0")))
        return -EINVAL;
    struct mount *mount = &state->mount;
    text_copy(fields[1], mount->device, sizeof mount->device);
    text_copy(fields[4], mount->point, sizeof mount->point);
    take_address(info, mount->address, sizeof mount->address);
    int err = take_mount(text, is_11, mount);
    return err == 0 ? emit_mount(state, sink) : err;
}

static int update(void *ctx, struct metric_sink *sink)
{
    struct mountstats_state *state = ctx;
    struct bytes text, infos, line, fields[DEVICE_FIELDS + 1];
    int err = procfile_read(state->stats, &text);
    if (err == 0)
        err = procfile_read(state->info, &infos);
    seen_set_clear(&state->seen);
    while (err == 0 && text_line(&text, &line)) {
        struct bytes info = {0};
        size_t count = text_fields(line, fields, DEVICE_FIELDS + 1);
        if (count == 0 || !text_is(fields[0], "device"))
            continue;
        text_line(&infos, &info);
        err = update_device(state, fields, count, &text, info, sink);
    }
    return err;
}

const struct collector collector_mountstats = {
    .name = "mountstats", .start = start, .update = update, .stop = stop};
