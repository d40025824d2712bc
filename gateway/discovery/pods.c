#include "gateway/discovery/pods.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "gateway/discovery/pod_targets.h"
#include "gateway/discovery/podlist.h"
#include "proto/senders.h"

enum { LOOK_EVERY_MS = 1000, RACY_S = 2, FRAME_MAX = 64 << 20, ERRORS_MAX = 16 * 1024, READ_STEP = 1 << 16 };

struct node {         /* what one agent is told, encoded; decoding it makes the copy that is handed out */
    char *name;       /* owned */
    struct buf frame; /* owned */
    uint64_t version;
};

struct snapshot {       /* all of one file */
    struct node *nodes; /* owned; sorted by name */
    size_t count;
    struct senders senders; /* of all nodes, when they are kept */
    size_t pods, targets;   /* for the log */
};

struct stamp { /* which file was read */
    dev_t device;
    ino_t inode;
    off_t size;
    struct timespec changed;
};

struct pods {
    uv_timer_t timer;
    char *path; /* owned */
    struct snapshot snapshot;
    bool is_known;      /* a good file was read */
    uint64_t text_hash; /* of the file last read, good or bad; 0 none */
    bool keeps_senders;
    bool was_racy;       /* it was read so soon after its change that a second change may look the same */
    int last_error;      /* of opening, so that a missing file is told once */
    struct stamp seen;   /* the file last read, good or bad */
    struct node nothing; /* the assignment of a node without pods */
};

/* ---- one node's assignment */

static uint64_t hash_of(struct bytes bytes)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325); /* FNV-1a 64 */
    for (size_t i = 0; i < bytes.len; i++)
        hash = (hash ^ bytes.ptr[i]) * UINT64_C(0x100000001b3);
    return hash ? hash : 1; /* 0 says that nothing is known */
}

static void node_fini(struct node *node)
{
    free(node->name);
    buf_fini(&node->frame);
}

/* Encodes twice: the version is the hash of the encoding without one. */
static int node_init(struct node *node, const char *name, struct assignment *assignment)
{
    *node = (struct node){.name = strdup(name)};
    buf_init(&node->frame, FRAME_MAX);
    assignment->answer = WIRE_COMMITTED;
    int err = node->name ? assignment_encode(assignment, &node->frame) : -ENOMEM;
    if (err == 0) {
        node->version = assignment->version = hash_of(buf_bytes(&node->frame));
        buf_clear(&node->frame);
        err = assignment_encode(assignment, &node->frame);
    }
    if (err < 0)
        node_fini(node);
    return err;
}

static int make_node(const struct podlist *list, size_t first, size_t end, struct snapshot *snapshot,
                     struct buf *errors)
{
    struct assignment targets = {0}; /* owns only the targets */
    int err = 0;
    for (size_t i = first; err == 0 && i < end; i++)
        err = pod_targets_add(&list->pods[i], &list->ports[i], &targets, errors);
    struct assignment whole = targets;
    whole.pods = list->pods + first;
    whole.pod_count = end - first;
    if (err == 0)
        err = node_init(&snapshot->nodes[snapshot->count], list->pods[first].node, &whole);
    if (err == 0) {
        snapshot->count++;
        snapshot->pods += whole.pod_count;
        snapshot->targets += whole.target_count;
    }
    assignment_fini(&targets);
    return err;
}

/* ---- a whole file */

static void snapshot_fini(struct snapshot *snapshot)
{
    for (size_t i = 0; i < snapshot->count; i++)
        node_fini(&snapshot->nodes[i]);
    free(snapshot->nodes);
    senders_fini(&snapshot->senders);
    *snapshot = (struct snapshot){0};
}

/* The list is sorted by node. */
static int make_snapshot(const struct podlist *list, struct snapshot *ret_snapshot, struct buf *errors)
{
    struct snapshot snapshot = {.nodes = calloc(list->count + 1, sizeof *snapshot.nodes)};
    int err = snapshot.nodes ? 0 : -ENOMEM;
    for (size_t first = 0, end; err == 0 && first < list->count; first = end) {
        for (end = first + 1; end < list->count; end++)
            if (strcmp(list->pods[first].node, list->pods[end].node) != 0)
                break;
        err = make_node(list, first, end, &snapshot, errors);
    }
    if (err < 0)
        snapshot_fini(&snapshot);
    else
        *ret_snapshot = snapshot;
    return err;
}

static int read_all(int fd, struct buf *text)
{
    for (;;) {
        int err = buf_reserve(text, READ_STEP);
        if (err < 0)
            return err == -EMSGSIZE ? -EFBIG : err;
        ssize_t n = read(fd, text->ptr + text->len, READ_STEP);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : 0;
        text->len += (size_t)n;
    }
}

/* Opens without waiting (a FIFO would) and tells which file it was. */
static int read_file(const char *path, struct buf *text, struct stamp *ret_stamp)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return -errno;
    int err = fstat(fd, &st) < 0 ? -errno : 0;
    if (err == 0) {
        *ret_stamp = (struct stamp){st.st_dev, st.st_ino, st.st_size, st.st_mtim};
        err = read_all(fd, text);
    }
    close(fd);
    return err;
}

static void log_errors(const char *msg, const char *path, const struct buf *errors)
{
    char quoted[2048], words[1024];
    size_t len = errors->len < sizeof words ? errors->len : sizeof words - 1;
    if (len == 0)
        return;
    memcpy(words, errors->ptr, len);
    words[words[len - 1] == '\n' ? len - 1 : len] = '\0';
    log_warn(msg, "file=%s words=%s", path, log_quote(words, quoted, sizeof quoted));
}

static int parse_file(const char *path, struct bytes text, bool keeps_senders, struct snapshot *ret_snapshot)
{
    struct podlist list = {0};
    struct buf errors;
    buf_init(&errors, ERRORS_MAX);
    int err = podlist_parse(path, text, &list, &errors);
    log_errors("the pod metadata is bad; the last good one stays", path, &errors);
    buf_clear(&errors);
    if (err == 0)
        err = make_snapshot(&list, ret_snapshot, &errors);
    struct assignment all = {.pods = list.pods, .pod_count = list.count};
    if (err == 0 && keeps_senders && (err = senders_set(&ret_snapshot->senders, &all)) < 0)
        snapshot_fini(ret_snapshot);
    log_errors("pods with annotations that make no sense are not scraped", path, &errors);
    if (err < 0 && err != -EINVAL)
        log_error("the pod metadata was not read", "file=%s error=\"%s\"", path, strerror(-err));
    podlist_fini(&list);
    buf_fini(&errors);
    return err;
}

/* ---- watching */

static bool is_same(const struct stamp *a, const struct stamp *b)
{
    return a->device == b->device && a->inode == b->inode && a->size == b->size &&
           a->changed.tv_sec == b->changed.tv_sec && a->changed.tv_nsec == b->changed.tv_nsec;
}

/* Whether there is something to read: another file, or the one that may have changed unseen. */
static bool is_due(const struct pods *pods)
{
    struct stat st;
    if (stat(pods->path, &st) < 0)
        return pods->last_error != -errno;
    struct stamp now = {st.st_dev, st.st_ino, st.st_size, st.st_mtim};
    return pods->was_racy || !is_same(&now, &pods->seen);
}

static void take_snapshot(struct pods *pods, struct snapshot *snapshot)
{
    snapshot_fini(&pods->snapshot);
    pods->snapshot = *snapshot;
    pods->is_known = true;
    log_info("pod metadata read", "file=%s nodes=%zu pods=%zu targets=%zu", pods->path, snapshot->count,
             snapshot->pods, snapshot->targets);
}

static void take_text(struct pods *pods, struct bytes text)
{
    struct snapshot snapshot;
    uint64_t hash = hash_of(text);
    if (hash == pods->text_hash)
        return;
    pods->text_hash = hash;
    if (parse_file(pods->path, text, pods->keeps_senders, &snapshot) == 0)
        take_snapshot(pods, &snapshot);
}

static void read_again(struct pods *pods)
{
    struct stamp stamp = {0};
    struct buf text;
    buf_init(&text, PODS_MAX_FILE);
    int err = read_file(pods->path, &text, &stamp);
    bool was_seen = is_same(&stamp, &pods->seen);
    if (err < 0 && err != pods->last_error)
        log_warn("the pod metadata cannot be read; the last good one stays", "file=%s error=\"%s\"",
                 pods->path, strerror(-err));
    pods->last_error = err;
    pods->seen = stamp;
    pods->was_racy = err == 0 && !was_seen && time(NULL) - stamp.changed.tv_sec < RACY_S;
    if (err == 0)
        take_text(pods, buf_bytes(&text));
    buf_fini(&text);
}

static void on_look(uv_timer_t *timer)
{
    struct pods *pods = timer->data;
    if (is_due(pods))
        read_again(pods);
}

/* ---- answering */

static int by_name(const void *name, const void *node)
{
    return strcmp(name, ((const struct node *)node)->name);
}

static const struct node *find_node(const struct pods *pods, const char *name)
{
    const struct node *node =
        bsearch(name, pods->snapshot.nodes, pods->snapshot.count, sizeof *node, by_name);
    return node ? node : &pods->nothing;
}

static void get_assignment(void *ctx, const struct assignment_request *request, struct assignment *ret)
{
    const struct pods *pods = ctx;
    *ret = (struct assignment){.answer = WIRE_COMMITTED};
    if (!pods->is_known)
        return;
    const struct node *node = find_node(pods, request->node[0] ? request->node : request->origin);
    if (request->version == node->version) {
        ret->version = node->version;
        ret->unchanged = true;
        return;
    }
    if (assignment_decode(buf_bytes(&node->frame), ret) < 0) /* out of memory; asked again later */
        *ret = (struct assignment){.answer = WIRE_BUSY};
}

static uint64_t get_version(void *ctx, const char *origin)
{
    const struct pods *pods = ctx;
    char node[BATCH_MAX_ORIGIN +
              1]; /* NODE/BOOT of an agent that waits for its turn: the node's all the same */
    snprintf(node, sizeof node, "%.*s", (int)strcspn(origin, "/"), origin);
    return pods->is_known ? find_node(pods, node)->version : 0;
}

struct receive_assignments pods_assignments(struct pods *pods)
{
    return (struct receive_assignments){get_assignment, get_version, pods};
}

void pods_keep_senders(struct pods *pods)
{
    pods->keeps_senders = true;
    pods->text_hash = 0;
    if (*pods->path)
        read_again(pods);
}

struct bytes pods_find_sender(const struct pods *pods, const char *host)
{
    return senders_find(&pods->snapshot.senders, host);
}

/* ---- life */

static void free_pods(struct pods *pods)
{
    snapshot_fini(&pods->snapshot);
    node_fini(&pods->nothing);
    free(pods->path);
    free(pods);
}

static void on_closed(uv_handle_t *handle)
{
    free_pods(handle->data);
}

int pods_new(struct loop *loop, const char *path, struct pods **ret_pods)
{
    struct assignment nothing = {0};
    struct pods *pods = calloc(1, sizeof *pods);
    if (!pods)
        return -ENOMEM;
    pods->path = strdup(path ? path : "");
    int err = pods->path ? node_init(&pods->nothing, "", &nothing) : -ENOMEM;
    if (err < 0) {
        free_pods(pods);
        return err;
    }
    uv_timer_init(&loop->uv, &pods->timer);
    pods->timer.data = pods;
    if (*pods->path) {
        read_again(pods);
        uv_timer_start(&pods->timer, on_look, LOOK_EVERY_MS, LOOK_EVERY_MS);
    }
    *ret_pods = pods;
    return 0;
}

void pods_close(struct pods *pods)
{
    if (pods)
        uv_close((uv_handle_t *)&pods->timer, on_closed);
}
