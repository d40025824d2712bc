/* Whose address it is. */
#include <stdio.h>

#include "base/pb.h"
#include "proto/senders.h"
#include "tests/unit/unit.h"

static char shop_ip[] = "10.0.0.7", shop_ip6[] = "fd00::7", host_ip[] = "192.168.1.1", old_ip[] = "10.0.0.9";
static char *shop_ips[] = {shop_ip, shop_ip6}, *host_ips[] = {host_ip}, *old_ips[] = {old_ip};
static char namespace[] = "prod", shop[] = "shop-5d4-abc", uid[] = "u-1", node[] = "node-1",
            deployment[] = "shop", app[] = "app", other[] = "other", running[] = "Running",
            succeeded[] = "Succeeded", none[] = "";
static struct assignment_container one_container[] = {{app, none, none}},
                                   two_containers[] = {{app, none, none}, {other, none, none}};

static struct assignment_pod pod_of(char *name, char **ips, size_t ip_count)
{
    return (struct assignment_pod){.namespace = namespace,
                                   .name = name,
                                   .uid = uid,
                                   .node = node,
                                   .deployment = none,
                                   .phase = running,
                                   .ips = ips,
                                   .ip_count = ip_count,
                                   .containers = two_containers,
                                   .container_count = 2};
}

/* "name=value name=value" of the attributes. */
static const char *shown(struct bytes attributes)
{
    static char text[1000];
    struct pb_field field, key, value, string;
    size_t len = 0;
    text[0] = '\0';
    while (pb_next(&attributes, &field) > 0) {
        assert_int_equal(pb_next(&field.bytes, &key), 1);
        assert_int_equal(pb_next(&field.bytes, &value), 1);
        assert_int_equal(pb_next(&value.bytes, &string), 1);
        len += (size_t)snprintf(text + len, sizeof text - len, "%s%.*s=%.*s", len ? " " : "",
                                (int)key.bytes.len, (const char *)key.bytes.ptr, (int)string.bytes.len,
                                (const char *)string.bytes.ptr);
    }
    return text;
}

static void test_senders_are_known_by_their_addresses(void **state)
{
    (void)state;
    struct assignment_pod pods[] = {pod_of(shop, shop_ips, 2), pod_of(other, host_ips, 1),
                                    pod_of(app, host_ips, 1), pod_of(other, old_ips, 1)};
    struct assignment assignment = {.pods = pods, .pod_count = 4};
    struct senders senders;
    static const char expected[] =
        "k8s.namespace.name=prod k8s.pod.name=shop-5d4-abc k8s.pod.uid=u-1 k8s.node.name=node-1 "
        "k8s.container.name=app k8s.deployment.name=shop";
    pods[0].deployment = deployment;
    pods[0].containers = one_container;
    pods[0].container_count = 1;
    pods[3].phase = succeeded;
    senders_init(&senders);
    assert_string_equal(shown(senders_find(&senders, "10.0.0.7")), "");
    assert_int_equal(senders_set(&senders, &assignment), 0);
    assert_string_equal(shown(senders_find(&senders, "10.0.0.7")), expected);
    assert_string_equal(shown(senders_find(&senders, "FD00:0::7")), expected);
    assert_string_equal(shown(senders_find(&senders, "192.168.1.1")),
                        "");                                            /* two pods on the host's network */
    assert_string_equal(shown(senders_find(&senders, "10.0.0.9")), ""); /* over */
    assert_string_equal(shown(senders_find(&senders, "10.0.0.8")), "");
    assert_string_equal(shown(senders_find(&senders, "unix")), "");
    pods[0].container_count = 2;
    pods[0].containers = two_containers;
    pods[0].deployment = none;
    assert_int_equal(senders_set(&senders, &assignment), 0);
    assert_string_equal(
        shown(senders_find(&senders, "10.0.0.7")),
        "k8s.namespace.name=prod k8s.pod.name=shop-5d4-abc k8s.pod.uid=u-1 k8s.node.name=node-1");
    assignment.pod_count = 0;
    assert_int_equal(senders_set(&senders, &assignment), 0);
    assert_string_equal(shown(senders_find(&senders, "10.0.0.7")), "");
    senders_fini(&senders);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_senders_are_known_by_their_addresses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
