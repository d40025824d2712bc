/* fuzz_exposition.c - any page: every entry stays within its bounds, and what the parser takes can be
 * encoded. */
#include <stdlib.h>

#include "base/utf8.h"
#include "node-agent/scrape/exposition.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition)
        abort();
}

static size_t read_length(struct bytes *at)
{
    size_t len = 0;
    for (int shift = 0;; shift += 7) {
        require(at->len > 0 && shift < 35);
        uint8_t byte = at->ptr[0];
        *at = bytes_skip(*at, 1);
        len |= (size_t)(byte & 0x7f) << shift;
        if (byte < 0x80)
            return len;
    }
}

/* Takes a field with this tag off *at. */
static struct bytes read_field(struct bytes *at, uint8_t tag)
{
    require(at->len > 0 && at->ptr[0] == tag);
    *at = bytes_skip(*at, 1);
    size_t len = read_length(at);
    require(len <= at->len);
    struct bytes content = {at->ptr, len};
    *at = bytes_skip(*at, len);
    return content;
}

/* Walks the labels as a receiver does: sorted, no name twice, no empty value. */
static void check_sorted(struct bytes labels)
{
    struct bytes last = {0};
    while (labels.len) {
        struct bytes label = read_field(&labels, 0x0a);
        struct bytes name = read_field(&label, 0x0a), value = read_field(&label, 0x12);
        size_t least = name.len < last.len ? name.len : last.len;
        int order = least ? memcmp(last.ptr, name.ptr, least) : 0;
        require(name.len > 0 && value.len > 0 && label.len == 0);
        require(order < 0 || (order == 0 && last.len < name.len));
        last = name;
    }
}

static void check_sample(const struct series_context *context, const struct exposition_entry *entry,
                         struct buf *out)
{
    enum series_fault fault;
    for (int clash = SERIES_EXPORTED; clash <= SERIES_HONOR; clash++) {
        buf_clear(out);
        int err = series_encode_labels(context, (enum series_clash)clash, entry->name, entry->labels,
                                       entry->label_count, out, &fault);
        if (err == 0)
            check_sorted(buf_bytes(out));
        else
            require(fault == SERIES_DUPLICATE_LABEL || fault == SERIES_TOO_MANY_LABELS);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct series_context *context;
    const struct series_label target[] = {{bytes_of_string("job"), bytes_of_string("j")},
                                          {bytes_of_string("instance"), bytes_of_string("i")}};
    if (!context && series_context_new(target, 2, NULL, &context) < 0)
        abort();
    static struct exposition_entry entry;
    struct exposition parser;
    struct buf out;
    int got;
    buf_init(&out, 4 << 20);
    exposition_init(&parser, (struct bytes){data, size});
    while ((got = exposition_next(&parser, &entry)) == 1) {
        require(entry.name.len > 0 && entry.name.ptr >= data &&
                entry.name.ptr + entry.name.len <= data + size);
        if (entry.kind == EXPOSITION_SAMPLE)
            check_sample(context, &entry, &out);
        else
            require(utf8_is_valid(entry.text));
    }
    require(got == 0 || (parser.problem && parser.line > 0));
    require(got == 0 || exposition_next(&parser, &entry) == got);
    exposition_fini(&parser);
    buf_fini(&out);
    return 0;
}
