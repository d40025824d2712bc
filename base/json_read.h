/* json_read.h - JSON's tokens from bytes in memory, without a tree and without recursion.
 *
 * Source: RFC 8259. Who calls knows the nesting and keeps its own stack. A string's escapes are undone into
 * the caller's buffer; a surrogate without its other half becomes U+FFFD. Pure functions, any thread.
 */
#ifndef BASE_JSON_READ_H
#define BASE_JSON_READ_H

#include "base/buf.h"

/* json_read_peek: the first byte after blanks, which are taken off; 0 at the end (a NUL is no JSON). */
uint8_t json_read_peek(struct bytes *rest);

/* json_read_take: takes the byte c, with blanks before it. 0 or -EBADMSG. */
int json_read_take(struct bytes *rest, uint8_t c);

/* json_read_string: takes a string. *ret_text is borrowed from rest, or from storage (emptied first) when it
 * had escapes. 0, -EBADMSG (not a string, not UTF-8, a raw control character), or the error of buf_reserve.
 */
int json_read_string(struct bytes *rest, struct buf *storage, struct bytes *ret_text);

/* json_read_number: takes a number as it is written. 0 or -EBADMSG. */
int json_read_number(struct bytes *rest, struct bytes *ret_text);

/* json_read_word: takes true, false or null, if it is that. */
bool json_read_word(struct bytes *rest, const char *word);

/* json_read_int: a number's text as an integer: digits, or a fraction or exponent that comes to one. 0, or
 * -EBADMSG also when it does not fit into 64 bits; negative: two's complement. */
int json_read_int(struct bytes text, bool is_signed, uint64_t *ret_value);

/* json_read_double: also "NaN", "Infinity" and "-Infinity", as strings have them. 0 or -EBADMSG. */
int json_read_double(struct bytes text, double *ret_value);

#endif
