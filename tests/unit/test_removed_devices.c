/* Devices that go and come back while the collectors run: what is gone has no series and harms no other. */
#include <stdio.h>
#include <string.h>

#include "node-agent/host/node_metrics.h"
#include "tests/unit/unit.h"

static char root[] = "/tmp/test_removed_devices.XXXXXX";

/* A device of the made-up host, the folder that it is, and a neighbour's sample that stays. */
static const struct {
    const char *folder, *sample, *neighbour;
} devices[] = {
    {"sys/class/net/eth0", "node_network_mtu_bytes{device=\"eth0\"}", NULL},
    {"sys/class/hwmon/hwmon0", "node_hwmon_temp_celsius{chip=\"coretemp\",sensor=\"temp1\"}", NULL},
    {"sys/class/thermal/thermal_zone1", "node_thermal_zone_temp{type=\"acpitz\",zone=\"1\"}",
     "node_thermal_zone_temp{type=\"x86_pkg_temp\",zone=\"0\"}"},
    {"sys/class/power_supply/AC", "node_power_supply_online{power_supply=\"AC\"}", "node_power_supply_info{"},
    {"sys/class/nvme/nvme0", "node_nvme_info{cntlid=\"1\",device=\"nvme0\"", NULL},
    {"sys/class/scsi_tape/st0", "node_tape_io_now{device=\"st0\"}", NULL},
    {"sys/class/watchdog/watchdog1", "node_watchdog_info{identity=\"Other\"",
     "node_watchdog_info{identity=\"Dog\""},
    {"sys/class/infiniband/mlx5_0", "node_infiniband_info{board_id=\"MT_0000000008\",device=\"mlx5_0\"",
     NULL},
    {"sys/class/fc_host/host0", "node_fibrechannel_info{", NULL},
};

enum { DEVICES = sizeof devices / sizeof *devices };

static void move(const char *from, const char *to)
{
    char old[256], new[256];
    snprintf(old, sizeof old, "%s/%s", root, from);
    snprintf(new, sizeof new, "%s/%s", root, to);
    assert_int_equal(rename(old, new), 0);
}

static int make_host(void **state)
{
    (void)state;
    char command[1024];
    if (!mkdtemp(root))
        return -1;
    snprintf(command, sizeof command, "cp -r '%s/host/proc' '%s/host/sys' '%s'", TEST_DATA, TEST_DATA, root);
    return system(command);
}

static int remove_host(void **state)
{
    (void)state;
    char command[1024];
    snprintf(command, sizeof command, "rm -rf '%s'", root);
    return system(command);
}

/* A page of the collectors that are running; the caller frees it. */
static char *take_page(struct node_metrics *metrics)
{
    struct buf page;
    buf_init(&page, 16 << 20);
    assert_int_equal(node_metrics_write(metrics, NULL, NULL, &page), 0);
    assert_int_equal(buf_append(&page, "", 1), 0);
    return (char *)page.ptr;
}

static void expect(const char *page, const char *sample, bool is_there)
{
    if (sample && !strstr(page, sample) == is_there)
        fail_msg("%s %s", sample, is_there ? "is missing" : "is still there");
}

static void test_devices_that_go_take_their_series_with_them(void **state)
{
    (void)state;
    static const char *names[] = {"fibrechannel",     "hwmon",     "infiniband",   "netclass", "nvme",
                                  "powersupplyclass", "tapestats", "thermal_zone", "watchdog"};
    char proc[64], sys[64];
    snprintf(proc, sizeof proc, "%s/proc", root);
    snprintf(sys, sizeof sys, "%s/sys", root);
    struct agent_config config = {0};
    config.host_metrics.path_procfs = proc;
    config.host_metrics.path_sysfs = sys;
    config.host_metrics.path_rootfs = root;
    config.host_metrics.path_udev_data = "";
    config.host_metrics.mount_timeout_ms = 5000;
    config.host_metrics.collectors = (struct conf_strings){names, sizeof names / sizeof *names};
    struct node_metrics *metrics;
    struct buf errors;
    buf_init(&errors, 4096);
    assert_int_equal(node_metrics_new(&config, &errors, &metrics), 0);
    for (int i = 0; i < DEVICES; i++) {
        for (int turn = 0; turn < 3; turn++) { /* there, gone, there again */
            if (turn == 1)
                move(devices[i].folder, "gone");
            else if (turn == 2)
                move("gone", devices[i].folder);
            char *page = take_page(metrics);
            expect(page, devices[i].sample, turn != 1);
            expect(page, devices[i].neighbour, true);
            for (size_t n = 0; n < sizeof names / sizeof *names; n++) {
                char said[96];
                snprintf(said, sizeof said, "node_scrape_collector_success{collector=\"%s\"}", names[n]);
                expect(page, said, true);
            }
            free(page);
        }
    }
    node_metrics_free(metrics);
    buf_fini(&errors);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_devices_that_go_take_their_series_with_them),
    };
    return cmocka_run_group_tests(tests, make_host, remove_host);
}
