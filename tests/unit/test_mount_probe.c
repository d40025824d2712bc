/* statfs with a deadline: a mount that hangs costs its timeout once. */
#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "node-agent/host/mount_probe.h"
#include "tests/unit/unit.h"

/* A kernel whose mounts hang while held. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int held, asked, waiting;

static int fake_statfs(const char *path, struct statfs *ret_statfs)
{
    pthread_mutex_lock(&lock);
    asked++;
    waiting++;
    pthread_cond_broadcast(&changed);
    while (held && strncmp(path, "/hung", 5) == 0)
        pthread_cond_wait(&changed, &lock);
    waiting--;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
    if (strcmp(path, "/missing") == 0) {
        errno = ENOENT;
        return -1;
    }
    *ret_statfs = (struct statfs){.f_blocks = (fsblkcnt_t)strlen(path)};
    return 0;
}

static void hold(int hung)
{
    pthread_mutex_lock(&lock);
    held = hung;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}

static int count_asked(void)
{
    pthread_mutex_lock(&lock);
    int count = asked;
    pthread_mutex_unlock(&lock);
    return count;
}

static void test_mount_probe_answers_and_passes_errors_on(void **state)
{
    (void)state;
    struct mount_probe *probe;
    struct statfs s;
    assert_int_equal(mount_probe_new(fake_statfs, &probe), 0);
    assert_int_equal(mount_probe_get(probe, "/a", 10000, &s), 0);
    assert_int_equal(s.f_blocks, 2);
    assert_int_equal(mount_probe_get(probe, "/missing", 10000, &s), -ENOENT);
    assert_int_equal(mount_probe_get(probe, "/abc", 10000, &s), 0);
    assert_int_equal(s.f_blocks, 4);
    mount_probe_free(probe);
}

static void test_mount_probe_leaves_a_hung_mount_and_finds_it_again(void **state)
{
    (void)state;
    struct mount_probe *probe;
    struct statfs s;
    mount_probe_new(fake_statfs, &probe);
    hold(1);
    assert_int_equal(mount_probe_get(probe, "/hung", 20, &s), -ETIMEDOUT);
    int before = count_asked();
    assert_int_equal(mount_probe_get(probe, "/hung", 20, &s), -ETIMEDOUT);
    assert_int_equal(count_asked(), before); /* known to be stuck: not asked again */
    assert_int_equal(mount_probe_get(probe, "/fine", 10000, &s), 0);
    assert_int_equal(s.f_blocks, 5);
    hold(0);
    int err;
    while ((err = mount_probe_get(probe, "/hung", 10000, &s)) == -ETIMEDOUT)
        ; /* until its thread is back */
    assert_int_equal(err, 0);
    assert_int_equal(s.f_blocks, 5);
    mount_probe_free(probe);
}

static void test_mount_probe_leaves_only_so_many_threads_behind(void **state)
{
    (void)state;
    struct mount_probe *probe;
    struct statfs s;
    char path[] = "/hung-a";
    mount_probe_new(fake_statfs, &probe);
    hold(1);
    for (int i = 0; i < MOUNT_PROBE_STUCK; i++, path[6]++)
        assert_int_equal(mount_probe_get(probe, path, 1, &s), -ETIMEDOUT);
    int before = count_asked();
    assert_int_equal(mount_probe_get(probe, "/another", 1, &s), -ETIMEDOUT);
    assert_int_equal(count_asked(), before);
    mount_probe_free(probe); /* with all of them hung */
    hold(0);
    pthread_mutex_lock(&lock);
    while (waiting)
        pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mount_probe_answers_and_passes_errors_on),
        cmocka_unit_test(test_mount_probe_leaves_a_hung_mount_and_finds_it_again),
        cmocka_unit_test(test_mount_probe_leaves_only_so_many_threads_behind),
    };
    return cmocka_run_group_tests_name("mount_probe", tests, NULL, NULL);
}
