#include "node-agent/host/dbus.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/buf.h"

enum {
    REQUEST_BYTES = 16 * 1024,
    ANSWER_SECONDS = 5,
    MAX_STRAYS = 1000 /* messages that are not the answer */
};
enum message_type { METHOD_CALL = 1, METHOD_RETURN = 2, ERROR = 3 };
enum field { PATH = 1, INTERFACE = 2, MEMBER = 3, DESTINATION = 6, SIGNATURE = 8 };

struct dbus {
    int fd;
    uint32_t serial;
    bool has_bus;
    struct buf request, answer;
};

/* ---- the socket ---- */

static int send_all(const struct dbus *dbus, const void *from, size_t len)
{
    for (const uint8_t *at = from; len > 0;) {
        ssize_t n = send(dbus->fd, at, len, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        at += n;
        len -= (size_t)n;
    }
    return 0;
}

/* Appends that many bytes to the answer. */
static int receive(struct dbus *dbus, size_t len)
{
    int err = buf_reserve(&dbus->answer, len);
    while (err == 0 && len > 0) {
        ssize_t n = recv(dbus->fd, dbus->answer.ptr + dbus->answer.len, len, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : -ECONNRESET;
        dbus->answer.len += (size_t)n;
        len -= (size_t)n;
    }
    return err;
}

static int connect_to(struct dbus *dbus, const char *path, bool is_abstract)
{
    const struct timeval timeout = {.tv_sec = ANSWER_SECONDS};
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t len = strlen(path);
    if (len + is_abstract >= sizeof address.sun_path)
        return -ENAMETOOLONG;
    memcpy(address.sun_path + is_abstract, path, len);
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + 1);
    dbus->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (dbus->fd < 0)
        return -errno;
    setsockopt(dbus->fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
    setsockopt(dbus->fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout);
    return connect(dbus->fd, (const struct sockaddr *)&address, size) < 0 ? -errno : 0;
}

/* EXTERNAL: the user's number in decimal, its digits in hexadecimal. */
static int authenticate(struct dbus *dbus)
{
    char uid[16], line[64] = "";
    size_t at = 0;
    at += (size_t)snprintf(line, sizeof line, "%cAUTH EXTERNAL ", '\0');
    snprintf(uid, sizeof uid, "%u", (unsigned)getuid());
    for (const char *c = uid; *c; c++)
        at += (size_t)snprintf(line + at, sizeof line - at, "%02x", (unsigned)*c);
    at += (size_t)snprintf(line + at, sizeof line - at, "\r\n");
    int err = send_all(dbus, line, at);
    buf_clear(&dbus->answer);
    while (err == 0 && (dbus->answer.len == 0 || dbus->answer.ptr[dbus->answer.len - 1] != '\n'))
        err = dbus->answer.len < sizeof line * 4 ? receive(dbus, 1) : -EBADMSG;
    if (err == 0 && (dbus->answer.len < 3 || memcmp(dbus->answer.ptr, "OK ", 3) != 0))
        err = -EACCES;
    return err == 0 ? send_all(dbus, "BEGIN\r\n", 7) : err;
}

/* ---- a request ---- */

static int pad(struct buf *b, size_t step)
{
    static const uint8_t zeros[8];
    return buf_append(b, zeros, (step - b->len % step) % step);
}

static int put_u32(struct buf *b, uint32_t value)
{
    const uint8_t bytes[] = {(uint8_t)value, (uint8_t)(value >> 8), (uint8_t)(value >> 16),
                             (uint8_t)(value >> 24)};
    int err = pad(b, sizeof value);
    return err == 0 ? buf_append(b, bytes, sizeof bytes) : err;
}

static int put_string(struct buf *b, const char *text)
{
    int err = put_u32(b, (uint32_t)strlen(text));
    return err == 0 ? buf_append(b, text, strlen(text) + 1) : err;
}

/* A field of the header: its code, the signature of its value, the value. */
static int put_field(struct buf *b, enum field code, char type, const char *text)
{
    const uint8_t head[] = {(uint8_t)code, 1, (uint8_t)type, 0};
    int err = pad(b, 8);
    if (err == 0)
        err = buf_append(b, head, sizeof head);
    if (err < 0 || type != 'g')
        return err < 0 ? err : put_string(b, text);
    const uint8_t len = (uint8_t)strlen(text);
    err = buf_append(b, &len, 1);
    return err == 0 ? buf_append(b, text, len + 1u) : err;
}

static void set_u32(struct buf *b, size_t at, size_t value)
{
    for (int i = 0; i < 4; i++)
        b->ptr[at + (size_t)i] = (uint8_t)(value >> 8 * i);
}

static int put_fields(struct dbus *dbus, const char *destination, const char *path, const char *interface,
                      const char *member, size_t arg_count)
{
    char signature[8] = "ssssss";
    struct buf *b = &dbus->request;
    signature[arg_count < 6 ? arg_count : 6] = '\0';
    int err = put_field(b, PATH, 'o', path);
    if (err == 0)
        err = put_field(b, INTERFACE, 's', interface);
    if (err == 0)
        err = put_field(b, MEMBER, 's', member);
    if (err == 0 && dbus->has_bus)
        err = put_field(b, DESTINATION, 's', destination);
    return err == 0 && arg_count ? put_field(b, SIGNATURE, 'g', signature) : err;
}

static int make_request(struct dbus *dbus, const char *destination, const char *path, const char *interface,
                        const char *member, const char *const *args)
{
    const uint8_t head[] = {'l', METHOD_CALL, 0, 1};
    struct buf *b = &dbus->request;
    size_t count = 0;
    while (args && args[count])
        count++;
    buf_clear(b);
    dbus->serial++;
    int err = buf_append(b, head, sizeof head);
    for (int i = 0; i < 3 && err == 0; i++) /* lengths of body and fields are set below */
        err = put_u32(b, i == 1 ? dbus->serial : 0);
    if (err == 0)
        err = put_fields(dbus, destination, path, interface, member, count);
    if (err < 0)
        return err;
    set_u32(b, 12, b->len - DBUS_FIXED_BYTES);
    err = pad(b, 8);
    size_t body = b->len;
    for (size_t i = 0; i < count && err == 0; i++)
        err = put_string(b, args[i]);
    if (err == 0)
        set_u32(b, 4, b->len - body);
    return err;
}

/* ---- an answer ---- */

static int receive_message(struct dbus *dbus, struct dbus_message *ret_message)
{
    buf_clear(&dbus->answer);
    int err = receive(dbus, DBUS_FIXED_BYTES);
    if (err < 0)
        return err;
    size_t rest = 0;
    err = dbus_message_rest(dbus->answer.ptr, &rest);
    if (err == 0)
        err = receive(dbus, rest);
    return err == 0 ? dbus_message_parse(buf_bytes(&dbus->answer), ret_message) : err;
}

int dbus_call(struct dbus *dbus, const char *destination, const char *path, const char *interface,
              const char *member, const char *const *args, struct dbus_reader *ret_reader)
{
    int err = make_request(dbus, destination, path, interface, member, args);
    struct dbus_message message = {.type = 0};
    if (err == 0)
        err = send_all(dbus, dbus->request.ptr, dbus->request.len);
    for (int i = 0; err == 0; i++) {
        err = i < MAX_STRAYS ? receive_message(dbus, &message) : -EBADMSG;
        if (err == 0 && message.answers == dbus->serial &&
            (message.type == METHOD_RETURN || message.type == ERROR))
            break;
    }
    if (err < 0)
        return err;
    if (message.type == ERROR)
        return -EREMOTEIO;
    *ret_reader = message.body;
    return 0;
}

int dbus_get_property(struct dbus *dbus, const char *destination, const char *path, const char *interface,
                      const char *property, const char *signature, struct dbus_reader *ret_reader)
{
    const char *const args[] = {interface, property, NULL};
    struct dbus_reader reader;
    int err = dbus_call(dbus, destination, path, "org.freedesktop.DBus.Properties", "Get", args, &reader);
    if (err < 0)
        return err;
    if (strcmp(dbus_read_signature(&reader), signature) != 0)
        return -EBADMSG;
    *ret_reader = reader;
    return 0;
}

/* ---- life ---- */

void dbus_free(struct dbus *dbus)
{
    if (!dbus)
        return;
    if (dbus->fd >= 0)
        close(dbus->fd);
    buf_fini(&dbus->request);
    buf_fini(&dbus->answer);
    free(dbus);
}

static int open_at(const char *path, bool is_abstract, bool has_bus, struct dbus **ret_dbus)
{
    struct dbus_reader reader;
    struct dbus *dbus = calloc(1, sizeof *dbus);
    if (!dbus)
        return -ENOMEM;
    dbus->fd = -1;
    dbus->has_bus = has_bus;
    buf_init(&dbus->request, REQUEST_BYTES);
    buf_init(&dbus->answer, DBUS_MESSAGE_BYTES);
    int err = connect_to(dbus, path, is_abstract);
    if (err == 0)
        err = authenticate(dbus);
    if (err == 0 && has_bus)
        err = dbus_call(dbus, "org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus",
                        "Hello", NULL, &reader);
    if (err < 0)
        dbus_free(dbus);
    else
        *ret_dbus = dbus;
    return err;
}

int dbus_open_private(const char *path, struct dbus **ret_dbus)
{
    return open_at(path, false, false, ret_dbus);
}

int dbus_open_system(struct dbus **ret_dbus)
{
    static const char path_key[] = "unix:path=", abstract_key[] = "unix:abstract=";
    const char *address = getenv("DBUS_SYSTEM_BUS_ADDRESS");
    char path[256];
    if (!address || !*address)
        return open_at("/run/dbus/system_bus_socket", false, true, ret_dbus);
    bool is_abstract = strncmp(address, abstract_key, sizeof abstract_key - 1) == 0;
    if (!is_abstract && strncmp(address, path_key, sizeof path_key - 1) != 0)
        return -EINVAL;
    address += is_abstract ? sizeof abstract_key - 1 : sizeof path_key - 1;
    snprintf(path, sizeof path, "%.*s", (int)strcspn(address, ",;"), address);
    return open_at(path, is_abstract, true, ret_dbus);
}
