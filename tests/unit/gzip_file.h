/* gzip_file.h - compresses a file as the kubelet does: to PATH.gz by way of PATH.gz.tmp, then the plain one
 * goes. */
#ifndef TESTS_UNIT_GZIP_FILE_H
#define TESTS_UNIT_GZIP_FILE_H

#include <limits.h>
#include <stdio.h>
#include <unistd.h>
#include <zlib.h>

/* Appends a member of its own to a gzip file. */
static inline void gzip_append(const char *zipped, const void *bytes, size_t len)
{
    gzFile out = gzopen(zipped, "ab");
    assert_non_null(out);
    assert_int_equal(gzwrite(out, bytes, (unsigned)len), len);
    assert_int_equal(gzclose(out), Z_OK);
}

/* Leaves the plain file beside it. */
static inline void gzip_beside(const char *path)
{
    char zipped[PATH_MAX + 64], half[PATH_MAX + 64], block[4096];
    snprintf(zipped, sizeof zipped, "%s.gz", path);
    snprintf(half, sizeof half, "%s.gz.tmp", path);
    FILE *in = fopen(path, "rb");
    gzFile out = gzopen(half, "wb");
    assert_true(in && out);
    for (size_t n; (n = fread(block, 1, sizeof block, in)) > 0;)
        assert_int_equal(gzwrite(out, block, (unsigned)n), n);
    fclose(in);
    assert_int_equal(gzclose(out), Z_OK);
    assert_int_equal(rename(half, zipped), 0);
}

static inline void gzip_file(const char *path)
{
    gzip_beside(path);
    assert_int_equal(unlink(path), 0);
}

#endif
