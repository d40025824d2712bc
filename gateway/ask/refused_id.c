#include "gateway/ask/refused_id.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void refused_id_print(const char *gateway, enum telemetry signal, int64_t number, char ret[QUESTION_MAX_ID])
{
    snprintf(ret, QUESTION_MAX_ID, "%s/%s/%lld", gateway, telemetry_name(signal), (long long)number);
}

/* The last part of text, which ends before it; NULL: there is none. */
static char *cut_last(char *text)
{
    char *slash = strrchr(text, '/');
    if (!slash)
        return NULL;
    *slash = '\0';
    return slash + 1;
}

int refused_id_parse(const char *text, struct refused_id *ret_id)
{
    struct refused_id id = {.signal = -1};
    char copy[QUESTION_MAX_ID], *end;
    if (snprintf(copy, sizeof copy, "%s", text) >= (int)sizeof copy)
        return -EINVAL;
    char *number = cut_last(copy), *signal = number ? cut_last(copy) : NULL;
    if (number) {
        id.signal = telemetry_find(bytes_of_string(signal ? signal : copy));
        if (id.signal < 0)
            return -EINVAL;
        snprintf(id.gateway, sizeof id.gateway, "%s", signal ? copy : "");
    } else {
        number = copy;
    }
    if (*number < '0' || *number > '9')
        return -EINVAL;
    errno = 0;
    id.number = strtoll(number, &end, 10);
    if (*end || errno || id.number <= 0)
        return -EINVAL;
    *ret_id = id;
    return 0;
}
