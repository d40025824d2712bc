/* fuzz_conf.c - any bytes as a configuration: an error or a configuration that prints and loads as the same.
 */
#include <stdint.h>
#include <stdlib.h>

#include "base/conf/conf.h"

struct inner {
    const char *name;
    struct conf_map labels;
};

struct outer {
    const char *text, *secret;
    bool flag;
    int64_t number, duration, size;
    int choice;
    struct conf_strings strings;
    struct conf_map map, masked;
    struct inner section;
    struct conf_list list; /* of struct inner */
};

static const char *const choices[] = {"a", "b", NULL};
static const struct conf_option inner_options[] = {
    {"n", CONF_STRING, offsetof(struct inner, name), "x", .help = "."},
    {"l", CONF_MAP, offsetof(struct inner, labels), .help = "."},
    {0},
};
static const struct conf_option options[] = {
    {"t", CONF_STRING, offsetof(struct outer, text), "", .help = "."},
    {"s", CONF_SECRET, offsetof(struct outer, secret), "", .help = "."},
    {"f", CONF_BOOL, offsetof(struct outer, flag), "true", .help = "."},
    {"i", CONF_INT, offsetof(struct outer, number), "0", INT64_MIN, INT64_MAX, .help = "."},
    {"d", CONF_DURATION, offsetof(struct outer, duration), "1s", .help = "."},
    {"z", CONF_SIZE, offsetof(struct outer, size), "1KiB", .help = "."},
    {"c", CONF_ENUM, offsetof(struct outer, choice), "a", .names = choices},
    {"q", CONF_STRINGS, offsetof(struct outer, strings), .help = "."},
    {"m", CONF_MAP, offsetof(struct outer, map), .help = "."},
    {"h", CONF_MAP, offsetof(struct outer, masked), .secret = true},
    {"o", CONF_SECTION, offsetof(struct outer, section), .options = inner_options},
    {"l", CONF_LIST, offsetof(struct outer, list), .options = inner_options, .size = sizeof(struct inner)},
    {0},
};

static int parse_and_print(struct bytes text, struct buf *out, struct buf *errors)
{
    struct outer outer;
    struct conf_memory *memory = NULL;
    int err = conf_parse("fuzz", text, options, &outer, &memory, errors);
    if (err == 0 && conf_print(options, &outer, out) < 0)
        abort();
    conf_free(memory);
    return err;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf once, twice, errors;
    buf_init(&once, 64 << 20);
    buf_init(&twice, 64 << 20);
    buf_init(&errors, 1 << 16);
    int err = parse_and_print((struct bytes){data, size}, &once, &errors);
    if ((err == 0) != (errors.len == 0))
        abort(); /* every failure says why, and nothing else does */
    /* What was printed may be larger than a file may be; the limits then refuse it. */
    if (err == 0 && parse_and_print(buf_bytes(&once), &twice, &errors) == 0 &&
        !bytes_equal(buf_bytes(&once), buf_bytes(&twice)))
        abort();
    buf_fini(&once);
    buf_fini(&twice);
    buf_fini(&errors);
    return 0;
}
