/* fuzz_podlist.c - any bytes as a PodList: an error with its reason, or pods whose targets can be made. */
#include <stdint.h>
#include <stdlib.h>

#include "gateway/discovery/pod_targets.h"
#include "gateway/discovery/podlist.h"

static void make_targets(const struct podlist *list)
{
    struct assignment assignment = {0};
    struct buf words;
    buf_init(&words, 1 << 16);
    for (size_t i = 0; i < list->count; i++) {
        if (pod_targets_add(&list->pods[i], &list->ports[i], &assignment, &words) < 0)
            abort();
    }
    assignment_fini(&assignment);
    buf_fini(&words);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct podlist list;
    struct buf errors;
    buf_init(&errors, 1 << 16);
    int err = podlist_parse("fuzz", (struct bytes){data, size}, &list, &errors);
    if ((err == 0) != (errors.len == 0))
        abort();
    if (err == 0) {
        make_targets(&list);
        podlist_fini(&list);
    }
    buf_fini(&errors);
    return 0;
}
