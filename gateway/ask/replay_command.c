#include "gateway/ask/replay_command.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "gateway/ask/job_client.h"

enum { BAR_WIDTH = 30, BAR_LEAST = 5, MOST_TEXT = 256, LINE_EVERY_S = 5, MOST_MATCHES = 2048 };

/* ---- progress: a bar that is drawn over on a terminal, else a line now and then */

struct progress {
    bool is_tty;
    bool is_drawn; /* the bar is the line above the cursor, so that what is printed next is below it */
    size_t width;  /* of the bar; it never grows, so that it moves forward only */
    time_t said_at;
};

struct told { /* by the gateway (replay.h) */
    uint64_t rows, of, bytes, records;
    int64_t ms, left_ms;
};

static size_t columns(void)
{
    struct winsize size;
    return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col ? size.ws_col : 80;
}

static void write_text(const struct told *told, char text[MOST_TEXT])
{
    double per_s = (double)told->bytes / (told->ms > 0 ? (double)told->ms / 1000 : 0.001);
    int len = snprintf(text, MOST_TEXT, "%" PRIu64 " of %" PRIu64 " batches, %" PRIu64 " records", told->rows,
                       told->of, told->records);
    if (told->bytes)
        len += snprintf(text + len, MOST_TEXT - (size_t)len, ", %.1f %s",
                        per_s < 1e6 ? per_s / 1e3 : per_s / 1e6, per_s < 1e6 ? "kB/s" : "MB/s");
    if (told->rows < told->of && told->left_ms >= 0)
        snprintf(text + len, MOST_TEXT - (size_t)len, ", %.0f s to go", (double)told->left_ms / 1000);
}

/* On one line of the terminal whatever its width, else it could not be drawn over. */
static void draw(struct progress *progress, const struct told *told, const char *text)
{
    size_t most = columns() - 1, len = strlen(text) + sizeof "[] " - 1;
    size_t room = most < len ? 0 : most - len, width = room < progress->width ? room : progress->width;
    size_t full = told->of ? (size_t)((double)width * (double)told->rows / (double)told->of) : width;
    fputs(progress->is_drawn ? "\033[A\r\033[K" : "", stdout);
    if (width >= BAR_LEAST) {
        putchar('[');
        for (size_t i = 0; i < width; i++)
            putchar(i < full ? '=' : ' ');
        fputs("] ", stdout);
    }
    printf("%.*s\n", (int)most, text);
    progress->width = width;
    progress->is_drawn = true;
}

/* Takes lines of progress; the others are printed as they are. */
static bool show_progress(void *ctx, const char *line)
{
    struct progress *progress = ctx;
    struct told told;
    char text[MOST_TEXT];
    if (sscanf(line, "progress %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNd64 " %" SCNd64,
               &told.rows, &told.of, &told.bytes, &told.records, &told.ms, &told.left_ms) != 6) {
        progress->is_drawn = false;
        return false;
    }
    time_t now = time(NULL);
    write_text(&told, text);
    if (progress->is_tty) {
        draw(progress, &told, text);
    } else if (told.bytes && now - progress->said_at >= LINE_EVERY_S) {
        progress->said_at = now;
        puts(text);
    }
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
    struct progress progress = {.is_tty = isatty(STDOUT_FILENO), .width = BAR_WIDTH};
    int status = 2;
    c.question.url = &c.url;
    if (control_client_url(&c.url, "/replay") == 0 && parse(&c, argc, argv))
        status = job_client_watch(&c.question, show_progress, &progress);
    else
        fprintf(stderr, "usage: tributary-gateway replay %s\n", REPLAY_COMMAND_USAGE);
    buf_fini(&c.url);
    return status;
}
