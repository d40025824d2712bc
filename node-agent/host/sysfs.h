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

/* sysfs_read: the content of an open file, from its start, as sysfs_word. */
int sysfs_read(int fd, char *storage, size_t size);

/* sysfs_parse_i64: a word as a number. 0 or -EINVAL. */
int sysfs_parse_i64(const char *word, int64_t *ret_value);

/* The names in a folder, sorted as bytes, without those that begin with a dot. */
struct sysfs_names {
    char **items; /* owned */
    size_t count;
};

/* sysfs_list: at most 65536 of them. *ret_names is empty after an error. */
int sysfs_list(struct sysfs_names *ret_names, const char *format, ...) __attribute__((format(printf, 2, 3)));
void sysfs_names_fini(struct sysfs_names *names);

/* sysfs_folders: how many folders are in a folder of sysfs, by its link count; -1 where that is not known: no
 * such folder, or none of sysfs. */
int sysfs_folders(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* sysfs_exists: whether there is such a file or folder, links followed. */
bool sysfs_exists(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* sysfs_link_name: the last part of what the link points to. */
int sysfs_link_name(char *storage, size_t size, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
