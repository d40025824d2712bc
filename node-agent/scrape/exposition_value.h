/* exposition_value.h - numbers as Prometheus' own library writes them in the text exposition: the shortest
 * digits that are read back as the same value, with an exponent below 1e-4 and from 1e6 on unless all digits
 * fit before the point (Go's strconv, format 'g', precision -1). Pure; any thread. */
#ifndef NODE_AGENT_EXPOSITION_VALUE_H
#define NODE_AGENT_EXPOSITION_VALUE_H

#include <stddef.h>

enum { EXPOSITION_VALUE_BYTES = 40 }; /* room that any value needs */

/* exposition_value_write: the value's text, without a NUL; its length. */
size_t exposition_value_write(double value, char text[EXPOSITION_VALUE_BYTES]);

#endif
