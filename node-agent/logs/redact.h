/* redact.h - replaces what must not leave the node: expressions of the user's, and presets.
 *
 * Presets: card (13 to 19 digits, single spaces or dashes between them, an issuer's first digits as in
 * ISO/IEC 7812 and the check digit of Luhn), email, token (bearer and basic credentials, JWT, keys of
 * well-known services by their prefixes, passwords in URLs, private keys as far as they are one text, values
 * behind password, passphrase, pwd, secret, secret_key, token, api_key, access_key and account_key). A whole
 * match is replaced; \K in an expression keeps what stands before it. Loop thread only.
 */
#ifndef NODE_AGENT_REDACT_H
#define NODE_AGENT_REDACT_H

#include "base/buf.h"
#include "node-agent/pattern.h"

struct redact {
    enum redact_kind { REDACT_PATTERN, REDACT_CARD, REDACT_EMAIL, REDACT_TOKEN } kind;
    struct pattern *pattern; /* owned; NULL for REDACT_CARD and REDACT_EMAIL */
    const char *with;        /* borrowed; what stands there instead */
};

/* redact_init: of an expression; with is borrowed. Errors as pattern_new. */
int redact_init(struct redact *redact, const char *expression, const char *with);

/* redact_init_preset: "card", "email", "token". with NULL: "[redacted:NAME]". -ENOENT: no such preset. */
int redact_init_preset(struct redact *redact, const char *name, const char *with);
void redact_fini(struct redact *redact);

/* redact_apply: appends text with what matches replaced to out; *ret_count: how many matches. Nothing is
 * appended when there are none. 0; -EMSGSIZE: out's limit was reached, it holds the beginning; -ENOMEM. */
int redact_apply(const struct redact *redact, struct bytes text, struct buf *out, unsigned *ret_count);

#endif
