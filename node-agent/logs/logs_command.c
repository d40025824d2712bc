#include "node-agent/logs/logs_command.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/program.h"
#include "node-agent/control_places.h"
#include "node-agent/logs/access_why.h"
#include "node-agent/logs/logs_report.h"

enum { ERRORS_MAX = 65536, HEAD_MAX = 16384, STATUS_USAGE = 2 };

struct question {
    const char *socket, *config, *of;
    bool is_json;
};

static bool parse(int argc, char **argv, struct question *question)
{
    static const struct option options[] = {{"json", no_argument, NULL, 'j'},
                                            {"socket", required_argument, NULL, 's'},
                                            {"config", required_argument, NULL, 'c'},
                                            {0}};
    int option;
    optind = 0;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 'j')
            question->is_json = true;
        else if (option == 's')
            question->socket = optarg;
        else if (option == 'c')
            question->config = optarg;
        else
            return false;
    }
    if (optind < argc)
        question->of = argv[optind++];
    return optind == argc;
}

/* A socket on which a program of ours or of root's listens, or a negative errno. */
static int connect_to(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct ucred peer;
    socklen_t len = sizeof peer;
    if (strlen(path) >= sizeof address.sun_path)
        return -ENAMETOOLONG;
    strcpy(address.sun_path, path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    int err = connect(fd, (struct sockaddr *)&address, sizeof address) < 0 ? -errno : 0;
    if (err == 0 && getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0)
        err = -errno;
    if (err == 0 && peer.uid != 0 && peer.uid != geteuid() && geteuid() != 0)
        err = -EACCES;
    if (err < 0)
        close(fd);
    return err < 0 ? err : fd;
}

/* Letters, digits and the marks that names have; the rest as %XX. */
static int add_escaped(struct buf *out, const char *text)
{
    int err = 0;
    for (; *text && err == 0; text++) {
        unsigned char c = (unsigned char)*text;
        bool plain =
            (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || strchr("-_./", c);
        err = buf_printf(out, plain ? "%c" : "%%%02X", c);
    }
    return err;
}

static int send_question(int fd, const struct question *question)
{
    struct buf text;
    buf_init(&text, HEAD_MAX);
    int err = buf_printf(&text, "GET /logs?format=%s", question->is_json ? "json" : "human");
    if (err == 0 && question->of)
        err = buf_append_string(&text, "&of=");
    if (err == 0 && question->of)
        err = add_escaped(&text, question->of);
    if (err == 0)
        err = buf_append_string(&text, " HTTP/1.1\r\nHost: agent\r\nConnection: close\r\n\r\n");
    struct bytes rest = buf_bytes(&text);
    while (err == 0 && rest.len > 0) {
        ssize_t n = send(fd, rest.ptr, rest.len, MSG_NOSIGNAL);
        err = n < 0 ? -errno : 0;
        rest = bytes_skip(rest, n < 0 ? 0 : (size_t)n);
    }
    buf_fini(&text);
    return err;
}

/* Everything until the other side closes. */
static int read_answer(int fd, struct buf *answer)
{
    ssize_t n = 0;
    int err;
    do {
        answer->len += (size_t)n;
        err = buf_reserve(answer, 1);
        n = err < 0 ? 0 : read(fd, answer->ptr + answer->len, answer->cap - answer->len);
    } while (n > 0);
    return n < 0 ? -errno : err;
}

/* Prints the body; the exit status. */
static int tell_answer(const struct buf *answer)
{
    static const char end[] = "\r\n\r\n";
    int status = 0;
    const uint8_t *body = answer->len ? memmem(answer->ptr, answer->len, end, 4) : NULL;
    char head[32] = "";
    memcpy(head, answer->ptr ? answer->ptr : (const uint8_t *)"",
           answer->len < sizeof head - 1 ? answer->len : sizeof head - 1);
    if (!body || sscanf(head, "HTTP/1.1 %d", &status) != 1) {
        fprintf(stderr, "the agent gave no answer\n");
        return 1;
    }
    body += 4;
    fwrite(body, 1, answer->len - (size_t)(body - answer->ptr), status == 200 ? stdout : stderr);
    return status == 200 ? 0 : 1;
}

static int ask(int fd, const struct question *question)
{
    struct buf answer;
    buf_init(&answer, LOGS_REPORT_BYTES + HEAD_MAX);
    int err = send_question(fd, question);
    if (err == 0)
        err = read_answer(fd, &answer);
    if (err < 0)
        fprintf(stderr, "asking the agent: %s\n", strerror(-err));
    int status = err < 0 ? 1 : tell_answer(&answer);
    buf_fini(&answer);
    close(fd);
    return status;
}

/* Without a state folder that it can write no agent starts. */
static void tell_state_folder(const char *folder)
{
    struct buf why;
    buf_init(&why, ERRORS_MAX);
    int err = faccessat(AT_FDCWD, folder, W_OK, AT_EACCESS) < 0 ? -errno : 0;
    if (err < 0 && access_why_tell(folder, ACCESS_WRITE, err, &why) == 0)
        fprintf(stderr, "an agent cannot start: offsets cannot be saved to %s: %.*s\n", folder, (int)why.len,
                (const char *)why.ptr);
    buf_fini(&why);
}

/* Connects to the agent that the configuration is of. */
static int connect_configured(const char *path)
{
    struct agent_config config;
    struct conf_memory *memory;
    struct buf errors;
    char storage[CONTROL_PLACE_LEN];
    buf_init(&errors, ERRORS_MAX);
    int err = agent_config_load(path, &config, &memory, &errors);
    program_tell_errors(&errors);
    buf_fini(&errors);
    if (err < 0)
        return err;
    int fd = -ENOENT;
    for (int i = 0; fd < 0 && control_places_get(&config, i, storage); i++)
        fd = connect_to(storage);
    if (fd < 0) {
        fprintf(stderr, "no agent answers at %s: %s\n", control_places_get(&config, 0, storage),
                strerror(-fd));
        tell_state_folder(config.state_folder);
    }
    conf_free(memory);
    return fd;
}

int logs_command(int argc, char **argv)
{
    struct question question = {.config = "/etc/tributary/agent.yaml"};
    if (!parse(argc, argv, &question)) {
        fprintf(stderr, "usage: tributary-agent logs %s\n", LOGS_COMMAND_USAGE);
        return STATUS_USAGE;
    }
    int fd = question.socket ? connect_to(question.socket) : connect_configured(question.config);
    if (fd < 0 && question.socket)
        fprintf(stderr, "no agent answers at %s: %s\n", question.socket, strerror(-fd));
    return fd < 0 ? 1 : ask(fd, &question);
}
