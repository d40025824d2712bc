#include "node-agent/host/netlink.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

enum { DATAGRAM_BYTES = 32768, ANSWER_SECONDS = 1, BODY_BYTES = 256 };

struct netlink {
    int fd, protocol;
    uint8_t datagram[DATAGRAM_BYTES] __attribute__((aligned(8)));
};

struct netlink *netlink_new(int protocol)
{
    struct netlink *netlink = calloc(1, sizeof *netlink);
    if (netlink) {
        netlink->fd = -1;
        netlink->protocol = protocol;
    }
    return netlink;
}

void netlink_free(struct netlink *netlink)
{
    if (netlink && netlink->fd >= 0)
        close(netlink->fd);
    free(netlink);
}

/* ---- messages ---- */

static int parse_error(struct bytes content)
{
    int error;
    if (content.len < sizeof error)
        return -EBADMSG;
    memcpy(&error, content.ptr, sizeof error);
    return error < 0 ? error : 0;
}

int netlink_parse(struct bytes datagram,
                  int (*fn)(void *ctx, const struct nlmsghdr *head, struct bytes content), void *ctx)
{
    while (datagram.len > 0) {
        struct nlmsghdr head;
        if (datagram.len < sizeof head)
            return -EBADMSG;
        memcpy(&head, datagram.ptr, sizeof head);
        if (head.nlmsg_len < sizeof head || head.nlmsg_len > datagram.len)
            return -EBADMSG;
        struct bytes content = {datagram.ptr + NLMSG_HDRLEN, head.nlmsg_len - NLMSG_HDRLEN};
        if (head.nlmsg_type == NLMSG_DONE)
            return 0;
        if (head.nlmsg_type == NLMSG_ERROR)
            return parse_error(content);
        int err = fn(ctx, &head, content);
        if (err < 0)
            return err;
        size_t step = NLMSG_ALIGN(head.nlmsg_len);
        datagram = bytes_skip(datagram, step < datagram.len ? step : datagram.len);
    }
    return 1;
}

bool netlink_attribute(struct bytes *rest, int *ret_type, struct bytes *ret_content)
{
    struct nlattr head;
    if (rest->len < sizeof head)
        return false;
    memcpy(&head, rest->ptr, sizeof head);
    if (head.nla_len < sizeof head || head.nla_len > rest->len)
        return false;
    *ret_type = head.nla_type & NLA_TYPE_MASK;
    *ret_content = (struct bytes){rest->ptr + NLA_HDRLEN, head.nla_len - (size_t)NLA_HDRLEN};
    size_t step = NLA_ALIGN(head.nla_len);
    *rest = bytes_skip(*rest, step < rest->len ? step : rest->len);
    return true;
}

/* ---- the kernel ---- */

static int open_socket(struct netlink *netlink)
{
    const struct timeval timeout = {.tv_sec = ANSWER_SECONDS};
    netlink->fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, netlink->protocol);
    if (netlink->fd < 0)
        return -errno;
    setsockopt(netlink->fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
    return 0;
}

static int send_request(struct netlink *netlink, int type, int flags, const void *body, size_t body_len)
{
    struct {
        struct nlmsghdr head;
        uint8_t body[BODY_BYTES];
    } request = {.head = {.nlmsg_len = (uint32_t)NLMSG_LENGTH(body_len),
                          .nlmsg_type = (uint16_t)type,
                          .nlmsg_flags = (uint16_t)flags}};
    if (body_len > sizeof request.body)
        return -EMSGSIZE;
    memcpy(request.body, body, body_len);
    return send(netlink->fd, &request, request.head.nlmsg_len, 0) < 0 ? -errno : 0;
}

static int exchange(struct netlink *netlink, int type, int flags, const void *body, size_t body_len,
                    int (*fn)(void *ctx, const struct nlmsghdr *head, struct bytes content), void *ctx)
{
    int err = netlink->fd < 0 ? open_socket(netlink) : 0;
    if (err == 0)
        err = send_request(netlink, type, flags, body, body_len);
    for (int more = 1; more > 0 && err == 0;) {
        ssize_t n = recv(netlink->fd, netlink->datagram, sizeof netlink->datagram, MSG_TRUNC);
        if (n < 0)
            err = -errno;
        else if ((size_t)n > sizeof netlink->datagram)
            err = -EMSGSIZE;
        else
            more = netlink_parse((struct bytes){netlink->datagram, (size_t)n}, fn, ctx);
        if (more < 0)
            err = more;
        if (!(flags & NLM_F_DUMP))
            break;
    }
    if (err < 0 && netlink->fd >= 0) { /* an answer may still be under way: begin anew */
        close(netlink->fd);
        netlink->fd = -1;
    }
    return err;
}

int netlink_dump(struct netlink *netlink, int type, const void *body, size_t body_len,
                 int (*fn)(void *ctx, const struct nlmsghdr *head, struct bytes content), void *ctx)
{
    return exchange(netlink, type, NLM_F_REQUEST | NLM_F_DUMP, body, body_len, fn, ctx);
}

int netlink_ask(struct netlink *netlink, int type, const void *body, size_t body_len,
                int (*fn)(void *ctx, const struct nlmsghdr *head, struct bytes content), void *ctx)
{
    return exchange(netlink, type, NLM_F_REQUEST, body, body_len, fn, ctx);
}
