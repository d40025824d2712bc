#include "node-agent/logs/podfacts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define CONFIG_HASH "kubernetes.io/config.hash"

struct names {
    const char *items[PODFACTS_MAX_WANTED]; /* borrowed */
    size_t count;
};

struct podfacts {
    struct names labels, annotations;
    struct podfacts_pod *pods; /* owned */
    size_t count;
};

int podfacts_new(struct podfacts **ret_facts)
{
    struct podfacts *f = calloc(1, sizeof *f);
    if (!f)
        return -ENOMEM;
    *ret_facts = f;
    return 0;
}

static void free_pairs(struct conf_pair *pairs, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        free((char *)(uintptr_t)pairs[i].key);
        free((char *)(uintptr_t)pairs[i].value);
    }
    free(pairs);
}

static void free_pods(struct podfacts_pod *pods, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        free(pods[i].uid);
        free(pods[i].hash);
        free_pairs(pods[i].labels, pods[i].label_count);
        free_pairs(pods[i].annotations, pods[i].annotation_count);
    }
    free(pods);
}

void podfacts_free(struct podfacts *f)
{
    if (!f)
        return;
    free_pods(f->pods, f->count);
    free(f);
}

static bool is_among(const struct names *names, const char *name)
{
    for (size_t i = 0; i < names->count; i++)
        if (strcmp(names->items[i], name) == 0)
            return true;
    return false;
}

static void want(struct names *names, const char *name)
{
    if (names->count < PODFACTS_MAX_WANTED && !is_among(names, name))
        names->items[names->count++] = name;
}

void podfacts_want_label(struct podfacts *f, const char *name)
{
    want(&f->labels, name);
}

void podfacts_want_annotation(struct podfacts *f, const char *name)
{
    want(&f->annotations, name);
}

/* Copies of the wanted ones. False when memory is out; what there is of them is to be freed. */
static bool pick(const struct names *names, const struct assignment_label *from, size_t from_count,
                 struct conf_pair **ret_pairs, size_t *ret_count)
{
    size_t count = 0;
    for (size_t i = 0; i < from_count; i++)
        count += is_among(names, from[i].name);
    if (count == 0)
        return true;
    struct conf_pair *pairs = *ret_pairs = calloc(count, sizeof *pairs);
    for (size_t i = 0; pairs && i < from_count; i++) {
        if (!is_among(names, from[i].name))
            continue;
        struct conf_pair *pair = &pairs[(*ret_count)++];
        *pair = (struct conf_pair){strdup(from[i].name), strdup(from[i].value)};
        if (!pair->key || !pair->value)
            return false;
    }
    return pairs != NULL;
}

static const char *find_pair(const struct conf_pair *pairs, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(pairs[i].key, name) == 0)
            return pairs[i].value;
    return NULL;
}

static const char *config_hash(const struct assignment_pod *pod)
{
    for (size_t i = 0; i < pod->annotation_count; i++)
        if (strcmp(pod->annotations[i].name, CONFIG_HASH) == 0)
            return pod->annotations[i].value;
    return "";
}

static bool take_pod(const struct podfacts *f, const struct assignment_pod *from, struct podfacts_pod *pod)
{
    pod->uid = strdup(from->uid);
    pod->hash = strdup(config_hash(from));
    return pod->uid && pod->hash &&
           pick(&f->labels, from->labels, from->label_count, &pod->labels, &pod->label_count) &&
           pick(&f->annotations, from->annotations, from->annotation_count, &pod->annotations,
                &pod->annotation_count);
}

static bool is_same_pairs(const struct conf_pair *a, size_t a_count, const struct conf_pair *b,
                          size_t b_count)
{
    bool same = a_count == b_count;
    for (size_t i = 0; i < a_count && same; i++)
        same = strcmp(a[i].key, b[i].key) == 0 && strcmp(a[i].value, b[i].value) == 0;
    return same;
}

static bool is_same(const struct podfacts_pod *a, const struct podfacts_pod *b)
{
    return strcmp(a->uid, b->uid) == 0 &&
           is_same_pairs(a->labels, a->label_count, b->labels, b->label_count) &&
           is_same_pairs(a->annotations, a->annotation_count, b->annotations, b->annotation_count);
}

bool podfacts_set(struct podfacts *f, const struct assignment *assignment)
{
    size_t most = assignment->pod_count < PODFACTS_MAX ? assignment->pod_count : PODFACTS_MAX, count = 0;
    struct podfacts_pod *pods = most ? calloc(most, sizeof *pods) : NULL;
    for (size_t i = 0; pods && i < most; i++) {
        if (!take_pod(f, &assignment->pods[i], &pods[count])) {
            free_pods(pods, count + 1);
            return false; /* memory is out: what was known stays */
        }
        if (pods[count].label_count + pods[count].annotation_count > 0) {
            count++;
            continue;
        }
        free(pods[count].uid);
        free(pods[count].hash);
        pods[count] = (struct podfacts_pod){0};
    }
    bool changed = count != f->count;
    for (size_t i = 0; i < count && !changed; i++)
        changed = !is_same(&pods[i], &f->pods[i]);
    free_pods(f->pods, f->count);
    f->pods = pods;
    f->count = count;
    return changed;
}

const struct podfacts_pod *podfacts_find(const struct podfacts *f, struct bytes uid)
{
    for (size_t i = 0; i < f->count; i++)
        if (bytes_equal(bytes_of_string(f->pods[i].uid), uid) ||
            (f->pods[i].hash[0] && bytes_equal(bytes_of_string(f->pods[i].hash), uid)))
            return &f->pods[i];
    return NULL;
}

const char *podfacts_label(const struct podfacts_pod *pod, const char *name)
{
    return pod ? find_pair(pod->labels, pod->label_count, name) : NULL;
}

const char *podfacts_annotation(const struct podfacts_pod *pod, const char *name)
{
    return pod ? find_pair(pod->annotations, pod->annotation_count, name) : NULL;
}
