/* sysfs.h - the small files of sysfs and /proc/sys: one value each. Any thread.
 *
 * A file is named by a format and its arguments (at most 1023 bytes). Errors are negative errnos: that of
 * open(2) or read(2), -EINVAL where the content is not what was asked for.
 */
#ifndef NODE_AGENT_SYSFS_H
#define NODE_AGENT_SYSFS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* sysfs_word: the file's content without blanks around it, cut to fit storage. */
int sysfs_word(char *storage, size_t size, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* sysfs_u64, sysfs_i64, sysfs_double: the content as a number. */
int sysfs_u64(uint64_t *ret_value, const char *format, ...) __attribute__((format(printf, 2, 3)));
int sysfs_i64(int64_t *ret_value, const char *format, ...) __attribute__((format(printf, 2, 3)));
int sysfs_double(double *ret_value, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Files of sysfs that are read again and again: opened once, read from their start each time, and opened anew
 * when their device has gone (ENODEV). At most slots are open; files elsewhere are not kept. */
struct sysfs_kept;
struct sysfs_kept *sysfs_kept_new(size_t slots); /* NULL: memory is out */
void sysfs_kept_free(struct sysfs_kept *kept);   /* NULL is fine */

/* sysfs_kept_word, sysfs_kept_i64: sysfs_word and sysfs_i64 of the file at path. */
int sysfs_kept_word(struct sysfs_kept *kept, const char *path, char *storage, size_t size);
int sysfs_kept_i64(struct sysfs_kept *kept, const char *path, int64_t *ret_value);

/* The names in a folder, sorted as bytes, without those that begin with a dot. */
struct sysfs_names {
    char **items; /* owned */
    size_t count;
};

/* sysfs_list: at most 65536 of them. *ret_names is empty after an error. */
int sysfs_list(struct sysfs_names *ret_names, const char *format, ...) __attribute__((format(printf, 2, 3)));
void sysfs_names_fini(struct sysfs_names *names);

/* sysfs_exists: whether there is such a file or folder, links followed. */
bool sysfs_exists(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* sysfs_link_name: the last part of what the link points to. */
int sysfs_link_name(char *storage, size_t size, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
