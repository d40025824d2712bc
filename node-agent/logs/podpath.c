#include "node-agent/logs/podpath.h"

#include <errno.h>

enum { MAX_RESTART_DIGITS = 9, MAX_ROTATED_LEN = 32 };

int podpath_parse_folder(const char *name, struct podpath *ret_path)
{
    const char *first = strchr(name, '_'), *last = strrchr(name, '_');
    if (!first || first == last || first == name || last == first + 1 || !last[1])
        return -EINVAL;
    *ret_path = (struct podpath){
        .namespace = {(const uint8_t *)name, (size_t)(first - name)},
        .pod = {(const uint8_t *)first + 1, (size_t)(last - first - 1)},
        .uid = bytes_of_string(last + 1),
    };
    return 0;
}

/* A rotation's time stamp: digits and dashes only, so that .tmp is told apart. Its length, or 0. */
static size_t rotation_len(const char *s)
{
    size_t len = strspn(s, "0123456789-");
    return len <= MAX_ROTATED_LEN ? len : 0;
}

int podpath_parse_file(const char *name, struct podpath_file *ret_file)
{
    uint32_t restart = 0;
    size_t digits = strspn(name, "0123456789");
    if (digits == 0 || digits > MAX_RESTART_DIGITS || strncmp(name + digits, ".log", 4) != 0)
        return -EINVAL;
    for (size_t i = 0; i < digits; i++)
        restart = restart * 10 + (uint32_t)(name[i] - '0');
    const char *rest = name + digits + 4;
    size_t len = *rest == '.' ? rotation_len(rest + 1) : 0;
    const char *suffix = len ? rest + 1 + len : rest;
    bool zipped = len && strcmp(suffix, PODPATH_ZIPPED) == 0;
    if (*suffix && !zipped)
        return -EINVAL;
    *ret_file = (struct podpath_file){restart, len ? rest + 1 : NULL, zipped};
    return 0;
}
