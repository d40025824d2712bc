#include "node-agent/scrape/metric_name.h"

#include <stdbool.h>
#include <string.h>

static bool is_plain(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

char *metric_name_sanitize(const char *text, char *storage, size_t size)
{
    size_t len = 0;
    while (*text && len + 1 < size) {
        size_t run = 0;
        bool has_other = false;
        for (; text[run] && !is_plain(text[run]); run++)
            has_other = has_other || text[run] != '_';
        if (has_other) {
            storage[len++] = '_';
            text += run;
        } else {
            storage[len++] = *text++;
        }
    }
    storage[len] = '\0';
    return storage;
}
