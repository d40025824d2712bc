/* Symlinks that were made for the host, opened where the host's root is mounted elsewhere. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "node-agent/logs/hostpath.h"

static char root[] = "/tmp/test_hostpath.XXXXXX";

static const char *at(const char *name)
{
    static char paths[4][PATH_MAX];
    static unsigned next;
    char *path = paths[next++ % 4];
    snprintf(path, PATH_MAX, "%s/%s", root, name);
    return path;
}

/* ROOT/host is the host's root, ROOT/pods the folder of logs as a container has it. */
static int make_tree(void **state)
{
    (void)state;
    static const char *const folders[] = {"",     "host", "host/storage", "host/var", "host/var/log",
                                          "pods", "links"};
    if (!mkdtemp(root))
        return -1;
    for (size_t i = 1; i < sizeof folders / sizeof *folders; i++)
        assert_int_equal(mkdir(at(folders[i]), 0755), 0);
    FILE *f = fopen(at("host/storage/1-json.log"), "w");
    assert_non_null(f);
    fputs("stored", f);
    fclose(f);
    f = fopen(at("pods/plain.log"), "w");
    assert_non_null(f);
    fputs("plain", f);
    fclose(f);
    assert_int_equal(symlink("/storage/1-json.log", at("pods/absolute.log")), 0);
    assert_int_equal(symlink("/storage", at("host/var/lib")), 0);
    assert_int_equal(symlink("/var/lib/1-json.log", at("pods/chain.log")), 0);
    assert_int_equal(symlink("/../../../storage/1-json.log", at("pods/above.log")), 0);
    assert_int_equal(symlink("/storage/gone.log", at("pods/dangling.log")), 0);
    assert_int_equal(symlink("../links/first", at("pods/relative.log")), 0);
    assert_int_equal(symlink("second", at("links/first")), 0);
    assert_int_equal(symlink("/var/lib/1-json.log", at("links/second")), 0);
    assert_int_equal(symlink(at("links/second"), at("pods/through.log")), 0);
    assert_int_equal(symlink("../lib/1-json.log", at("host/var/log/0.log")), 0);
    assert_int_equal(symlink("../links/astray", at("pods/astray.log")), 0);
    assert_int_equal(symlink("nothing", at("links/astray")), 0);
    return 0;
}

static int remove_tree(void **state)
{
    (void)state;
    char command[PATH_MAX];
    snprintf(command, sizeof command, "rm -rf '%s'", root);
    return system(command);
}

static void assert_holds(const char *host_root, const char *name, const char *text)
{
    char have[16] = "";
    int fd = hostpath_open(host_root, at(name), O_RDONLY);
    assert_true(fd >= 0);
    assert_int_equal(read(fd, have, sizeof have - 1), strlen(text));
    assert_string_equal(have, text);
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    close(fd);
}

static void test_hostpath_opens_what_is_here(void **state)
{
    (void)state;
    assert_holds(NULL, "pods/plain.log", "plain");
    assert_holds(at("host"), "pods/plain.log", "plain");
}

static void test_hostpath_follows_links_below_the_hosts_root(void **state)
{
    (void)state;
    assert_holds(at("host"), "pods/absolute.log", "stored");
    assert_holds(at("host"), "pods/chain.log", "stored");
    assert_holds(at("host"), "pods/above.log", "stored"); /* never above that root */
}

/* None of these folders has the same path below the host's root as here. */
static void test_hostpath_follows_a_chain_of_links_that_are_here(void **state)
{
    (void)state;
    assert_holds(at("host"), "pods/relative.log", "stored");  /* relative twice, then absolute */
    assert_holds(at("host"), "pods/through.log", "stored");   /* absolute twice */
    assert_holds(at("host"), "host/var/log/0.log", "stored"); /* through a folder that is a link */
    assert_int_equal(hostpath_open(at("host"), at("pods/astray.log"), O_RDONLY), -ENOENT);
}

static void test_hostpath_says_what_is_not_there(void **state)
{
    (void)state;
    assert_int_equal(hostpath_open(at("host"), at("pods/dangling.log"), O_RDONLY), -ENOENT);
    assert_int_equal(hostpath_open(at("host"), at("pods/none.log"), O_RDONLY), -ENOENT);
    assert_int_equal(hostpath_open(NULL, at("pods/absolute.log"), O_RDONLY), -ENOENT);
    assert_int_equal(hostpath_open("/", at("pods/absolute.log"), O_RDONLY), -ENOENT);
    assert_int_equal(hostpath_open("", at("pods/absolute.log"), O_RDONLY), -ENOENT);
    assert_int_equal(hostpath_open(at("no-root"), at("pods/absolute.log"), O_RDONLY), -ENOENT);
}

static void test_hostpath_tells_of_the_file_behind_the_link(void **state)
{
    (void)state;
    struct stat behind, file;
    assert_int_equal(stat(at("host/storage/1-json.log"), &file), 0);
    assert_int_equal(hostpath_stat(at("host"), at("pods/chain.log"), &behind), 0);
    assert_int_equal(behind.st_ino, file.st_ino);
    assert_int_equal(behind.st_size, 6);
    assert_int_equal(hostpath_stat(at("host"), at("pods/dangling.log"), &behind), -ENOENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hostpath_opens_what_is_here),
        cmocka_unit_test(test_hostpath_follows_links_below_the_hosts_root),
        cmocka_unit_test(test_hostpath_follows_a_chain_of_links_that_are_here),
        cmocka_unit_test(test_hostpath_says_what_is_not_there),
        cmocka_unit_test(test_hostpath_tells_of_the_file_behind_the_link),
    };
    return cmocka_run_group_tests(tests, make_tree, remove_tree);
}
