/* What is told of a path that cannot be read: the folder that refuses, whose it is, and what is missing. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "node-agent/logs/access_why.h"

enum { NOBODY = 65534 };

static char root[] = "/tmp/test_access_why.XXXXXX";
static struct buf told;

static const char *at(const char *name)
{
    static char paths[4][PATH_MAX];
    static unsigned next;
    char *path = paths[next++ % 4];
    snprintf(path, PATH_MAX, "%s/%s", root, name);
    return path;
}

/* Root is let into everything, so it becomes nobody, whom the modes hold back; who is not root owns the files
 * himself, and their owner's bits are off. */
static int make_tree(void **state)
{
    (void)state;
    if (!mkdtemp(root) || chmod(root, 0755) < 0)
        return -1;
    assert_int_equal(mkdir(at("shut"), 0755), 0);
    assert_int_equal(mkdir(at("open"), 0755), 0);
    assert_int_equal(close(open(at("shut/0.log"), O_CREAT | O_WRONLY, 0644)), 0);
    assert_int_equal(close(open(at("open/0.log"), O_CREAT | O_WRONLY, 0640)), 0);
    assert_int_equal(symlink("/nowhere/0.log", at("open/dangling")), 0);
    assert_int_equal(chmod(at("shut"), geteuid() ? 0 : 0750), 0);
    assert_int_equal(chmod(at("open/0.log"), geteuid() ? 0 : 0640), 0);
    assert_int_equal(geteuid() ? 0 : setegid(NOBODY) + seteuid(NOBODY), 0);
    return 0;
}

static int remove_tree(void **state)
{
    (void)state;
    char command[PATH_MAX];
    if (getuid() == 0 && seteuid(0) + setegid(0) != 0)
        return -1;
    snprintf(command, sizeof command, "chmod -R u+rwx '%s' && rm -rf '%s'", root, root);
    return system(command);
}

static const char *tell(const char *name, enum access_why use, int err)
{
    buf_fini(&told);
    buf_init(&told, 4096);
    assert_int_equal(access_why_tell(at(name), use, err, &told), 0);
    assert_int_equal(buf_append(&told, "", 1), 0);
    return (const char *)told.ptr;
}

static void assert_says(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("\"%s\" does not say \"%s\"", text, part);
}

static void test_access_names_the_folder_that_refuses(void **state)
{
    (void)state;
    char expected[PATH_MAX + 32];
    const char *text = tell("shut/0.log", ACCESS_READ, -EACCES);
    snprintf(expected, sizeof expected, "may not search %s, which is ", at("shut"));
    assert_says(text, expected);
    assert_says(text, "; missing: ");
    assert_says(text, "the capability CAP_DAC_READ_SEARCH");
}

static void test_access_names_who_asks_and_whose_the_file_is(void **state)
{
    (void)state;
    char expected[PATH_MAX + 64];
    struct stat st;
    assert_int_equal(stat(at("open/0.log"), &st), 0);
    const char *text = tell("open/0.log", ACCESS_READ, -EACCES);
    snprintf(expected, sizeof expected,
             "permission denied: uid %d gid %d may not read %s, which is %04o of uid %d", (int)geteuid(),
             (int)getegid(), at("open/0.log"), (unsigned)(st.st_mode & 07777), (int)st.st_uid);
    assert_says(text, expected);
    if (st.st_mode & S_IRGRP) {
        snprintf(expected, sizeof expected,
                 "; missing: user %d, or group %d, or the capability CAP_DAC_READ_SEARCH", (int)st.st_uid,
                 (int)st.st_gid);
        assert_says(text, expected);
    }
}

static void test_access_to_write_needs_another_capability(void **state)
{
    (void)state;
    const char *text = tell("open/0.log", ACCESS_WRITE, -EACCES);
    assert_says(text, "may not write to ");
    assert_says(text, "the capability CAP_DAC_OVERRIDE");
    assert_null(strstr(text, "READ_SEARCH"));
}

static void test_access_suspects_a_security_module_where_the_mode_allows_it(void **state)
{
    (void)state;
    assert_says(tell("open", ACCESS_READ, -EACCES), "its mode would allow it");
}

static void test_access_tells_other_errors_in_words(void **state)
{
    (void)state;
    assert_says(tell("open/none", ACCESS_READ, -ENOENT), "no such file or folder");
    assert_says(tell("open/dangling", ACCESS_READ, -ENOENT),
                "dangling symlink: its target /nowhere/0.log is not there");
    assert_says(tell("open/0.log", ACCESS_READ, -EMFILE), "descriptor limit: all ");
    assert_says(tell("open/0.log", ACCESS_READ, -ELOOP), "circle");
    assert_says(tell("open", ACCESS_WRITE, -EROFS), "read-only");
    assert_says(tell("open", ACCESS_WRITE, -ENOSPC), "no space");
    assert_says(tell("open/0.log", ACCESS_READ, -EIO), strerror(EIO));
}

static void test_access_knows_a_folder_that_can_be_listed(void **state)
{
    (void)state;
    assert_true(access_why_is_folder(at("open")));
    assert_false(access_why_is_folder(at("shut")));
    assert_false(access_why_is_folder(at("open/0.log")));
    assert_false(access_why_is_folder(at("none")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_access_names_the_folder_that_refuses),
        cmocka_unit_test(test_access_names_who_asks_and_whose_the_file_is),
        cmocka_unit_test(test_access_to_write_needs_another_capability),
        cmocka_unit_test(test_access_suspects_a_security_module_where_the_mode_allows_it),
        cmocka_unit_test(test_access_tells_other_errors_in_words),
        cmocka_unit_test(test_access_knows_a_folder_that_can_be_listed),
    };
    buf_init(&told, 4096);
    int failed = cmocka_run_group_tests(tests, make_tree, remove_tree);
    buf_fini(&told);
    return failed;
}
