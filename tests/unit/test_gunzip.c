/* Gzip files that zlib's own writer made, read at offsets. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include "node-agent/logs/gunzip.h"
#include "tests/unit/gzip_file.h"

enum { SIZE = 3 * 1000 * 1000, MOST = 100 * 1000 };

static uint8_t *text;
static char path[PATH_MAX];

static int setup(void **state)
{
    (void)state;
    static char folder[] = "/tmp/test_gunzip.XXXXXX";
    text = malloc(SIZE);
    if (!text || !mkdtemp(folder))
        return -1;
    uint32_t random = 1;
    for (size_t i = 0; i < SIZE; i++) {
        random = random * 1664525 + 1013904223;
        text[i] = (uint8_t)('a' + (random >> 24) % 26);
    }
    snprintf(path, sizeof path, "%s/file", folder);
    FILE *out = fopen(path, "wb");
    fwrite(text, 1, SIZE, out);
    fclose(out);
    gzip_file(path);
    strcat(path, ".gz");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    unlink(path);
    *strrchr(path, '/') = '\0';
    rmdir(path);
    free(text);
    return 0;
}

static void expect(struct gunzip *gunzip, uint64_t offset, size_t len, size_t got)
{
    static uint8_t block[MOST];
    assert_int_equal(gunzip_read(gunzip, block, len, offset), got);
    assert_memory_equal(block, text + offset, got);
}

static struct gunzip *open_gunzip(int fd)
{
    struct gunzip *gunzip;
    assert_true(fd >= 0);
    assert_int_equal(gunzip_new(fd, MOST, &gunzip), 0);
    return gunzip;
}

static void test_gunzip_reads_forwards_overlapping_and_from_the_start_again(void **state)
{
    (void)state;
    int fd = open(path, O_RDONLY);
    uint64_t size;
    struct gunzip *gunzip = open_gunzip(fd);
    assert_int_equal(gunzip_size(fd, &size), 0);
    assert_int_equal(size, SIZE);
    for (uint64_t at = 0; at + MOST <= SIZE; at += MOST - 777)
        expect(gunzip, at, MOST, MOST);
    expect(gunzip, 5, 10, 10);
    expect(gunzip, 2 * 1000 * 1000, 1, 1);
    expect(gunzip, SIZE - 10, 100, 10);
    expect(gunzip, SIZE, 100, 0);
    assert_false(gunzip_is_damaged(gunzip));
    gunzip_free(gunzip);
    close(fd);
}

static void test_gunzip_gives_what_stands_before_the_damage(void **state)
{
    (void)state;
    int fd = open(path, O_RDWR);
    off_t whole = lseek(fd, 0, SEEK_END);
    assert_int_equal(ftruncate(fd, whole / 2), 0);
    struct gunzip *gunzip = open_gunzip(fd);
    static uint8_t block[MOST];
    uint64_t at = 0;
    for (ssize_t n; (n = gunzip_read(gunzip, block, MOST, at)) > 0; at += (uint64_t)n)
        assert_memory_equal(block, text + at, (size_t)n);
    assert_in_range(at, SIZE / 3, SIZE * 2 / 3);
    assert_true(gunzip_is_damaged(gunzip));
    gunzip_free(gunzip);
    assert_int_equal(ftruncate(fd, 5), 0);
    uint64_t size;
    assert_int_equal(gunzip_size(fd, &size), -EBADMSG);
    close(fd);
}

static void append_bytes(const char *to, const char *bytes, size_t len)
{
    FILE *out = fopen(to, "ab");
    assert_non_null(out);
    assert_int_equal(fwrite(bytes, 1, len, out), len);
    fclose(out);
}

static void test_gunzip_reads_several_members_as_one(void **state)
{
    (void)state;
    static const size_t cuts[] = {0, 1000, 1000, 50000, SIZE};
    char several[PATH_MAX + 16];
    snprintf(several, sizeof several, "%s.several", path);
    for (size_t i = 0; i + 1 < sizeof cuts / sizeof *cuts; i++)
        gzip_append(several, text + cuts[i], cuts[i + 1] - cuts[i]);
    append_bytes(several, "\0\0\0", 3);
    int fd = open(several, O_RDONLY);
    struct gunzip *gunzip = open_gunzip(fd);
    expect(gunzip, 0, 1000, 1000);
    assert_true(gunzip_extent(gunzip) > 1000);
    for (size_t at = 900; at < SIZE; at += MOST)
        expect(gunzip, at, MOST, SIZE - at < MOST ? SIZE - at : MOST);
    assert_int_equal(gunzip_extent(gunzip), SIZE);
    expect(gunzip, 0, 2000, 2000); /* from the beginning again */
    assert_false(gunzip_is_damaged(gunzip));
    gunzip_free(gunzip);
    append_bytes(several, "x", 1); /* that is no member */
    gunzip = open_gunzip(fd);
    for (size_t at = 0; at < SIZE; at += MOST)
        expect(gunzip, at, MOST, SIZE - at < MOST ? SIZE - at : MOST);
    assert_int_equal(gunzip_extent(gunzip), SIZE);
    assert_true(gunzip_is_damaged(gunzip));
    gunzip_free(gunzip);
    close(fd);
    unlink(several);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gunzip_reads_several_members_as_one),
        cmocka_unit_test(test_gunzip_reads_forwards_overlapping_and_from_the_start_again),
        cmocka_unit_test(test_gunzip_gives_what_stands_before_the_damage),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
