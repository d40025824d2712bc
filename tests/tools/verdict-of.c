/* verdict-of - what the gateway makes of backends' answers.
 *
 * Reads lines `KIND STATUS RETRY_AFTER|- BODY` (KIND: remote_write, loki, otlp_http, otlp_plain, otlp_grpc;
 * BODY: the rest of the line, may be empty) and prints delivered, retry, too_large, refused or away for each.
 */
#include <stdio.h>
#include <stdlib.h>

#include "gateway/fanout/verdict.h"

static int parse_kind(const char *name, enum backend_kind *ret_kind)
{
    static const char *const names[] = {"remote_write", "loki", "otlp_http", "otlp_plain", "otlp_grpc"};
    for (int i = 0; i < 5; i++) {
        if (strcmp(names[i], name) == 0) {
            *ret_kind = (enum backend_kind)i;
            return 0;
        }
    }
    return -1;
}

static int judge_line(char *line)
{
    char kind_name[32], after[128];
    int status, at = 0;
    int64_t wait_ms;
    enum backend_kind kind;
    if (sscanf(line, "%31s %d %127s %n", kind_name, &status, after, &at) != 3 ||
        parse_kind(kind_name, &kind) < 0)
        return -1;
    struct verdict_answer answer = {.status = status,
                                    .retry_after = strcmp(after, "-") == 0 ? NULL : after,
                                    .body = bytes_of_string(line + at)};
    printf("%s\n", verdict_name(verdict_of(kind, &answer, false, &wait_ms)));
    return 0;
}

int main(void)
{
    char *line = NULL;
    size_t room = 0;
    int failed = 0;
    ssize_t len;
    while (!failed && (len = getline(&line, &room, stdin)) >= 0) {
        if (len > 0 && line[len - 1] == '\n')
            line[len - 1] = 0;
        failed = judge_line(line) < 0;
        if (failed)
            fprintf(stderr, "verdict-of: not KIND STATUS RETRY_AFTER|- BODY: %s\n", line);
    }
    free(line);
    return failed;
}
