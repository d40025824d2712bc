/* conf_memory.h - the arena that owns all that was read from one configuration file.
 *
 * Given back as a whole by conf_free() (conf.h). Bounded, because substitution can multiply what a file
 * holds. Part of conf; not for others. Any thread, one at a time.
 */
#ifndef BASE_CONF_MEMORY_H
#define BASE_CONF_MEMORY_H

#include <stddef.h>

#include "base/bytes.h"

enum { CONF_MEMORY_MAX = 16 << 20 }; /* bytes that one configuration may take */

struct conf_memory;

/* conf_memory_new: an empty arena; NULL when memory is out. */
struct conf_memory *conf_memory_new(void);

/* conf_memory_alloc: size zeroed bytes, aligned for any type; NULL when memory is out or past the limit. */
void *conf_memory_alloc(struct conf_memory *memory, size_t size);

/* conf_memory_copy: text as a C string of the arena's; NULL as above. */
char *conf_memory_copy(struct conf_memory *memory, struct bytes text);

#endif
