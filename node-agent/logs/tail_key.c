#include "node-agent/logs/tail_key.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/crc32c.h"
#include "node-agent/logs/cri.h"

enum { MAX_PREFIX = 400 }; /* with numbers and a stream's suffix less than TAIL_KEY_LEN */

/* Letters, digits and the marks that stand in paths; the rest as %XX. */
static void escape(const char *from, char *to, size_t size)
{
    size_t n = 0;
    for (; *from && n + 4 <= size; from++) {
        unsigned char c = (unsigned char)*from;
        bool plain =
            (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || strchr("-_./", c);
        n += (size_t)snprintf(to + n, size - n, plain ? "%c" : "%%%02X", c);
    }
    to[n] = '\0';
}

void tail_key_prefix(const char *stream, char ret_prefix[TAIL_KEY_LEN])
{
    char prefix[3 * 768 + 8];
    escape(stream, prefix, sizeof prefix);
    if (strlen(prefix) > MAX_PREFIX)
        snprintf(prefix + MAX_PREFIX - 8, 9, "%08" PRIx32, crc32c(bytes_of_string(stream)));
    snprintf(ret_prefix, TAIL_KEY_LEN, "%.*s", MAX_PREFIX, prefix);
}

void tail_key_write(const char *stream, const struct tail_key *numbers, char ret_key[TAIL_KEY_LEN])
{
    char prefix[MAX_PREFIX + 1];
    tail_key_prefix(stream, ret_key);
    snprintf(prefix, sizeof prefix, "%s", ret_key);
    snprintf(ret_key, TAIL_KEY_LEN, "%s:%" PRIx64 ":%" PRIx64 ":%" PRIu32 ":%08" PRIx32, prefix,
             numbers->device, numbers->inode, numbers->head_len, numbers->head_crc);
}

int tail_key_parse(const char *key, struct tail_key *ret_key)
{
    struct tail_key parsed = {.stream = -1};
    const char *numbers = strchr(key, ':');
    int end = 0;
    if (!numbers ||
        sscanf(numbers, ":%" SCNx64 ":%" SCNx64 ":%" SCNu32 ":%8" SCNx32 "%n", &parsed.device, &parsed.inode,
               &parsed.head_len, &parsed.head_crc, &end) != 4 ||
        parsed.head_len == 0 || parsed.head_len > TAIL_HEAD)
        return -EINVAL;
    parsed.prefix = (struct bytes){(const uint8_t *)key, (size_t)(numbers - key)};
    const char *suffix = numbers + end;
    for (int i = 0; i < CRI_STREAMS && *suffix; i++)
        if (*suffix == '#' && strcmp(suffix + 1, cri_stream_name((enum cri_stream)i)) == 0)
            parsed.stream = i;
    if (*suffix && parsed.stream < 0)
        return -EINVAL;
    *ret_key = parsed;
    return 0;
}
