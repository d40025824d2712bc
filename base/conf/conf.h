/* conf.h - YAML configuration through one table of options per program.
 *
 * The table validates the file, gives defaults and writes the reference in docs/. A file is one YAML mapping;
 * ${VAR} and ${VAR:-default} are substituted in scalars before they are typed ($$ is a dollar sign); an unset
 * VAR without a default is an error. Unknown key, repeated key, wrong type, out of range, missing required
 * key: an error "FILE:LINE:COLUMN: KEY: what is wrong; what would be right".
 *
 * Everything read is owned by the struct conf_memory handed in and lives until conf_free().
 */
#ifndef BASE_CONF_H
#define BASE_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

enum conf_type {
    CONF_STRING,   /* const char *; never NULL once loaded, "" without a default */
    CONF_SECRET,   /* as CONF_STRING; shown as <secret> wherever the configuration is printed */
    CONF_BOOL,     /* bool */
    CONF_INT,      /* int64_t, within [min, max] */
    CONF_DURATION, /* int64_t in ms; Prometheus notation: 500ms, 15s, 1m30s, 2h, 7d; within [min, max] ms */
    CONF_SIZE,     /* int64_t in bytes; 4096, 64KiB, 2MiB, 1GiB (also KB, MB, GB as powers of 1000) */
    CONF_ENUM,     /* int: index in .names, a NULL-terminated list */
    CONF_STRINGS,  /* struct conf_strings; a YAML sequence of scalars */
    CONF_MAP,      /* struct conf_map; a YAML mapping of scalars to scalars, in the file's order */
    CONF_SECTION,  /* a nested mapping: .options is its table, .offset the nested struct's offset */
    CONF_LIST, /* struct conf_list; a sequence of mappings: .options is an element's table, .size its size */
};

struct conf_strings {
    const char **items;
    size_t count;
};
struct conf_pair {
    const char *key, *value;
};
struct conf_map {
    struct conf_pair *items;
    size_t count;
};
struct conf_list {
    void *items; /* array of elements of .size bytes each */
    size_t count;
};

struct conf_option {
    const char *key; /* NULL ends a table */
    enum conf_type type;
    size_t offset;                     /* in the struct that the table describes */
    const char *fallback;              /* of single values: the default, as it would stand in the file (also
                                          substituted); NULL: required. The others are empty by default. */
    int64_t min, max;                  /* of INT, DURATION (ms), SIZE; both 0: no bound but >= 0 */
    const char *const *names;          /* of ENUM */
    const struct conf_option *options; /* of SECTION and LIST */
    size_t size;                       /* of LIST */
    const char *form;    /* of STRING and STRINGS: a POSIX extended regular expression that a value
                            that is not empty must match; NULL: any */
    const char *example; /* of a form: a value that is right, for messages and the reference */
    bool secret;         /* of MAP: values are shown as <secret> (request headers) */
    const char *help;    /* a sentence for the reference; with the unit where the type has none */
};

struct conf_memory; /* owns all that was read */

/* conf_load: reads path (at most 1 MiB) into *config, a struct described by table: every field that the table
 * names is set, others are left alone. 0 with *ret_memory set, or a negative errno with one message a line in
 * errors (a buffer the caller initialised), as many as there are, and *config not to be used. A file may be
 * empty; a key given without a value is an error for single values and empty for the others. */
int conf_load(const char *path, const struct conf_option *table, void *config,
              struct conf_memory **ret_memory, struct buf *errors);

/* conf_parse: the same from memory; name stands for the file in messages. */
int conf_parse(const char *name, struct bytes text, const struct conf_option *table, void *config,
               struct conf_memory **ret_memory, struct buf *errors);

/* conf_free: everything the load handed out; NULL is fine. */
void conf_free(struct conf_memory *memory);

/* conf_write_reference: appends a Markdown reference of the table (key, type, default, range, meaning; nested
 * keys with dots, list elements as key[].sub). */
int conf_write_reference(const struct conf_option *table, struct buf *out);

/* conf_print: appends the configuration in force as YAML, secrets masked (passwords within URLs too). */
int conf_print(const struct conf_option *table, const void *config, struct buf *out);

/* conf_parse_duration: "1m30s" to ms. 0 or -EINVAL. */
int conf_parse_duration(const char *text, int64_t *ret_ms);

#endif
