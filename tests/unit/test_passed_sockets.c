/* Sockets over an exec: this test executes itself; the second image takes what the first one kept. */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/passed_sockets.h"
#include "tests/unit/unit.h"

enum { STATUS_FOUND = 42 };

static char *self;

/* The second image: what was kept for the addresses is there, once, and listens. */
static int look(void)
{
    int is_listening = 0;
    socklen_t len = sizeof is_listening;
    passed_sockets_adopt();
    if (getenv("TRIBUTARY_SOCKETS") || passed_sockets_take(PASSED_LISTENER, "other:1") >= 0 ||
        passed_sockets_take(PASSED_LISTENER, "") >= 0)
        return 1;
    int listener = passed_sockets_take(PASSED_LISTENER, "0.0.0.0:4318");
    if (getsockopt(listener, SOL_SOCKET, SO_ACCEPTCONN, &is_listening, &len) < 0 || !is_listening)
        return 2;
    int connection = passed_sockets_take(PASSED_CONNECTION, "0.0.0.0:4318");
    if (write(connection, "kept", 4) != 4)
        return 3;
    if (passed_sockets_take(PASSED_LISTENER, "0.0.0.0:4318") >= 0)
        return 4;
    int rest = passed_sockets_take(PASSED_CONNECTION, "127.0.0.1:9600");
    close(rest);
    return rest < 0 ? 5 : STATUS_FOUND;
}

static int listen_anywhere(void)
{
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&any, sizeof any), 0);
    assert_int_equal(listen(fd, 5), 0);
    return fd;
}

static void test_what_is_kept_is_there_after_exec(void **state)
{
    (void)state;
    int pair[2], status, listener = listen_anywhere();
    char text[8] = {0};
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    assert_int_equal(passed_sockets_keep(PASSED_LISTENER, "0.0.0.0:4318", listener), 0);
    passed_sockets_export();
    assert_null(getenv("TRIBUTARY_SOCKETS")); /* nothing is kept before it begins */
    pid_t pid = fork();
    if (pid == 0) {
        passed_sockets_begin();
        passed_sockets_keep(PASSED_LISTENER, "0.0.0.0:4318", listener);
        passed_sockets_keep(PASSED_CONNECTION, "0.0.0.0:4318", pair[1]);
        passed_sockets_keep(PASSED_CONNECTION, "127.0.0.1:9600", pair[1]);
        close(listener);
        close(pair[1]);
        passed_sockets_export();
        execl(self, self, "look", NULL);
        _exit(99);
    }
    close(pair[1]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), STATUS_FOUND);
    assert_int_equal(read(pair[0], text, sizeof text), 4);
    assert_string_equal(text, "kept");
    close(pair[0]);
    close(listener);
}

static void test_what_is_no_socket_or_no_entry_is_left_out(void **state)
{
    (void)state;
    setenv("TRIBUTARY_SOCKETS", "l0=a:1 l999999=a:1 x5=a:1 l=a:1 l5 c99999999999999999999=a:1 = l", 1);
    passed_sockets_adopt();
    assert_null(getenv("TRIBUTARY_SOCKETS"));
    assert_int_equal(passed_sockets_take(PASSED_LISTENER, "a:1"), -1);
    assert_int_equal(passed_sockets_take(PASSED_CONNECTION, "a:1"), -1);
}

static void test_more_than_there_is_room_for_is_an_error(void **state)
{
    (void)state;
    int fd = listen_anywhere(), err = 0, kept = 0;
    passed_sockets_begin();
    while (kept <= PASSED_SOCKETS_MAX && (err = passed_sockets_keep(PASSED_LISTENER, "a:1", fd)) == 0)
        kept++;
    assert_true(err == -ENOSPC || err == -EMFILE);
    passed_sockets_close_rest();
    assert_int_equal(passed_sockets_take(PASSED_LISTENER, "a:1"), -1);
    close(fd);
}

int main(int argc, char **argv)
{
    self = argv[0];
    if (argc == 2 && strcmp(argv[1], "look") == 0)
        return look();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_kept_is_there_after_exec),
        cmocka_unit_test(test_what_is_no_socket_or_no_entry_is_left_out),
        cmocka_unit_test(test_more_than_there_is_room_for_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
