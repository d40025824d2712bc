/* conf_errors.h - collects a configuration file's errors: "FILE:LINE:COLUMN: KEY: what is wrong; what would
 * be right", one a line, in the order in which they were found.
 *
 * Part of conf; not for others. Text of the file is shown escaped and cut, so that an error stays one line.
 */
#ifndef BASE_CONF_ERRORS_H
#define BASE_CONF_ERRORS_H

#include "base/buf.h"

enum { CONF_ERRORS_MAX = 50 }; /* further ones are counted and told in a last line */

struct conf_errors {
    const char *name; /* the file's, borrowed */
    struct buf *out;  /* borrowed */
    int count;
};

struct conf_place { /* from 1 */
    size_t line, column;
};

/* Where in the configuration: a chain on the stack of whoever walks it. */
struct conf_path {
    const struct conf_path *parent; /* NULL at the root */
    const char *key;                /* of a mapping's value; NULL: of a sequence's */
    size_t index;                   /* of a sequence's */
};

/* conf_errors_add: path may be NULL (an error of the file as a whole). What does not fit in out is lost. */
void conf_errors_add(struct conf_errors *errors, struct conf_place place, const struct conf_path *path,
                     const char *format, ...) __attribute__((format(printf, 4, 5)));

/* conf_errors_end: tells how many were held back. 0 without errors, else -EINVAL. */
int conf_errors_end(struct conf_errors *errors);

/* conf_errors_escape: text of the file for a message: controls as \xNN, cut after 50 bytes; in the caller's
 * storage, which it returns. conf_errors_show: the same in quotes. */
enum { CONF_SHOW = 256 };
const char *conf_errors_escape(const char *text, char storage[CONF_SHOW]);
const char *conf_errors_show(const char *text, char storage[CONF_SHOW]);

#endif
