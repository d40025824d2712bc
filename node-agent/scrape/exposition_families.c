#include "node-agent/scrape/exposition_families.h"

#include <errno.h>
#include <stdlib.h>

#include "node-agent/scrape/exposition_line.h"

enum { HEAD_BYTES = 1024 * 1024, FIRST_SLOTS = 256 };

static size_t hash_of(const char *name, size_t len)
{
    uint64_t hash = len, word;
    for (size_t i = 0; i < len; i += sizeof word) {
        word = 0;
        memcpy(&word, name + i, len - i < sizeof word ? len - i : sizeof word);
        hash = (hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
        hash ^= hash >> 29;
    }
    return (size_t)hash;
}

/* The slot of the family's name in the hash table: its own, or the free one that it would get. */
static struct exposition_family **slot_of(const struct exposition_families *families, const char *name,
                                          size_t len, size_t hash)
{
    for (size_t at = hash;; at++) {
        struct exposition_family **slot = &families->slots[at & (families->slot_count - 1)];
        const struct exposition_family *other = *slot;
        if (!other || (other->hash == hash && other->name_len == len && memcmp(other->name, name, len) == 0))
            return slot;
    }
}

static void fill_slots(struct exposition_families *families)
{
    memset(families->slots, 0, families->slot_count * sizeof(struct exposition_family *));
    for (size_t i = 0; i < families->count; i++) {
        struct exposition_family *family = families->items[i];
        *slot_of(families, family->name, family->name_len, family->hash) = family;
    }
}

static int grow(struct exposition_families *families)
{
    size_t room = families->room ? 2 * families->room : FIRST_SLOTS;
    struct exposition_family **items = realloc(families->items, room * sizeof(struct exposition_family *));
    if (!items)
        return -ENOMEM;
    families->items = items;
    struct exposition_family **slots = calloc(2 * room, sizeof(struct exposition_family *));
    if (!slots)
        return -ENOMEM;
    free(families->slots);
    families->slots = slots;
    families->slot_count = 2 * room;
    families->room = room;
    fill_slots(families);
    return 0;
}

static void family_free(struct exposition_family *family)
{
    free(family->name);
    buf_fini(&family->help);
    buf_fini(&family->head);
    free(family);
}

static int family_new(const char *name, size_t len, size_t hash, struct exposition_family **ret_family)
{
    struct exposition_family *family = calloc(1, sizeof *family);
    if (!family)
        return -ENOMEM;
    family->name = strndup(name, len);
    if (!family->name) {
        free(family);
        return -ENOMEM;
    }
    family->name_len = len;
    family->hash = hash;
    buf_init(&family->help, HEAD_BYTES);
    buf_init(&family->head, HEAD_BYTES);
    *ret_family = family;
    return 0;
}

int exposition_families_describe(struct exposition_family *family, enum metric_type type, const char *help)
{
    static const char *const types[] = {[METRIC_COUNTER] = "counter",
                                        [METRIC_GAUGE] = "gauge",
                                        [METRIC_UNTYPED] = "untyped",
                                        [METRIC_SUMMARY] = "summary",
                                        [METRIC_HISTOGRAM] = "histogram"};
    if (family->head.len && family->type == type && strcmp((const char *)family->help.ptr, help) == 0)
        return 0;
    buf_clear(&family->help);
    buf_clear(&family->head);
    family->type = type;
    int err = buf_append(&family->help, help, strlen(help) + 1);
    if (err == 0)
        err = buf_printf(&family->head, "# HELP %s ", family->name);
    if (err == 0)
        err = exposition_line_escape(&family->head, help, false);
    if (err == 0)
        err = buf_printf(&family->head, "\n# TYPE %s %s\n", family->name, types[type]);
    if (err < 0)
        buf_clear(&family->head);
    return err;
}

int exposition_families_find(struct exposition_families *families, const char *name, size_t len,
                             struct exposition_family **ret_family)
{
    size_t hash = hash_of(name, len);
    int err = families->count == families->room ? grow(families) : 0;
    if (err < 0)
        return err;
    struct exposition_family **slot = slot_of(families, name, len, hash);
    if (!*slot) {
        err = family_new(name, len, hash, slot);
        if (err < 0)
            return err;
        families->items[families->count++] = *slot;
    }
    *ret_family = *slot;
    return 0;
}

void exposition_families_forget_unused(struct exposition_families *families)
{
    size_t kept = 0;
    for (size_t i = 0; i < families->count; i++)
        if (families->items[i]->lines)
            families->items[kept++] = families->items[i];
        else
            family_free(families->items[i]);
    families->count = kept;
    if (families->slots)
        fill_slots(families);
}

void exposition_families_fini(struct exposition_families *families)
{
    for (size_t i = 0; i < families->count; i++)
        family_free(families->items[i]);
    free(families->items);
    free(families->slots);
    *families = (struct exposition_families){0};
}
