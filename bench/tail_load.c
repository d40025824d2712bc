/* tail_load.c - writes pod logs as container runtimes do while they are tailed: in turn to many files, at a
 * rate, with the kubelet's rotation.
 *
 * usage: tail_load ROOT FILES LINES_PER_SECOND LINE_BYTES SECONDS ROTATE_SECONDS LINES_PER_WRITE TURN_MS
 *                  [POD]
 *        one pod a file, POD-0 (load-0 without it) and on; writes what is due every TURN_MS; prints
 *        "written lines=N bytes=N rotations=N"; ROTATE_SECONDS 0: no rotation. A rotated file is deleted
 *        when three newer ones are there, as the kubelet does.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

enum { MAX_FILES = 1024, MAX_LINE = 4096, MAX_LINES = 64, KEPT = 3, HEAD = 48, PATH = 1024 };
#define SECOND_NS INT64_C(1000000000)

struct log {
    char folder[512];
    int fd;
    unsigned rotated; /* times */
    int64_t rotate_ns;
};

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static void begin(struct log *log)
{
    char path[PATH];
    snprintf(path, sizeof path, "%.480s/0.log", log->folder);
    log->fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
    if (log->fd < 0)
        fail(path);
}

static void rotate(struct log *log)
{
    char from[PATH], to[PATH], old[PATH];
    snprintf(from, sizeof from, "%.480s/0.log", log->folder);
    snprintf(to, sizeof to, "%.480s/0.log.20260101-%06u", log->folder, log->rotated);
    if (rename(from, to) < 0)
        fail(from);
    close(log->fd);
    begin(log);
    if (log->rotated >= KEPT) {
        snprintf(old, sizeof old, "%.480s/0.log.20260101-%06u", log->folder, log->rotated - KEPT);
        unlink(old);
    }
    log->rotated++;
}

/* RFC 3339 with nine digits, a stream and the tag of a whole line. */
static void put_head(char *line)
{
    static time_t last;
    static char second[32];
    struct timespec now;
    struct tm tm;
    clock_gettime(CLOCK_REALTIME, &now);
    if (now.tv_sec != last)
        strftime(second, sizeof second, "%Y-%m-%dT%H:%M:%S", gmtime_r(&now.tv_sec, &tm));
    last = now.tv_sec;
    char head[128];
    snprintf(head, sizeof head, "%s.%09ldZ stdout F %06d ", second, now.tv_nsec, rand() % 1000000);
    memcpy(line, head, HEAD);
}

int main(int argc, char **argv)
{
    static struct log logs[MAX_FILES];
    static char lines[MAX_LINES * MAX_LINE + 1];
    if (argc != 9 && argc != 10)
        return 2;
    const char *name = argc == 10 ? argv[9] : "load";
    int files = atoi(argv[2]), size = atoi(argv[4]), seconds = atoi(argv[5]), rotate_s = atoi(argv[6]);
    int each = atoi(argv[7]), turn_ms = atoi(argv[8]);
    int64_t rate = atoll(argv[3]), begun_ns = clock_mono_ns(), written = 0, rotations = 0;
    if (files < 1 || files > MAX_FILES || size <= HEAD || size > MAX_LINE || each < 1 || each > MAX_LINES ||
        turn_ms < 1)
        return 2;
    for (int i = 0; i < files; i++) {
        char pod[384];
        snprintf(pod, sizeof pod, "%.200s/bench_%.64s-%d_%d", argv[1], name, i, i);
        mkdir(pod, 0755);
        snprintf(logs[i].folder, sizeof logs[i].folder, "%s/app", pod);
        if (mkdir(logs[i].folder, 0755) < 0 && errno != EEXIST)
            fail(pod);
        logs[i].rotate_ns = begun_ns + rotate_s * SECOND_NS * (i + 1) / files;
        begin(&logs[i]);
    }
    for (int i = 0; i < each * size; i++)
        lines[i] = i % size == size - 1
                       ? '\n'
                       : "the quick brown fox jumps over the lazy dog 0123456789 "[(i * 7 + i / 13) % 55];
    for (int64_t now = begun_ns; now < begun_ns + seconds * SECOND_NS; now = clock_mono_ns()) {
        for (int64_t due = (now - begun_ns) * rate / SECOND_NS; written + each <= due; written += each) {
            for (int i = 0; i < each; i++)
                put_head(lines + i * size);
            if (write(logs[written / each % files].fd, lines, (size_t)(each * size)) != each * size)
                fail("write");
        }
        for (int i = 0; rotate_s > 0 && i < files; i++) {
            if (now < logs[i].rotate_ns)
                continue;
            rotate(&logs[i]);
            logs[i].rotate_ns += rotate_s * SECOND_NS;
            rotations++;
        }
        nanosleep(&(struct timespec){0, turn_ms * 1000000}, NULL);
    }
    printf("written lines=%lld bytes=%lld rotations=%lld\n", (long long)written, (long long)written * size,
           (long long)rotations);
    return 0;
}
