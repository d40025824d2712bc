/* The collectors on a made-up host, compared with the page that node_exporter makes of it (tests/data/host).
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "node-agent/host/collectors/netdev.h"
#include "node-agent/host/collectors/table.h"
#include "node-agent/host/node_metrics.h"
#include "node-agent/host/text.h"
#include "node-agent/scrape/exposition.h"
#include "node-agent/scrape/exposition_write.h"
#include "tests/unit/unit.h"

enum { MAX_LINES = 4096 };

static struct agent_config config_of(const char *const *names, size_t count)
{
    struct agent_config config;
    memset(&config, 0, sizeof config);
    config.host_metrics.path_procfs = TEST_DATA "/host/proc";
    config.host_metrics.path_sysfs = TEST_DATA "/host/sys";
    config.host_metrics.path_rootfs = TEST_DATA "/host/root";
    config.host_metrics.path_udev_data = "";
    config.host_metrics.mount_timeout_ms = 5000;
    config.host_metrics.collectors = (struct conf_strings){(const char **)names, count};
    return config;
}

static void read_file(const char *path, struct buf *out)
{
    FILE *f = fopen(path, "rb");
    char part[4096];
    assert_non_null(f);
    for (size_t n; (n = fread(part, 1, sizeof part, f)) > 0;)
        assert_int_equal(buf_append(out, part, n), 0);
    fclose(f);
}

/* ---- pages as sorted lines ---- */

static int compare_labels(const void *a, const void *b)
{
    const struct series_label *left = a, *right = b;
    size_t least = left->name.len < right->name.len ? left->name.len : right->name.len;
    int order = memcmp(left->name.ptr, right->name.ptr, least);
    return order ? order : (left->name.len > right->name.len) - (left->name.len < right->name.len);
}

/* What depends on the disk under the test or on the moment. */
static bool has_own_value(struct bytes name)
{
    return text_starts(name, "node_filesystem_size") || text_starts(name, "node_filesystem_free") ||
           text_starts(name, "node_filesystem_avail") || text_starts(name, "node_filesystem_files");
}

static bool is_left_out(struct bytes name)
{
    return text_is(name, "node_time_seconds") || text_is(name, "node_time_zone_offset_seconds") ||
           text_is(name, "node_textfile_mtime_seconds") ||
           text_is(name, "node_scrape_collector_duration_seconds");
}

static void show_entry(struct exposition_entry *e, struct buf *out)
{
    static const char *const kinds[] = {"", "help ", "type "};
    buf_printf(out, "%s%.*s", kinds[e->kind], (int)e->name.len, (const char *)e->name.ptr);
    if (e->kind != EXPOSITION_SAMPLE) {
        buf_printf(out, " %.*s\n", (int)e->text.len, (const char *)e->text.ptr);
        return;
    }
    qsort(e->labels, e->label_count, sizeof *e->labels, compare_labels);
    for (size_t i = 0; i < e->label_count; i++)
        buf_printf(out, " %.*s=[%.*s]", (int)e->labels[i].name.len, (const char *)e->labels[i].name.ptr,
                   (int)e->labels[i].value.len, (const char *)e->labels[i].value.ptr);
    if (has_own_value(e->name))
        buf_append_string(out, "\n");
    else
        buf_printf(out, " %.17g\n", e->value);
}

static int compare_lines(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The page's entries, one a line, sorted. The caller frees. */
static char *canonical(struct bytes page)
{
    static struct exposition_entry entry;
    struct exposition parser;
    struct buf shown, sorted;
    char *lines[MAX_LINES], *rest, *line;
    size_t count = 0;
    int got;
    buf_init(&shown, 16 << 20);
    buf_init(&sorted, 16 << 20);
    exposition_init(&parser, page);
    while ((got = exposition_next(&parser, &entry)) == 1)
        if (!is_left_out(entry.name))
            show_entry(&entry, &shown);
    assert_int_equal(got, 0);
    exposition_fini(&parser);
    buf_append(&shown, "", 1);
    for (rest = (char *)shown.ptr; (line = strsep(&rest, "\n"));)
        if (*line) {
            assert_true(count < MAX_LINES);
            lines[count++] = line;
        }
    qsort(lines, count, sizeof *lines, compare_lines);
    for (size_t i = 0; i < count; i++)
        buf_printf(&sorted, "%s\n", lines[i]);
    buf_append(&sorted, "", 1);
    buf_fini(&shown);
    return (char *)sorted.ptr;
}

static void expect_equal(char *ours, char *theirs)
{
    for (char *a = ours, *b = theirs, *line, *other; (line = strsep(&a, "\n"));) {
        other = strsep(&b, "\n");
        assert_non_null(other);
        assert_string_equal(line, other);
    }
    free(ours);
    free(theirs);
}

static void test_collectors_say_what_node_exporter_says(void **state)
{
    (void)state;
    static const char *const names[] = {"arp",
                                        "bcache",
                                        "bcachefs",
                                        "bonding",
                                        "btrfs",
                                        "buddyinfo",
                                        "cgroups",
                                        "conntrack",
                                        "cpu",
                                        "cpu_vulnerabilities",
                                        "cpufreq",
                                        "diskstats",
                                        "dmi",
                                        "dmmultipath",
                                        "drbd",
                                        "edac",
                                        "entropy",
                                        "fibrechannel",
                                        "filefd",
                                        "filesystem",
                                        "hwmon",
                                        "infiniband",
                                        "interrupts",
                                        "ipvs",
                                        "kernel_hung",
                                        "ksmd",
                                        "lnstat",
                                        "loadavg",
                                        "mdadm",
                                        "meminfo",
                                        "meminfo_numa",
                                        "mountstats",
                                        "netclass",
                                        "netdev",
                                        "netstat",
                                        "qdisc",
                                        "wifi",
                                        "nfs",
                                        "nfsd",
                                        "nvme",
                                        "os",
                                        "pcidevice",
                                        "powersupplyclass",
                                        "pressure",
                                        "processes",
                                        "rapl",
                                        "schedstat",
                                        "slabinfo",
                                        "sockstat",
                                        "softirqs",
                                        "softnet",
                                        "stat",
                                        "swap",
                                        "sysctl",
                                        "tapestats",
                                        "textfile",
                                        "thermal_zone",
                                        "time",
                                        "udp_queues",
                                        "vmstat",
                                        "watchdog",
                                        "xfrm",
                                        "xfs",
                                        "zfs",
                                        "zoneinfo"};
    static const char *flags[] = {"--no-collector.arp.netlink",
                                  "--no-collector.netdev.netlink",
                                  "--collector.bcache.priorityStats",
                                  "--collector.wifi.fixtures=wifi",
                                  "--collector.qdisc.fixtures=qdisc",
                                  "--collector.textfile.directory=text",
                                  "--collector.sysctl.include=fs.file-nr:total,current,max",
                                  "--collector.sysctl.include=kernel.perf_event_paranoid",
                                  "--collector.sysctl.include=net.ipv4.ip_local_port_range",
                                  "--collector.sysctl.include-info=kernel.seccomp.actions_avail"};
    struct agent_config config = config_of(names, sizeof names / sizeof *names);
    config.host_metrics.flags = (struct conf_strings){flags, sizeof flags / sizeof *flags};
    config.host_metrics.path_procfs = "proc"; /* as the page shows paths */
    config.host_metrics.path_sysfs = "sys";
    config.host_metrics.path_rootfs = "root";
    assert_int_equal(chdir(TEST_DATA "/host"), 0);
    struct buf ours, theirs, errors;
    buf_init(&ours, 16 << 20);
    buf_init(&theirs, 16 << 20);
    buf_init(&errors, 4096);
    assert_int_equal(node_metrics_print(&config, &ours, &errors), 0);
    read_file(TEST_DATA "/host/node_exporter-1.12.1.txt", &theirs);
    expect_equal(canonical(buf_bytes(&ours)), canonical(buf_bytes(&theirs)));
    buf_fini(&ours);
    buf_fini(&theirs);
    buf_fini(&errors);
}

static void test_collectors_are_chosen_by_name(void **state)
{
    (void)state;
    const char *names[] = {"loadavg", "nosuch"};
    struct agent_config config = config_of(names, 1);
    struct buf page, errors;
    buf_init(&page, 1 << 20);
    buf_init(&errors, 4096);
    assert_int_equal(node_metrics_print(&config, &page, &errors), 0);
    char *got = canonical(buf_bytes(&page));
    assert_string_equal(got,
                        "help node_load1 1m load average.\nhelp node_load15 15m load average.\n"
                        "help node_load5 5m load average.\n"
                        "help node_scrape_collector_success node_exporter: Whether a collector succeeded.\n"
                        "node_load1 12.210000000000001\nnode_load15 0.39000000000000001\n"
                        "node_load5 0.37\nnode_scrape_collector_success collector=[loadavg] 1\n"
                        "type node_load1 gauge\ntype node_load15 gauge\ntype node_load5 gauge\n"
                        "type node_scrape_collector_success gauge\n");
    free(got);
    config.host_metrics.collectors.count = 2;
    assert_int_equal(node_metrics_print(&config, &page, &errors), -EINVAL);
    buf_append(&errors, "", 1);
    static const char said[] = "host_metrics.collectors: nosuch: unknown; one of arp, ";
    assert_memory_equal(errors.ptr, said, sizeof said - 1);
    buf_fini(&page);
    buf_fini(&errors);
}

static void test_collectors_report_what_they_cannot_read(void **state)
{
    (void)state;
    const char *names[] = {"cpu", "diskstats", "filesystem", "loadavg", "meminfo", "stat", "vmstat"};
    struct agent_config config = config_of(names, 7);
    config.host_metrics.path_procfs = TEST_DATA "/nowhere";
    struct buf page, errors;
    buf_init(&page, 1 << 20);
    buf_init(&errors, 4096);
    assert_int_equal(node_metrics_print(&config, &page, &errors), 0);
    char *got = canonical(buf_bytes(&page));
    for (int i = 0; i < 7; i++) {
        char want[128];
        snprintf(want, sizeof want, "\nnode_scrape_collector_success collector=[%s] 0\n", names[i]);
        assert_non_null(strstr(got, want));
    }
    free(got);
    buf_fini(&page);
    buf_fini(&errors);
}

/* ---- cpu over time ---- */

static void write_file(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

/* One update, of which only node_cpu_seconds_total of user and idle is kept. */
static void expect_cpu(void *state, const char *want)
{
    struct exposition_writer *writer = exposition_writer_new();
    struct buf page, kept;
    buf_init(&page, 1 << 20);
    buf_init(&kept, 1 << 20);
    assert_int_equal(collector_cpu.update(state, exposition_writer_sink(writer)), 0);
    exposition_writer_finish(writer, &page);
    struct bytes rest = buf_bytes(&page), line;
    while (text_line(&rest, &line))
        if (text_starts(line, "node_cpu_seconds_total") &&
            (memmem(line.ptr, line.len, "user", 4) || memmem(line.ptr, line.len, "idle", 4)))
            buf_printf(&kept, "%.*s\n", (int)line.len, (const char *)line.ptr);
    buf_append(&kept, "", 1);
    assert_string_equal((const char *)kept.ptr, want);
    buf_fini(&page);
    buf_fini(&kept);
    exposition_writer_free(writer);
}

static void test_cpu_counters_do_not_go_back_but_after_a_hotplug(void **state)
{
    (void)state;
    char folder[] = "/tmp/test_collectors.XXXXXX", path[64];
    void *cpu;
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/stat", folder);
    struct agent_config config = config_of(NULL, 0);
    config.host_metrics.path_procfs = config.host_metrics.path_sysfs = folder;
    assert_int_equal(collector_cpu.start(&config, &cpu), 0);
    write_file(path, "cpu0 100 0 0 5000 0 0 0\ncpu1 100 0 0 5000 0 0 0\n");
    expect_cpu(cpu, "node_cpu_seconds_total{cpu=\"0\",mode=\"idle\"} 50\n"
                    "node_cpu_seconds_total{cpu=\"0\",mode=\"user\"} 1\n"
                    "node_cpu_seconds_total{cpu=\"1\",mode=\"idle\"} 50\n"
                    "node_cpu_seconds_total{cpu=\"1\",mode=\"user\"} 1\n");
    write_file(path, "cpu0 90 0 0 4990 0 0 0\ncpu1 50 0 0 4700 0 0 0\n");
    expect_cpu(cpu, "node_cpu_seconds_total{cpu=\"0\",mode=\"idle\"} 50\n"
                    "node_cpu_seconds_total{cpu=\"0\",mode=\"user\"} 1\n"
                    "node_cpu_seconds_total{cpu=\"1\",mode=\"idle\"} 47\n"
                    "node_cpu_seconds_total{cpu=\"1\",mode=\"user\"} 0.5\n");
    write_file(path, "cpu0 110 0 0 5000 0 0 0\n"); /* unplugged */
    expect_cpu(cpu, "node_cpu_seconds_total{cpu=\"0\",mode=\"idle\"} 50\n"
                    "node_cpu_seconds_total{cpu=\"0\",mode=\"user\"} 1.1\n");
    collector_cpu.stop(cpu);
    unlink(path);
    rmdir(folder);
}

/* ---- netdev ---- */

static void put32(struct buf *b, uint32_t value)
{
    buf_append(b, &value, sizeof value);
}

static void put_attribute(struct buf *b, uint16_t type, const void *content, uint16_t len)
{
    uint16_t head[2] = {(uint16_t)(4 + len), type};
    buf_append(b, head, sizeof head);
    buf_append(b, content, len);
    buf_append(b, "\0\0\0", (size_t)(4 - len % 4) % 4);
}

/* A message RTM_NEWLINK (16) with a name (3) and 64-bit counters (23): 1, 2, 3 ... */
static void put_link(struct buf *b, const char *name, size_t counters)
{
    size_t begin = b->len;
    uint64_t values[32];
    for (uint64_t i = 0; i < 32; i++)
        values[i] = i + 1;
    for (int i = 0; i < 8; i++) /* header and ifinfomsg */
        put32(b, i == 1 ? 16 : 0);
    put_attribute(b, 3, name, (uint16_t)(strlen(name) + 1));
    put_attribute(b, 23, values, (uint16_t)(counters * sizeof *values));
    uint32_t len = (uint32_t)(b->len - begin);
    memcpy(b->ptr + begin, &len, sizeof len);
}

static void test_netdev_sums_the_kernels_counters(void **state)
{
    (void)state;
    struct exposition_writer *writer = exposition_writer_new();
    struct buf datagram, page;
    buf_init(&datagram, 1 << 16);
    buf_init(&page, 1 << 20);
    put_link(&datagram, "eth0", 25);
    put_link(&datagram, "old", 23); /* before rx_nohandler */
    assert_int_equal(netdev_parse(buf_bytes(&datagram), exposition_writer_sink(writer)), 1);
    exposition_writer_finish(writer, &page);
    buf_append(&page, "", 1);
    const char *text = (const char *)page.ptr;
    static const char *const want[] = {
        "node_network_receive_packets_total{device=\"eth0\"} 1\n",
        "node_network_transmit_packets_total{device=\"eth0\"} 2\n",
        "node_network_receive_bytes_total{device=\"eth0\"} 3\n",
        "node_network_transmit_bytes_total{device=\"eth0\"} 4\n",
        "node_network_receive_errs_total{device=\"eth0\"} 5\n",
        "node_network_transmit_errs_total{device=\"eth0\"} 6\n",
        "node_network_receive_drop_total{device=\"eth0\"} 23\n", /* 7 dropped, 16 missed */
        "node_network_transmit_drop_total{device=\"eth0\"} 8\n",
        "node_network_receive_multicast_total{device=\"eth0\"} 9\n",
        "node_network_transmit_colls_total{device=\"eth0\"} 10\n",
        "node_network_receive_frame_total{device=\"eth0\"} 50\n", /* 11 length, 12 over, 13 crc, 14 frame */
        "node_network_receive_fifo_total{device=\"eth0\"} 15\n",
        "node_network_transmit_carrier_total{device=\"eth0\"} 76\n", /* 17 aborted, 18, 20 heartbeat, 21
                                                                        window */
        "node_network_transmit_fifo_total{device=\"eth0\"} 19\n",
        "node_network_receive_compressed_total{device=\"eth0\"} 22\n",
        "node_network_transmit_compressed_total{device=\"eth0\"} 23\n",
        "node_network_receive_nohandler_total{device=\"eth0\"} 24\n",
        "node_network_receive_nohandler_total{device=\"old\"} 0\n",
    };
    for (size_t i = 0; i < sizeof want / sizeof *want; i++)
        if (!strstr(text, want[i]))
            fail_msg("missing: %s", want[i]);
    exposition_writer_free(writer);
    buf_fini(&datagram);
    buf_fini(&page);
}

static void ignore(struct metric_sink *sink, const char *name, enum metric_type type, const char *help,
                   const char *const *labels, double value)
{
    (void)sink, (void)name, (void)type, (void)help, (void)labels, (void)value;
}

static void test_netdev_refuses_broken_messages(void **state)
{
    (void)state;
    struct metric_sink sink = {ignore};
    struct buf datagram;
    buf_init(&datagram, 1 << 16);
    put_link(&datagram, "eth0", 25);
    size_t whole = datagram.len;
    for (size_t len = 1; len < whole; len++) {
        uint8_t *exact = malloc(len);
        memcpy(exact, datagram.ptr, len);
        assert_int_equal(netdev_parse((struct bytes){exact, len}, &sink), -EBADMSG);
        free(exact);
    }
    for (size_t at = 16; at < whole; at++) { /* lengths inside that lie */
        uint8_t before = datagram.ptr[at];
        datagram.ptr[at] = 0xff;
        assert_int_equal(netdev_parse(buf_bytes(&datagram), &sink), 1);
        datagram.ptr[at] = before;
    }
    buf_clear(&datagram);
    uint32_t error[] = {20, 2, 0, 0, (uint32_t)-EPERM}, done[] = {16, 3, 0, 0};
    assert_int_equal(netdev_parse((struct bytes){(const uint8_t *)error, sizeof error}, &sink), -EPERM);
    assert_int_equal(netdev_parse((struct bytes){(const uint8_t *)done, sizeof done}, &sink), 0);
    buf_fini(&datagram);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_collectors_say_what_node_exporter_says),
        cmocka_unit_test(test_collectors_are_chosen_by_name),
        cmocka_unit_test(test_collectors_report_what_they_cannot_read),
        cmocka_unit_test(test_cpu_counters_do_not_go_back_but_after_a_hotplug),
        cmocka_unit_test(test_netdev_sums_the_kernels_counters),
        cmocka_unit_test(test_netdev_refuses_broken_messages),
    };
    return cmocka_run_group_tests_name("collectors", tests, NULL, NULL);
}
