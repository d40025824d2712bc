#include "node-agent/host/genl.h"

#include <errno.h>
#include <linux/genetlink.h>
#include <stdbool.h>

enum { BODY_BYTES = 240, NAME_BYTES = 32 };

void genl_put(uint8_t *storage, size_t *len, int type, const void *value, size_t value_len)
{
    const struct nlattr head = {.nla_len = (uint16_t)(NLA_HDRLEN + value_len), .nla_type = (uint16_t)type};
    memcpy(storage + *len, &head, sizeof head);
    memcpy(storage + *len + NLA_HDRLEN, value, value_len);
    memset(storage + *len + NLA_HDRLEN + value_len, 0, NLA_ALIGN(value_len) - value_len);
    *len += NLA_HDRLEN + NLA_ALIGN(value_len);
}

/* The head of a request and its attributes, in body; its length, or -EMSGSIZE. */
static int make_body(uint8_t command, uint8_t version, struct bytes attributes, uint8_t body[BODY_BYTES])
{
    const struct genlmsghdr head = {.cmd = command, .version = version};
    if (attributes.len > BODY_BYTES - GENL_HDRLEN)
        return -EMSGSIZE;
    memcpy(body, &head, sizeof head);
    if (attributes.len)
        memcpy(body + GENL_HDRLEN, attributes.ptr, attributes.len);
    return (int)(GENL_HDRLEN + attributes.len);
}

static int on_family(void *ctx, const struct nlmsghdr *head, struct bytes content)
{
    int *family = ctx;
    struct bytes value;
    (void)head;
    if (content.len < GENL_HDRLEN)
        return -EBADMSG;
    content = bytes_skip(content, GENL_HDRLEN);
    for (int type; netlink_attribute(&content, &type, &value);) {
        uint16_t number;
        if (type == CTRL_ATTR_FAMILY_ID && value.len >= sizeof number) {
            memcpy(&number, value.ptr, sizeof number);
            *family = number;
        }
    }
    return 0;
}

int genl_find(struct netlink *netlink, const char *family, int *ret_family)
{
    uint8_t attributes[64], body[BODY_BYTES];
    size_t len = 0;
    int found = 0;
    if (strlen(family) >= NAME_BYTES)
        return -EINVAL;
    genl_put(attributes, &len, CTRL_ATTR_FAMILY_NAME, family, strlen(family) + 1);
    int size = make_body(CTRL_CMD_GETFAMILY, 1, (struct bytes){attributes, len}, body);
    int err = size < 0 ? size : netlink_ask(netlink, GENL_ID_CTRL, body, (size_t)size, on_family, &found);
    if (err == 0 && found == 0)
        err = -ENOENT;
    if (err == 0)
        *ret_family = found;
    return err;
}

struct receiver {
    int (*fn)(void *ctx, struct bytes attributes);
    void *ctx;
};

static int on_message(void *ctx, const struct nlmsghdr *head, struct bytes content)
{
    const struct receiver *receiver = ctx;
    (void)head;
    return content.len < GENL_HDRLEN ? -EBADMSG
                                     : receiver->fn(receiver->ctx, bytes_skip(content, GENL_HDRLEN));
}

int genl_dump(struct netlink *netlink, int family, uint8_t command, uint8_t version, struct bytes attributes,
              int (*fn)(void *ctx, struct bytes attributes), void *ctx)
{
    struct receiver receiver = {fn, ctx};
    uint8_t body[BODY_BYTES];
    int size = make_body(command, version, attributes, body);
    return size < 0 ? size : netlink_dump(netlink, family, body, (size_t)size, on_message, &receiver);
}
