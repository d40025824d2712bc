/* fuzz_dbus.c - any message of a D-Bus peer: reading it stays within its bounds and ends, whatever is read.
 */
#include <stdlib.h>
#include <string.h>

#include "node-agent/host/dbus_message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition)
        abort();
}

static void check_text(const struct dbus_reader *body, const char *text)
{
    bool inside = text >= (const char *)body->begin && text < (const char *)body->begin + body->len;
    require(inside || *text == '\0');
    if (inside)
        require(text + strlen(text) < (const char *)body->begin + body->len);
}

/* Reads the body as the letters of that text say, over and over. */
static void walk(struct dbus_reader body, const char *letters)
{
    struct dbus_reader r = body;
    size_t end = 0;
    for (const char *at = letters; !r.failed && r.at < r.len; at = at[1] ? at + 1 : letters) {
        size_t before = r.at;
        if (*at == 'u')
            dbus_read_u32(&r);
        else if (*at == 't')
            dbus_read_u64(&r);
        else if (*at == 's')
            check_text(&body, dbus_read_string(&r));
        else if (*at == 'g')
            check_text(&body, dbus_read_signature(&r));
        else if (*at == 'a')
            end = dbus_read_array(&r);
        else if (*at == '(' && !dbus_read_struct(&r, end))
            return;
        require(r.at >= before && r.at <= r.len);
        if (r.at == before && *at != '(' && !r.failed)
            return;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const shapes[] = {"u", "t", "s", "gu", "gt", "gs", "a(sssss", "a(susso", "a(ut"};
    struct dbus_message message;
    size_t rest;
    if (size >= DBUS_FIXED_BYTES && dbus_message_rest(data, &rest) == 0)
        require(rest <= DBUS_MESSAGE_BYTES);
    struct dbus_reader whole = {.begin = data, .len = size};
    struct dbus_reader body =
        dbus_message_parse((struct bytes){data, size}, &message) == 0 ? message.body : whole;
    require(body.len <= size);
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        walk(body, shapes[i]);
    return 0;
}
