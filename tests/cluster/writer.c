/* writer.c - writes numbered lines whose text follows from name and number; static, the only program of its
 * image.
 *
 *   writer NAME COUNT RATE BYTES [mixed] [state FILE RUN] [open-end] [at-term] [exit]
 *
 * Line n is "NAME n " filled up to BYTES with letters that begin at n. RATE lines a second, 0: at once.
 *   mixed      odd lines go to stderr
 *   noise      filled up with letters that hardly compress: 65,536 of a linear congruential generator, begun
 * at 10007 n state      goes on at the number in FILE, writes RUN lines, saves and ends with status 1, until
 * COUNT are written open-end   the last line has no newline at-term    waits for SIGTERM, then writes
 * everything and ends exit       ends when COUNT are written, instead of waiting for the end
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";

static char noise[65536];

struct job {
    const char *name, *state;
    long count, rate, bytes, run;
    int is_noise, is_mixed, is_open_end, is_at_term, exits;
};

static void make_noise(void)
{
    unsigned state = 1;
    for (size_t i = 0; i < sizeof noise; i++) {
        state = state * 1664525u + 1013904223u;
        noise[i] = letters[state >> 26];
    }
}

static size_t fill(const struct job *job, long n, char *line)
{
    size_t len = (size_t)sprintf(line, "%s %07ld ", job->name, n), want = (size_t)job->bytes;
    for (size_t i = (size_t)n * (job->is_noise ? 10007 : 1); len < want; i++)
        line[len++] = job->is_noise ? noise[i % sizeof noise] : letters[i % 64];
    if (!job->is_open_end || n != job->count - 1)
        line[len++] = '\n';
    return len;
}

static void put(int fd, const char *from, size_t len)
{
    while (len) {
        ssize_t done = write(fd, from, len);
        if (done < 0)
            exit(2);
        from += done;
        len -= (size_t)done;
    }
}

static void wait_until(struct timespec start, double seconds)
{
    struct timespec due = start;
    due.tv_sec += (time_t)seconds;
    due.tv_nsec += (long)((seconds - (double)(time_t)seconds) * 1e9);
    if (due.tv_nsec >= 1000000000)
        due.tv_sec++, due.tv_nsec -= 1000000000;
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, NULL) != 0)
        ;
}

static void write_lines(const struct job *job, long first, long end)
{
    struct timespec start;
    char *line = malloc((size_t)job->bytes + 256);
    long step = job->rate / 50 ? job->rate / 50 : 1; /* lines between two looks at the clock */
    clock_gettime(CLOCK_MONOTONIC, &start);
    for (long n = first; line && n < end; n++) {
        put(job->is_mixed && n % 2 ? 2 : 1, line, fill(job, n, line));
        if (job->rate && (n - first + 1) % step == 0)
            wait_until(start, (double)(n - first + 1) / (double)job->rate);
    }
    free(line);
}

static long load(const char *path)
{
    long n = 0;
    FILE *f = fopen(path, "r");
    if (f && fscanf(f, "%ld", &n) != 1)
        n = 0;
    if (f)
        fclose(f);
    return n;
}

static void save(const char *path, long n)
{
    FILE *f = fopen(path, "w");
    if (!f || fprintf(f, "%ld\n", n) < 0 || fclose(f) != 0)
        exit(2);
}

static int parse(int argc, char **argv, struct job *job)
{
    if (argc < 5)
        return 2;
    *job =
        (struct job){.name = argv[1], .count = atol(argv[2]), .rate = atol(argv[3]), .bytes = atol(argv[4])};
    for (int i = 5; i < argc; i++) {
        if (strcmp(argv[i], "mixed") == 0)
            job->is_mixed = 1;
        else if (strcmp(argv[i], "noise") == 0)
            job->is_noise = 1;
        else if (strcmp(argv[i], "open-end") == 0)
            job->is_open_end = 1;
        else if (strcmp(argv[i], "at-term") == 0)
            job->is_at_term = 1;
        else if (strcmp(argv[i], "exit") == 0)
            job->exits = 1;
        else if (strcmp(argv[i], "state") == 0 && i + 2 < argc)
            job->state = argv[++i], job->run = atol(argv[++i]);
        else
            return 2;
    }
    return 0;
}

int main(int argc, char **argv)
{
    struct job job;
    sigset_t term;
    int number;
    if (parse(argc, argv, &job))
        return 2;
    make_noise();
    sigemptyset(&term);
    sigaddset(&term, SIGTERM);
    sigprocmask(SIG_BLOCK, &term, NULL);
    if (job.is_at_term)
        sigwait(&term, &number);
    long first = job.state ? load(job.state) : 0, end = job.count;
    if (job.state && first < job.count) {
        end = first + job.run < job.count ? first + job.run : job.count;
        write_lines(&job, first, end);
        save(job.state, end);
        return 1;
    }
    write_lines(&job, first, end);
    if (!job.exits && !job.is_at_term)
        sigwait(&term, &number);
    return 0;
}
