/* procfile.h - a file of /proc that is read again and again: opened once, read from its start each time.
 *
 * One thread at a time.
 */
#ifndef NODE_AGENT_PROCFILE_H
#define NODE_AGENT_PROCFILE_H

#include "base/buf.h"

enum { PROCFILE_BYTES = 4 * 1024 * 1024 }; /* longer files are an error */

struct procfile {
    char *path; /* owned */
    int fd;     /* -1: not open */
    bool long_lines, one_record;
    struct buf text;
};

/* procfile_new: for the file folder/name; opens nothing yet. NULL when memory is out. */
struct procfile *procfile_new(const char *folder, const char *name);
struct procfile *procfile_new_long(const char *folder, const char *name); /* with long_lines */
void procfile_free(struct procfile *file);

/* procfile_read: its whole content, borrowed until the next read. Opens it again where reading fails. 0, or a
 * negative errno (-EMSGSIZE past PROCFILE_BYTES).
 *
 * The kernel writes these files record by record into a page, and a read ends early only where the next
 * record did not fit any more: one that leaves half a page free was the whole, unless a line may be longer
 * than that, which long_lines says; such a file is read until nothing more comes. Of one_record it is known
 * that the kernel writes it as a single one: a read that leaves room was the whole. */
int procfile_read(struct procfile *file, struct bytes *ret_text);

/* Several of them, as a collector's state: an array in the order of the names, NULL ends. */
struct procfile **procfile_set_new(const char *folder, const char *const *names); /* NULL: memory is out */
void procfile_set_free(struct procfile **set);                                    /* NULL is fine */

/* procfile_read_word: the content of a small file (one line of sysfs), without trailing blanks, as a C string
 * in storage, cut to fit. 0 or a negative errno. */
int procfile_read_word(const char *path, char *storage, size_t size);

/* procfile_read_u64: such a file as a number. 0, a negative errno, -EINVAL. */
int procfile_read_u64(const char *path, uint64_t *ret_value);

#endif
