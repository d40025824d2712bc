/* text.h - what a string from the network must be before it names anything: printable UTF-8 of bounded
 * length. Pure functions, any thread.
 */
#ifndef PROTO_TEXT_H
#define PROTO_TEXT_H

#include "base/bytes.h"

/* text_is_printable: valid UTF-8 (RFC 3629) without control characters (U+0000-U+001F, U+007F-U+009F). */
bool text_is_printable(struct bytes text);

/* text_is_name: printable, not empty, at most max bytes. s may be NULL (then false). */
bool text_is_name(const char *s, size_t max);

#endif
