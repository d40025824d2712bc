/* What the kernel announces ends an epoch; where it is not asked there is none. */
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "node-agent/host/announcements.h"
#include "tests/unit/unit.h"

static void test_there_is_no_epoch_below_folders_that_are_not_the_kernels(void **state)
{
    (void)state;
    struct announcements *made_up = announcements_new(TEST_DATA "/host/proc", TEST_DATA "/host/sys");
    struct announcements *half = announcements_new("/proc", TEST_DATA "/host/sys");
    assert_true(announcements_epoch(made_up) == 0);
    assert_true(announcements_epoch(half) == 0);
    announcements_free(made_up);
    announcements_free(half);
    announcements_free(NULL);
}

/* Asks the kernel to announce a device again; false where it may not be asked. */
static bool announce(void)
{
    int fd = open("/sys/class/mem/null/uevent", O_WRONLY | O_CLOEXEC);
    bool done = fd >= 0 && write(fd, "change", 6) == 6;
    if (fd >= 0)
        close(fd);
    return done;
}

static void test_an_announcement_ends_the_epoch(void **state)
{
    (void)state;
    struct announcements *announcements = announcements_new("/proc", "/sys");
    uint64_t epoch = 0;
    int64_t until_ns = clock_mono_ns() + INT64_C(60) * 1000000000;
    while (epoch == 0 && clock_mono_ns() < until_ns && announce()) /* others may announce things too */
        for (int64_t later_ns = clock_mono_ns() + INT64_C(4) * 1000000000;
             epoch == 0 && clock_mono_ns() < later_ns; usleep(20000))
            epoch = announcements_epoch(announcements);
    if (epoch == 0) {
        announcements_free(announcements);
        skip(); /* in a namespace that is told nothing */
    }
    assert_true(announce());
    assert_true(announcements_epoch(announcements) == 0); /* until it has settled */
    while ((epoch == 0 || announcements_epoch(announcements) == 0) && clock_mono_ns() < until_ns)
        usleep(20000);
    assert_true(announcements_epoch(announcements) != epoch);
    announcements_free(announcements);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_there_is_no_epoch_below_folders_that_are_not_the_kernels),
        cmocka_unit_test(test_an_announcement_ends_the_epoch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
