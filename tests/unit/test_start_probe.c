#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/start_probe.h"
#include "tests/unit/unit.h"

static struct buf errors;
static const char *const none[] = {NULL};

static int reset(void **state)
{
    (void)state;
    buf_fini(&errors);
    buf_init(&errors, 4096);
    return 0;
}

static void expect_words(const char *words)
{
    assert_int_equal(buf_append(&errors, "", 1), 0);
    assert_non_null(strstr((const char *)errors.ptr, words));
    buf_clear(&errors);
}

static int listen_somewhere(char address[32])
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(listen(fd, 1), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
    snprintf(address, 32, "127.0.0.1:%u", (unsigned)ntohs(at.sin_port));
    return fd;
}

static void test_start_probe_tells_an_address_that_is_taken(void **state)
{
    (void)state;
    char address[32], url[64];
    int fd = listen_somewhere(address);
    const char *const ours[] = {address, NULL};
    snprintf(url, sizeof url, "tls+tcp://%s", address);
    assert_int_equal(start_probe_listen("web.listen", address, none, &errors), -EADDRINUSE);
    expect_words("web.listen: cannot listen on 127.0.0.1:");
    assert_int_equal(start_probe_listen("agents.listen", url, none, &errors), -EADDRINUSE);
    expect_words("agents.listen: cannot listen on tls+tcp://127.0.0.1:");
    assert_int_equal(start_probe_listen("web.listen", url, ours, &errors), 0); /* we give it up ourselves */
    close(fd);
    assert_int_equal(start_probe_listen("web.listen", address, none, &errors), 0);
    assert_int_equal(errors.len, 0);
}

static void test_start_probe_tells_an_address_that_is_not_ours(void **state)
{
    (void)state;
    assert_int_equal(start_probe_listen("web.listen", "192.0.2.1:9", none, &errors), -EADDRNOTAVAIL);
    assert_int_equal(start_probe_listen("web.listen", "", none, &errors), 0);
    assert_int_equal(start_probe_listen("web.listen", "127.0.0.1:0", none, &errors), 0);
    const char *const ours[] = {"127.0.0.1:9",
                                NULL}; /* the port becomes free, the host does not become ours */
    assert_int_equal(start_probe_listen("web.listen", "192.0.2.1:9", ours, &errors), -EADDRNOTAVAIL);
    assert_int_equal(start_probe_listen("web.listen", ":9", ours, &errors), 0);
}

static void test_start_probe_tells_folders_and_files(void **state)
{
    (void)state;
    char folder[] = "/tmp/start-probe-XXXXXX", path[64];
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/a/b", folder);
    assert_int_equal(start_probe_folder("buffer.folder", folder, &errors), 0);
    assert_int_equal(start_probe_folder("buffer.folder", path, &errors), 0);
    assert_int_equal(start_probe_folder("buffer.folder", "/dev/null/a", &errors), -ENOTDIR);
    expect_words("buffer.folder: cannot write to /dev/null/a: Not a directory");
    assert_true(start_probe_folder("buffer.folder", "/proc/nowhere", &errors) < 0);
    assert_int_equal(rmdir(folder), 0); /* nothing was left in it */
    buf_clear(&errors);
    assert_int_equal(start_probe_file("tls.ca_file", "/nowhere.pem", &errors), -ENOENT);
    expect_words("tls.ca_file: cannot read /nowhere.pem: No such file or directory");
    assert_int_equal(start_probe_file("tls.ca_file", "/dev/null", &errors), 0);
    buf_fini(&errors);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_start_probe_tells_an_address_that_is_taken, reset),
        cmocka_unit_test_setup(test_start_probe_tells_an_address_that_is_not_ours, reset),
        cmocka_unit_test_setup(test_start_probe_tells_folders_and_files, reset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
