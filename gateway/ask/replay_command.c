#include "gateway/ask/replay_command.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "gateway/ask/job_client.h"

enum { BAR_WIDTH = 30, LINE_EVERY_S = 5, MOST_MATCHES = 2048 };

/* ---- progress: a bar that is drawn over on a terminal, else a line now and then */

struct progress {
    bool is_tty, is_drawn;
    time_t said_at;
};

static void write_rate(uint64_t rows, uint64_t of, uint64_t bytes, uint64_t records, int64_t ms)
{
    double seconds = ms > 0 ? (double)ms / 1000 : 0.001;
    printf("%" PRIu64 " of %" PRIu64 " batches, %" PRIu64 " records, %.1f MB/s", rows, of, records,
           (double)bytes / 1e6 / seconds);
    if (rows && rows < of)
        printf(", %.0f s to go", seconds / (double)rows * (double)(of - rows));
}

static void write_bar(uint64_t rows, uint64_t of)
{
    int full = of ? (int)((double)BAR_WIDTH * (double)rows / (double)of) : BAR_WIDTH;
    printf("\r\033[K[");
    for (int i = 0; i < BAR_WIDTH; i++)
        putchar(i < full ? '=' : ' ');
    printf("] ");
}

/* Takes lines of progress; the others are printed as they are, on a line of their own. */
static bool show_progress(void *ctx, const char *line)
{
    struct progress *progress = ctx;
    uint64_t rows, of, bytes, records;
    int64_t ms;
    if (sscanf(line, "progress %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNd64, &rows, &of, &bytes,
               &records, &ms) != 5) {
        if (progress->is_drawn)
            putchar('\n');
        progress->is_drawn = false;
        return false;
    }
    time_t now = time(NULL);
    if (progress->is_tty)
        write_bar(rows, of);
    else if (now - progress->said_at < LINE_EVERY_S)
        return true;
    progress->said_at = now;
    progress->is_drawn = progress->is_tty;
    write_rate(rows, of, bytes, records, ms);
    if (!progress->is_tty)
        putchar('\n');
    return true;
}

/* ---- the command line */

struct command {
    struct control_question question;
    struct buf url;
    char matches[MOST_MATCHES]; /* a line each */
    int given;                  /* how many of backend, from and to */
};

static bool add_match(struct command *c, const char *text)
{
    size_t len = strlen(c->matches);
    int n = snprintf(c->matches + len, sizeof c->matches - len, "%s%s", len ? "\n" : "", text);
    return strchr(text, '=') && n >= 0 && (size_t)n < sizeof c->matches - len;
}

static bool parse(struct command *c, int argc, char **argv)
{
    static const struct option options[] = {
        {"backend", required_argument, NULL, 'p'}, {"from", required_argument, NULL, 'p'},
        {"to", required_argument, NULL, 'p'},      {"signal", required_argument, NULL, 'o'},
        {"rate", required_argument, NULL, 'o'},    {"match", required_argument, NULL, 'm'},
        {"dry-run", no_argument, NULL, 'd'},       {"socket", required_argument, NULL, 's'},
        {"config", required_argument, NULL, 'c'},  {0}};
    int option, which;
    bool is_right = true;
    optind = 0;
    while (is_right && (option = getopt_long(argc, argv, "", options, &which)) != -1) {
        c->given += option == 'p';
        if (option == 'p' || option == 'o')
            is_right = control_client_add(&c->url, options[which].name, optarg) == 0;
        else if (option == 'm')
            is_right = add_match(c, optarg);
        else if (option == 'd')
            is_right = control_client_add(&c->url, "dry_run", "1") == 0;
        else if (option == 's')
            c->question.socket = optarg;
        else if (option == 'c')
            c->question.config = optarg;
        else
            is_right = false;
    }
    if (is_right && c->matches[0])
        is_right = control_client_add(&c->url, "match", c->matches) == 0;
    return is_right && optind == argc && c->given == 3;
}

int replay_command_main(int argc, char **argv)
{
    struct command c = {.question = {.config = CONTROL_CLIENT_CONFIG, .method = "POST"}};
    struct progress progress = {.is_tty = isatty(STDOUT_FILENO)};
    int status = 2;
    c.question.url = &c.url;
    if (control_client_url(&c.url, "/replay") == 0 && parse(&c, argc, argv))
        status = job_client_watch(&c.question, show_progress, &progress);
    else
        fprintf(stderr, "usage: tributary-gateway replay %s\n", REPLAY_COMMAND_USAGE);
    buf_fini(&c.url);
    return status;
}
