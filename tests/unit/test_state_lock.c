/* The lock of the state folder, between processes: who holds it, and who has it next. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#include "node-agent/state_lock.h"
#include "tests/unit/unit.h"

struct world {
    uv_loop_t loop;
    char folder[64];
    int taken;
};

static void open_world(struct world *w)
{
    *w = (struct world){.folder = "/tmp/test_state_lock.XXXXXX"};
    assert_non_null(mkdtemp(w->folder));
    assert_int_equal(uv_loop_init(&w->loop), 0);
}

static void close_world(struct world *w)
{
    char path[128];
    uv_run(&w->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&w->loop), 0);
    snprintf(path, sizeof path, "%s/lock", w->folder);
    unlink(path);
    rmdir(w->folder);
}

static void count_taken(void *ctx)
{
    ((struct world *)ctx)->taken++;
}

/* A process of its own that holds the lock until its end of the pipe is told to go, or it is killed. */
static pid_t hold_elsewhere(const struct world *w)
{
    int told[2];
    char path[128], byte;
    assert_int_equal(pipe(told), 0);
    snprintf(path, sizeof path, "%s/lock", w->folder);
    pid_t pid = fork();
    if (pid == 0) {
        int fd = open(path, O_RDWR | O_CREAT, 0600);
        if (fd < 0 || flock(fd, LOCK_EX) < 0 || write(told[1], "x", 1) != 1)
            _exit(1);
        for (;;)
            pause();
    }
    assert_int_equal(read(told[0], &byte, 1), 1);
    close(told[0]);
    close(told[1]);
    return pid;
}

static void test_who_comes_first_holds_it_at_once(void **state)
{
    (void)state;
    struct world w;
    struct state_lock *lock;
    open_world(&w);
    assert_int_equal(state_lock_new(&w.loop, w.folder, count_taken, &w, &lock), 0);
    assert_true(state_lock_is_held(lock));
    state_lock_close(lock);
    close_world(&w);
    assert_int_equal(w.taken, 0);
}

static void test_it_is_taken_when_its_holder_is_killed(void **state)
{
    (void)state;
    struct world w;
    struct state_lock *lock;
    open_world(&w);
    pid_t holder = hold_elsewhere(&w);
    assert_int_equal(state_lock_new(&w.loop, w.folder, count_taken, &w, &lock), 0);
    for (int i = 0; i < 3; i++) {
        uv_run(&w.loop, UV_RUN_ONCE);
        assert_false(state_lock_is_held(lock));
    }
    kill(holder, SIGKILL);
    assert_int_equal(waitpid(holder, NULL, 0), holder);
    while (w.taken == 0)
        uv_run(&w.loop, UV_RUN_ONCE);
    assert_true(state_lock_is_held(lock));
    state_lock_close(lock);
    close_world(&w);
    assert_int_equal(w.taken, 1);
}

static void test_who_gives_up_waiting_is_not_told(void **state)
{
    (void)state;
    struct world w;
    struct state_lock *lock;
    open_world(&w);
    pid_t holder = hold_elsewhere(&w);
    assert_int_equal(state_lock_new(&w.loop, w.folder, count_taken, &w, &lock), 0);
    state_lock_close(lock);
    kill(holder, SIGKILL);
    assert_int_equal(waitpid(holder, NULL, 0), holder);
    close_world(&w);
    assert_int_equal(w.taken, 0);
}

static void test_a_folder_that_cannot_be_is_an_error(void **state)
{
    (void)state;
    struct world w;
    struct state_lock *lock = NULL;
    open_world(&w);
    assert_int_equal(state_lock_new(&w.loop, "/proc/no/such", count_taken, &w, &lock), -ENOENT);
    assert_null(lock);
    close_world(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_who_comes_first_holds_it_at_once),
        cmocka_unit_test(test_it_is_taken_when_its_holder_is_killed),
        cmocka_unit_test(test_who_gives_up_waiting_is_not_told),
        cmocka_unit_test(test_a_folder_that_cannot_be_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
