/* test_pods.c - a PodList becomes each node's assignment, its version follows the content, the file is read
 * again. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gateway/discovery/pod_targets.h"
#include "gateway/discovery/podlist.h"
#include "gateway/discovery/pods.h"

static void read_fixture(struct buf *text)
{
    FILE *f = fopen(TEST_DATA "/podlist.json", "rb");
    assert_non_null(f);
    buf_init(text, 1 << 20);
    assert_int_equal(buf_reserve(text, 1 << 16), 0);
    text->len = fread(text->ptr, 1, 1 << 16, f);
    fclose(f);
    assert_true(text->len > 0 && text->len < 1 << 16);
}

/* ---- the list */

static void parse_fixture(struct podlist *list)
{
    struct buf text, errors;
    read_fixture(&text);
    buf_init(&errors, 4096);
    assert_int_equal(podlist_parse("list", buf_bytes(&text), list, &errors), 0);
    assert_int_equal(errors.len, 0);
    buf_fini(&text);
    buf_fini(&errors);
}

static const struct assignment_pod *find_pod(const struct podlist *list, const char *name, size_t *ret_index)
{
    for (size_t i = 0; i < list->count; i++) {
        if (strcmp(list->pods[i].name, name) == 0) {
            *ret_index = i;
            return &list->pods[i];
        }
    }
    fail_msg("no pod %s", name);
    return NULL;
}

static void test_podlist_takes_what_an_assignment_tells(void **state)
{
    (void)state;
    struct podlist list;
    size_t i;
    parse_fixture(&list);
    assert_int_equal(list.count, 5); /* the unscheduled one is on no node */
    const struct assignment_pod *pod = find_pod(&list, "web-5787c97cf5-h8kbt", &i);
    assert_string_equal(pod->namespace, "shop");
    assert_string_equal(pod->uid, "c0000000-0000-4000-8000-000000000001");
    assert_string_equal(pod->node, "node1");
    assert_string_equal(pod->phase, "Running");
    assert_string_equal(pod->owner_kind, "ReplicaSet");
    assert_string_equal(pod->owner_name, "web-5787c97cf5");
    assert_string_equal(pod->deployment, "web");
    assert_int_equal(pod->ip_count, 2);
    assert_string_equal(pod->ips[1], "fd00::4");
    assert_int_equal(pod->label_count, 2);
    assert_string_equal(pod->labels[0].name, "app");
    assert_string_equal(pod->labels[1].value, "5787c97cf5");
    assert_int_equal(pod->annotation_count, 3); /* without last-applied-configuration */
    assert_int_equal(pod->container_count, 3);
    assert_string_equal(pod->containers[0].name, "web");
    assert_string_equal(pod->containers[0].image, "web:3");
    assert_string_equal(pod->containers[0].id, "aaaa");
    assert_string_equal(pod->containers[1].id, "bbbb");
    assert_string_equal(pod->containers[2].id, "");
    assert_int_equal(list.ports[i].count, 2);
    podlist_fini(&list);
}

static void test_podlist_names_a_deployment_only_where_it_is_certain(void **state)
{
    (void)state;
    struct podlist list;
    size_t i;
    parse_fixture(&list);
    const struct assignment_pod *agent = find_pod(&list, "agent-zlxcj", &i),
                                *bare = find_pod(&list, "bare", &i);
    assert_string_equal(agent->owner_kind, "DaemonSet");
    assert_string_equal(agent->deployment, "");
    assert_string_equal(bare->owner_kind, "");
    assert_string_equal(bare->owner_name, "");
    assert_string_equal(bare->deployment, "");
    podlist_fini(&list);
}

static void test_podlist_refuses_what_is_no_podlist(void **state)
{
    (void)state;
    static const struct {
        const char *text, *error;
    } cases[] = {
        {"", "list:1:0: not JSON: "},
        {"{\"kind\": \"PodList\",\n \"items\": [}", "list:2:12: not JSON: "},
        {"[]", "list: kind: \"\"; a PodList is expected\n"},
        {"{\"kind\": \"NodeList\", \"items\": []}", "list: kind: \"NodeList\"; a PodList is expected\n"},
        {"{\"kind\": \"PodList\"}", "list: items: missing; an array of pods is expected\n"},
        {"{\"kind\": \"PodList\", \"items\": [3]}", "list: items[0]: no pod; an object is expected\n"},
        {"{\"kind\": \"PodList\", \"items\": [{\"metadata\": {\"namespace\": \"a\"}}]}",
         "list: items[0].metadata.name: missing\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct podlist list;
        struct buf errors;
        buf_init(&errors, 4096);
        assert_int_equal(podlist_parse("list", bytes_of_string(cases[i].text), &list, &errors), -EINVAL);
        assert_int_equal(buf_append(&errors, "", 1), 0);
        if (strncmp((const char *)errors.ptr, cases[i].error, strlen(cases[i].error)) != 0)
            fail_msg("expected %s got %s", cases[i].error, (const char *)errors.ptr);
        buf_fini(&errors);
    }
}

/* ---- targets */

/* "scheme address path labels..." of every target of a pod of the fixture, one a line. */
static void describe_targets(const char *pod_name, struct buf *out, struct buf *errors)
{
    struct podlist list;
    struct assignment assignment = {0};
    size_t i = 0;
    parse_fixture(&list);
    const struct assignment_pod *pod = find_pod(&list, pod_name, &i);
    assert_int_equal(pod_targets_add(pod, &list.ports[i], &assignment, errors), 0);
    for (size_t t = 0; t < assignment.target_count; t++) {
        const struct assignment_target *target = &assignment.targets[t];
        assert_string_equal(target->job, "integrations/kubernetes/pods");
        assert_int_equal(target->interval_ms, 0);
        buf_printf(out, "%s %s %s", target->scheme, target->address, target->path);
        for (size_t k = 0; k < target->label_count; k++)
            buf_printf(out, " %s=%s", target->labels[k].name, target->labels[k].value);
        buf_append_string(out, "\n");
    }
    assert_int_equal(buf_append(out, "", 1), 0);
    assignment_fini(&assignment);
    podlist_fini(&list);
}

static void test_annotations_make_targets(void **state)
{
    (void)state;
    static const struct {
        const char *pod, *targets, *errors;
    } cases[] = {
        {"web-5787c97cf5-h8kbt",
         "http 10.244.0.4:9102 /internal/metrics namespace=shop pod=web-5787c97cf5-h8kbt node=node1 "
         "container=side\n",
         ""},
        {"agent-zlxcj", /* without the annotated port: the declared TCP ports, each once */
         "https [fd00::9]:1000 /metrics namespace=kube-system pod=agent-zlxcj node=node2 container=a\n"
         "https [fd00::9]:2000 /metrics namespace=kube-system pod=agent-zlxcj node=node2 container=b\n",
         ""},
        {"bare", "http 10.244.0.8:80 /metrics namespace=shop pod=bare node=node1 container=c\n", ""},
        {"done", "", ""}, /* runs no more */
        {"typo", "", "pod shop/typo: annotation prometheus.io/port: \"http\"; a number from 1 to 65535\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct buf out, errors;
        buf_init(&out, 4096);
        buf_init(&errors, 4096);
        describe_targets(cases[i].pod, &out, &errors);
        assert_int_equal(buf_append(&errors, "", 1), 0);
        assert_string_equal((const char *)out.ptr, cases[i].targets);
        assert_string_equal((const char *)errors.ptr, cases[i].errors);
        buf_fini(&out);
        buf_fini(&errors);
    }
}

/* ---- the file and what agents are answered */

struct world {
    struct loop loop;
    char folder[64];
    char path[128];
    struct pods *pods;
    struct receive_assignments answers;
};

static void ignore(void *ctx)
{
    (void)ctx;
}

static void write_file(const char *path, struct bytes text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text.ptr, text.len), text.len);
    close(fd);
}

/* The fixture with every `from` replaced by `to`, of the same length. */
static void write_edited(const char *path, const char *from, const char *to)
{
    struct buf text;
    read_fixture(&text);
    assert_int_equal(strlen(from), strlen(to));
    for (uint8_t *at = text.ptr; (at = memmem(at, (size_t)(text.ptr + text.len - at), from, strlen(from)));)
        at = mempcpy(at, to, strlen(to));
    write_file(path, buf_bytes(&text));
    buf_fini(&text);
}

/* A folder as the kubelet mounts a ConfigMap: pods.json -> current/pods.json, current -> a folder. */
static void open_world(struct world *world)
{
    char path[160];
    *world = (struct world){.folder = "/tmp/test_pods.XXXXXX"};
    assert_non_null(mkdtemp(world->folder));
    snprintf(world->path, sizeof world->path, "%s/pods.json", world->folder);
    snprintf(path, sizeof path, "%s/first", world->folder);
    assert_int_equal(mkdir(path, 0700), 0);
    snprintf(path, sizeof path, "%s/current", world->folder);
    assert_int_equal(symlink("first", path), 0);
    assert_int_equal(symlink("current/pods.json", world->path), 0);
    assert_int_equal(loop_init(&world->loop, (struct loop_callbacks){ignore, ignore, NULL}), 0);
}

static void start_pods(struct world *world)
{
    assert_int_equal(pods_new(&world->loop, world->path, &world->pods), 0);
    world->answers = pods_assignments(world->pods);
}

static void close_world(struct world *world)
{
    char command[128];
    pods_close(world->pods);
    loop_end(&world->loop);
    loop_run(&world->loop);
    loop_fini(&world->loop);
    snprintf(command, sizeof command, "rm -r %s", world->folder);
    assert_int_equal(system(command), 0);
}

static uint64_t version_of(struct world *world, const char *node)
{
    return world->answers.version(world->answers.ctx, node);
}

static void ask(struct world *world, const char *node, uint64_t version, struct assignment *ret)
{
    struct assignment_request request = {.version = version};
    snprintf(request.origin, sizeof request.origin, "%s", node);
    snprintf(request.node, sizeof request.node, "%s", node);
    world->answers.get(world->answers.ctx, &request, ret);
}

/* Runs the loop until the node's version is another one; fails after 20 s. */
static void wait_for_change(struct world *world, const char *node, uint64_t version)
{
    uint64_t deadline = uv_hrtime() + UINT64_C(20000000000);
    while (version_of(world, node) == version) {
        assert_true(uv_hrtime() < deadline);
        uv_run(&world->loop.uv, UV_RUN_ONCE);
    }
}

static void test_pods_answers_each_node_with_its_own(void **state)
{
    (void)state;
    struct world world;
    struct assignment answer;
    open_world(&world);
    write_edited(world.path, "node1", "node1");
    start_pods(&world);
    ask(&world, "node1", 0, &answer);
    assert_int_equal(answer.answer, WIRE_COMMITTED);
    assert_false(answer.unchanged);
    assert_true(answer.version != 0);
    assert_int_equal(answer.version, version_of(&world, "node1"));
    assert_int_equal(answer.pod_count, 4);
    assert_string_equal(answer.pods[0].name, "bare");
    assert_int_equal(answer.target_count, 2);
    uint64_t version = answer.version;
    assignment_fini(&answer);
    ask(&world, "node1", version, &answer);
    assert_true(answer.unchanged);
    assert_int_equal(answer.version, version);
    assert_int_equal(answer.pod_count, 0);
    assignment_fini(&answer);
    ask(&world, "node2", 0, &answer);
    assert_int_equal(answer.pod_count, 1);
    assert_int_equal(answer.target_count, 2);
    assert_true(answer.version != version);
    assignment_fini(&answer);
    ask(&world, "node3", 0, &answer); /* known to have nothing, which is not the same as unknown */
    assert_int_equal(answer.pod_count, 0);
    assert_true(answer.version != 0);
    assignment_fini(&answer);
    close_world(&world);
}

static void test_pods_version_changes_only_with_that_nodes_content(void **state)
{
    (void)state;
    struct world world;
    open_world(&world);
    write_edited(world.path, "node1", "node1");
    start_pods(&world);
    uint64_t first = version_of(&world, "node1"), second = version_of(&world, "node2");
    write_edited(world.path, "fd00::9", "fd00::a"); /* of node2's pod */
    wait_for_change(&world, "node2", second);
    assert_int_equal(version_of(&world, "node1"), first);
    close_world(&world);
}

static void test_pods_follows_a_configmaps_symlink_swap(void **state)
{
    (void)state;
    struct world world;
    char from[160], to[160];
    struct assignment answer;
    open_world(&world);
    write_edited(world.path, "node1", "node1");
    start_pods(&world);
    uint64_t version = version_of(&world, "node1");
    snprintf(to, sizeof to, "%s/second", world.folder);
    assert_int_equal(mkdir(to, 0700), 0);
    snprintf(to, sizeof to, "%s/second/pods.json", world.folder);
    write_edited(to, "bare", "BARE");
    snprintf(from, sizeof from, "%s/next", world.folder);
    snprintf(to, sizeof to, "%s/current", world.folder);
    assert_int_equal(symlink("second", from), 0);
    assert_int_equal(rename(from, to), 0);
    wait_for_change(&world, "node1", version);
    ask(&world, "node1", 0, &answer);
    assert_string_equal(answer.pods[0].name, "BARE");
    assignment_fini(&answer);
    close_world(&world);
}

/* Sends standard error, which is the log, to a file in the world's folder; returns what it was. */
static int divert_log(const struct world *world, char *path, size_t size)
{
    snprintf(path, size, "%s/log", world->folder);
    int log = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600), old = dup(STDERR_FILENO);
    assert_true(log >= 0 && old >= 0);
    assert_true(dup2(log, STDERR_FILENO) >= 0);
    close(log);
    return old;
}

static bool file_holds(const char *path, const char *words)
{
    char text[8192] = "";
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    text[fread(text, 1, sizeof text - 1, f)] = '\0';
    fclose(f);
    return strstr(text, words) != NULL;
}

static void test_pods_keeps_the_last_good_file(void **state)
{
    (void)state;
    struct world world;
    struct assignment answer;
    open_world(&world);
    start_pods(&world); /* there is no file yet */
    assert_int_equal(version_of(&world, "node1"), 0);
    ask(&world, "node1", 0, &answer);
    assert_int_equal(answer.version, 0);
    assignment_fini(&answer);
    write_edited(world.path, "node1", "node1");
    wait_for_change(&world, "node1", 0);
    uint64_t first = version_of(&world, "node1"), second = version_of(&world, "node2");
    char log[160];
    int old = divert_log(&world, log, sizeof log);
    write_file(world.path, bytes_of_string("{\"kind\": \"PodList\", \"items\": [")); /* cut off */
    uint64_t deadline = uv_hrtime() + UINT64_C(20000000000);
    while (!file_holds(log, "/pods.json:1:30: not JSON: ") && uv_hrtime() < deadline)
        uv_run(&world.loop.uv, UV_RUN_ONCE);
    assert_true(dup2(old, STDERR_FILENO) >= 0);
    close(old);
    assert_true(file_holds(log, "/pods.json:1:30: not JSON: "));
    assert_int_equal(version_of(&world, "node1"), first);
    write_edited(world.path, "fd00::9", "fd00::b");
    wait_for_change(&world, "node2", second);
    assert_int_equal(version_of(&world, "node1"), first);
    close_world(&world);
}

static void test_pods_without_a_file_knows_nothing(void **state)
{
    (void)state;
    struct world world;
    open_world(&world);
    world.path[0] = '\0';
    start_pods(&world);
    assert_int_equal(version_of(&world, "node1"), 0);
    close_world(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_podlist_takes_what_an_assignment_tells),
        cmocka_unit_test(test_podlist_names_a_deployment_only_where_it_is_certain),
        cmocka_unit_test(test_podlist_refuses_what_is_no_podlist),
        cmocka_unit_test(test_annotations_make_targets),
        cmocka_unit_test(test_pods_answers_each_node_with_its_own),
        cmocka_unit_test(test_pods_version_changes_only_with_that_nodes_content),
        cmocka_unit_test(test_pods_follows_a_configmaps_symlink_swap),
        cmocka_unit_test(test_pods_keeps_the_last_good_file),
        cmocka_unit_test(test_pods_without_a_file_knows_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
