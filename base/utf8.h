/* utf8.h - whether bytes are valid UTF-8 (RFC 3629: no overlong forms, no surrogates, up to U+10FFFF). Pure,
 * any thread. */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include "base/buf.h"

/* utf8_is_valid: also of the empty run. */
bool utf8_is_valid(struct bytes text);

/* utf8_put_valid: appends text to out with every run of invalid bytes replaced by one U+FFFD. 0 or the error
 * of buf_reserve. */
int utf8_put_valid(struct bytes text, struct buf *out);

#endif
