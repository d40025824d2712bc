#include "node-agent/scrape/scrape.h"

#include <errno.h>
#include <stdlib.h>

#include "base/log.h"
#include "node-agent/scrape/scrape_target.h"

enum { KEY_BYTES = 64 * 1024 };

struct place { /* one target in use */
    struct place *next;
    char *key;      /* owned; everything that makes it this target */
    char *location; /* owned; address and path */
    bool is_assigned, is_wanted;
    struct scrape_target *target; /* owned */
};

struct scrape {
    struct scrape_target_options common; /* what all targets share */
    struct place *places;                /* owned */
    size_t count;
};

static char *string_of(struct buf *text)
{
    size_t len;
    if (buf_append(text, "", 1) < 0) {
        buf_fini(text);
        return NULL;
    }
    return (char *)buf_detach(text, &len);
}

static char *location_of(const struct scrape_target_options *options)
{
    struct buf text;
    buf_init(&text, KEY_BYTES);
    buf_printf(&text, "%s%s", options->address, options->path);
    return string_of(&text);
}

static char *key_of(const struct scrape_target_options *options)
{
    struct buf text;
    buf_init(&text, KEY_BYTES);
    buf_printf(&text, "%s\n%s\n%s\n%lld %lld", options->job, options->address, options->path,
               (long long)options->interval_ms, (long long)options->timeout_ms);
    for (size_t i = 0; i < options->label_count; i++) {
        const struct series_label *label = &options->labels[i];
        buf_printf(&text, "\n%zu %zu ", label->name.len, label->value.len);
        buf_append(&text, label->name.ptr, label->name.len);
        buf_append(&text, label->value.ptr, label->value.len);
    }
    return string_of(&text);
}

static void place_free(struct place *place)
{
    free(place->key);
    free(place->location);
    free(place);
}

static int add(struct scrape *scrape, const struct scrape_target_options *options, bool is_assigned)
{
    if (scrape->count == SCRAPE_MAX_TARGETS)
        return -E2BIG;
    struct place *place = calloc(1, sizeof *place);
    if (!place)
        return -ENOMEM;
    place->key = key_of(options);
    place->location = location_of(options);
    place->is_assigned = place->is_wanted = is_assigned;
    int err = place->key && place->location ? scrape_target_new(options, &place->target) : -ENOMEM;
    if (err < 0) {
        place_free(place);
        return err;
    }
    place->next = scrape->places;
    scrape->places = place;
    scrape->count++;
    return 0;
}

/* ---- the configuration's ---- */

static size_t labels_of_map(const struct conf_map *map, struct series_label labels[SERIES_MAX_LABELS])
{
    size_t count = map->count < SERIES_MAX_LABELS ? map->count : SERIES_MAX_LABELS;
    for (size_t i = 0; i < count; i++)
        labels[i] =
            (struct series_label){bytes_of_string(map->items[i].key), bytes_of_string(map->items[i].value)};
    return count;
}

static int add_static(struct scrape *scrape, const struct agent_scrape_config *config,
                      const struct agent_static_config *group, struct buf *errors)
{
    const struct agent_config *agent = scrape->common.config;
    struct series_label labels[SERIES_MAX_LABELS];
    struct scrape_target_options options = scrape->common;
    options.job = config->job_name;
    options.path = config->metrics_path;
    options.labels = labels;
    options.label_count = labels_of_map(&group->labels, labels);
    options.interval_ms = config->interval_ms ? config->interval_ms : agent->scrape_interval_ms;
    options.timeout_ms = config->timeout_ms ? config->timeout_ms : agent->scrape_timeout_ms;
    options.honor_labels = config->honor_labels;
    options.honor_timestamps = config->honor_timestamps;
    options.sample_limit = config->sample_limit;
    options.body_bytes = config->body_size_limit;
    for (size_t i = 0; i < group->targets.count; i++) {
        options.address = group->targets.items[i];
        int err = add(scrape, &options, false);
        if (err < 0) {
            buf_printf(errors, "scrape_configs: job %s: target %s: %s\n", config->job_name, options.address,
                       err == -EINVAL ? "address or labels cannot be used; for example host:9100"
                                      : strerror(-err));
            return err;
        }
    }
    return 0;
}

static int add_configured(struct scrape *scrape, struct buf *errors)
{
    const struct conf_list *configs = &scrape->common.config->scrape_configs;
    const struct agent_scrape_config *config = configs->items;
    int err = 0;
    for (size_t i = 0; i < configs->count && err == 0; i++) {
        const struct agent_static_config *group = config[i].static_configs.items;
        for (size_t k = 0; k < config[i].static_configs.count && err == 0; k++)
            err = add_static(scrape, &config[i], &group[k], errors);
    }
    return err;
}

/* ---- the gateway's ---- */

static size_t labels_of_target(const struct assignment_target *target,
                               struct series_label labels[SERIES_MAX_LABELS])
{
    size_t count = target->label_count < SERIES_MAX_LABELS ? target->label_count : SERIES_MAX_LABELS;
    for (size_t i = 0; i < count; i++)
        labels[i] = (struct series_label){bytes_of_string(target->labels[i].name),
                                          bytes_of_string(target->labels[i].value)};
    return count;
}

static void options_of_target(const struct scrape *scrape, const struct assignment_target *target,
                              struct series_label labels[SERIES_MAX_LABELS],
                              struct scrape_target_options *ret_options)
{
    const struct agent_config *agent = scrape->common.config;
    *ret_options = scrape->common;
    ret_options->job = target->job;
    ret_options->address = target->address;
    ret_options->path = target->path && *target->path ? target->path : "/metrics";
    ret_options->labels = labels;
    ret_options->label_count = labels_of_target(target, labels);
    ret_options->interval_ms = target->interval_ms ? target->interval_ms : agent->scrape_interval_ms;
    ret_options->timeout_ms = target->timeout_ms ? target->timeout_ms : agent->scrape_timeout_ms;
    ret_options->honor_timestamps = true;
}

/* Whether the options' target is there already; one that was assigned before is wanted again. */
static bool keep(struct scrape *scrape, const struct scrape_target_options *options)
{
    char *key = key_of(options), *location = location_of(options);
    bool found = !key || !location;
    for (struct place *p = scrape->places; p && !found; p = p->next) {
        found = p->is_assigned ? strcmp(p->key, key) == 0 : strcmp(p->location, location) == 0;
        if (found)
            p->is_wanted = true;
    }
    free(key);
    free(location);
    return found;
}

static void remove_unwanted(struct scrape *scrape)
{
    for (struct place **at = &scrape->places; *at;) {
        struct place *place = *at;
        if (!place->is_assigned || place->is_wanted) {
            at = &place->next;
            continue;
        }
        *at = place->next;
        scrape->count--;
        scrape_target_close(place->target, true);
        place_free(place);
    }
}

static void add_assigned(struct scrape *scrape, const struct assignment_target *target)
{
    struct series_label labels[SERIES_MAX_LABELS];
    struct scrape_target_options options;
    int err = -EPROTONOSUPPORT;
    if (!target->scheme || !*target->scheme || strcmp(target->scheme, "http") == 0) {
        options_of_target(scrape, target, labels, &options);
        err = keep(scrape, &options) ? 0 : add(scrape, &options, true);
    }
    char address[256];
    if (err < 0)
        log_warn("assigned target left out", "address=%s error=\"%s\"",
                 log_quote(target->address, address, sizeof address), strerror(-err));
}

void scrape_set_targets(struct scrape *scrape, const struct assignment *assignment)
{
    if (assignment->unchanged)
        return;
    for (struct place *p = scrape->places; p; p = p->next)
        p->is_wanted = false;
    for (size_t i = 0; i < assignment->target_count; i++) {
        struct series_label labels[SERIES_MAX_LABELS];
        struct scrape_target_options options;
        options_of_target(scrape, &assignment->targets[i], labels, &options);
        keep(scrape, &options);
    }
    remove_unwanted(scrape); /* before new ones come, whose series may be the same */
    for (size_t i = 0; i < assignment->target_count; i++)
        add_assigned(scrape, &assignment->targets[i]);
}

/* ---- life ---- */

size_t scrape_count(const struct scrape *scrape)
{
    return scrape->count;
}

int scrape_new(struct loop *loop, const struct agent_config *config, struct stats *stats,
               struct series_queue *queue, void (*wake)(void *ctx), void *ctx, struct buf *errors,
               struct scrape **ret_scrape)
{
    struct scrape *scrape = calloc(1, sizeof *scrape);
    if (!scrape)
        return -ENOMEM;
    scrape->common = (struct scrape_target_options){
        .loop = &loop->uv, .config = config, .stats = stats, .queue = queue, .wake = wake, .ctx = ctx};
    int err = add_configured(scrape, errors);
    if (err < 0)
        scrape_close(scrape);
    else
        *ret_scrape = scrape;
    return err;
}

void scrape_close(struct scrape *scrape)
{
    if (!scrape)
        return;
    while (scrape->places) {
        struct place *place = scrape->places;
        scrape->places = place->next;
        scrape_target_close(place->target, false);
        place_free(place);
    }
    free(scrape);
}
