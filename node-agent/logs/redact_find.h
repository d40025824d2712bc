/* redact_find.h - where a line may hold a card number, a mail address or a credential, without expressions.
 *
 * Nearly every line holds none, so what these cost on such a line is what redaction costs: a card number is
 * looked for at every twelfth byte, an address at each @, a credential where three bytes begin one. All are
 * linear in the line's length whatever it holds. Pure.
 */
#ifndef NODE_AGENT_REDACT_FIND_H
#define NODE_AGENT_REDACT_FIND_H

#include "base/buf.h"

/* redact_find_card: the first card number at or behind from: 13 to 19 digits, single spaces or dashes between
 * them, an issuer's first digits and a right check digit. False: none. */
bool redact_find_card(struct bytes text, size_t from, size_t *ret_begin, size_t *ret_end);

/* redact_find_email: the first mail address at or behind from (up to 64 of A-Za-z0-9._%+- before the @, then
 * 2 to 9 labels, the last of letters only). False: none. */
bool redact_find_email(struct bytes text, size_t from, size_t *ret_begin, size_t *ret_end);

/* redact_find_token_mark: the first place at or behind from where a word stands with which a credential of
 * the preset "token" begins (redact.c's expression). False: none. */
bool redact_find_token_mark(struct bytes text, size_t from, size_t *ret_at);

#endif
