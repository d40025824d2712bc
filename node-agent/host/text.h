/* text.h - takes the kernel's text files apart: lines, blank-separated fields, numbers. Pure, any thread. */
#ifndef NODE_AGENT_TEXT_H
#define NODE_AGENT_TEXT_H

#include "base/bytes.h"

/* text_line: takes the next line off *rest, without its newline. False at the end. */
bool text_line(struct bytes *rest, struct bytes *ret_line);

/* text_field: takes the next field off *line; fields are separated by blanks and tabs. False when none is
 * left.
 */
bool text_field(struct bytes *line, struct bytes *ret_field);

/* text_u64: the whole of field as a decimal number. 0 or -EINVAL (not a number, or more than 64 bits). */
int text_u64(struct bytes field, uint64_t *ret_value);

/* text_hex: the same of a hexadecimal number without a prefix. */
int text_hex(struct bytes field, uint64_t *ret_value);

/* text_fields: cuts line into at most max fields (text_field); how many there are. */
size_t text_fields(struct bytes line, struct bytes *fields, size_t max);

/* text_double: the whole of field as strtod takes it, at most 63 bytes. 0 or -EINVAL. */
int text_double(struct bytes field, double *ret_value);

/* text_copy: field as a C string in storage, cut to fit; returns storage. */
char *text_copy(struct bytes field, char *storage, size_t size);

/* text_is: field equals the string. text_starts, text_ends: begins or ends with it. */
bool text_is(struct bytes field, const char *string);
bool text_is_caseless(struct bytes field, const char *string); /* of ASCII letters */
bool text_starts(struct bytes field, const char *prefix);
bool text_ends(struct bytes field, const char *suffix);

/* text_digits: how many of the first bytes are decimal digits. */
size_t text_digits(struct bytes field);

#endif
