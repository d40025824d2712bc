/* processes.c - how many processes and threads there are, in which states: /proc/PID/stat,
 * /proc/PID/task/TID/stat (proc(5)) and their limits below /proc/sys/kernel. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>

#include "node-agent/host/collectors/table.h"
#include "node-agent/host/procfile.h"
#include "node-agent/host/sysfs.h"
#include "node-agent/host/text.h"

enum { PATH_BYTES = 512, STAT_BYTES = 1024, THREADS_FIELD = 17, STATES = 128 };

struct counts {
    uint64_t processes, threads;
    uint64_t process_states[STATES], thread_states[STATES]; /* by the state's letter */
};

/* State and number of threads; both stand behind the name, which ends with the last ')'. */
static int read_stat(const char *path, char *ret_state, uint64_t *ret_threads)
{
    char storage[STAT_BYTES];
    struct bytes field = {0};
    int err = procfile_read_word(path, storage, sizeof storage);
    if (err < 0)
        return err;
    const char *end = strrchr(storage, ')');
    struct bytes rest = bytes_of_string(end ? end + 1 : NULL);
    for (int i = 0; i <= THREADS_FIELD; i++) {
        if (!text_field(&rest, &field))
            return -EINVAL;
        if (i == 0)
            *ret_state = (char)(field.ptr[0] % STATES);
    }
    return text_u64(field, ret_threads);
}

static bool has_gone(int err)
{
    return err == -ENOENT || err == -ESRCH;
}

/* Calls fn for each name that is a number, until it returns an error. */
static int for_each_number(const char *folder, int (*fn)(void *ctx, const char *folder, const char *number),
                           void *ctx)
{
    DIR *dir = opendir(folder);
    int err = dir ? 0 : -errno;
    for (struct dirent *e; err == 0 && (e = readdir(dir));) {
        struct bytes name = bytes_of_string(e->d_name);
        if (text_digits(name) == name.len)
            err = fn(ctx, folder, e->d_name);
    }
    if (dir)
        closedir(dir);
    return err;
}

struct tasks {
    struct counts *counts;
    const char *pid;
    char state;
};

static int count_thread(void *ctx, const char *folder, const char *number)
{
    struct tasks *tasks = ctx;
    char path[PATH_BYTES + 8], state = tasks->state;
    uint64_t threads;
    int err = 0;
    if (strcmp(number, tasks->pid) != 0) {
        int len = snprintf(path, sizeof path, "%s/%s/stat", folder, number);
        err = len < PATH_BYTES ? read_stat(path, &state, &threads) : -ENAMETOOLONG;
    }
    if (err == 0)
        tasks->counts->thread_states[(int)state]++;
    return has_gone(err) ? 0 : err;
}

static int count_process(void *ctx, const char *folder, const char *number)
{
    struct counts *counts = ctx;
    struct tasks tasks = {.counts = counts, .pid = number};
    char path[PATH_BYTES];
    uint64_t threads;
    int len = snprintf(path, sizeof path, "%s/%s/stat", folder, number);
    int err = len < PATH_BYTES ? read_stat(path, &tasks.state, &threads) : -ENAMETOOLONG;
    if (err < 0)
        return has_gone(err) ? 0 : err;
    counts->processes++;
    counts->threads += threads;
    counts->process_states[(int)tasks.state]++;
    snprintf(path, sizeof path, "%s/%s/task", folder, number);
    err = for_each_number(path, count_thread, &tasks);
    return has_gone(err) ? 0 : err;
}

static void emit_states(struct metric_sink *sink, const char *name, const char *help, const char *label,
                        const uint64_t states[STATES])
{
    for (int i = 1; i < STATES; i++) {
        const char state[] = {(char)i, '\0'};
        if (states[i])
            COLLECTOR_SAMPLE(sink, name, METRIC_GAUGE, help, (double)states[i], label, state);
    }
}

static int update(void *ctx, struct metric_sink *sink)
{
    const struct agent_config *config = ctx;
    const char *procfs = config->host_metrics.path_procfs;
    struct counts counts = {0};
    uint64_t max_threads, max_pids;
    int err = for_each_number(procfs, count_process, &counts);
    if (err == 0)
        err = sysfs_u64(&max_threads, "%s/sys/kernel/threads-max", procfs);
    if (err < 0)
        return err;
    collector_emit(sink, "node_processes_threads", METRIC_GAUGE, "Allocated threads in system",
                   (double)counts.threads);
    collector_emit(sink, "node_processes_max_threads", METRIC_GAUGE, "Limit of threads in the system",
                   (double)max_threads);
    emit_states(sink, "node_processes_state", "Number of processes in each state.", "state",
                counts.process_states);
    emit_states(sink, "node_processes_threads_state", "Number of threads in each state.", "thread_state",
                counts.thread_states);
    err = sysfs_u64(&max_pids, "%s/sys/kernel/pid_max", procfs);
    if (err < 0)
        return err;
    collector_emit(sink, "node_processes_pids", METRIC_GAUGE, "Number of PIDs", (double)counts.processes);
    collector_emit(sink, "node_processes_max_processes", METRIC_GAUGE, "Number of max PIDs limit",
                   (double)max_pids);
    return 0;
}

const struct collector collector_processes = {.name = "processes",
                                              .start = collector_start_with_config,
                                              .update = update,
                                              .stop = collector_stop_nothing};
