/* refused_id.h - how a kept refused record is named so that there is one of that name among all replicas:
 * "GATEWAY/SIGNAL/N", with the N of its buffer. Pure, any thread.
 */
#ifndef GATEWAY_REFUSED_ID_H
#define GATEWAY_REFUSED_ID_H

#include <stdint.h>

#include "base/batch.h"
#include "proto/question.h"

struct refused_id {
    char gateway[QUESTION_MAX_ID]; /* "": the one that is asked */
    int signal;                    /* -1: any */
    int64_t number;
};

/* refused_id_print: cut to QUESTION_MAX_ID. */
void refused_id_print(const char *gateway, enum telemetry signal, int64_t number, char ret[QUESTION_MAX_ID]);

/* refused_id_parse: "N", "SIGNAL/N" or the whole name; a gateway's name may have slashes. 0, -EINVAL. */
int refused_id_parse(const char *text, struct refused_id *ret_id);

#endif
