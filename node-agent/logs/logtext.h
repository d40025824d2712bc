/* logtext.h - what a line's text becomes before it is sent: valid UTF-8, not longer than the limit.
 *
 * Source: RFC 3629 (no overlong forms, no surrogates, nothing past U+10FFFF). A bad sequence becomes U+FFFD,
 * one for each maximal part as the Unicode standard recommends. Pure functions, any thread.
 */
#ifndef NODE_AGENT_LOGTEXT_H
#define NODE_AGENT_LOGTEXT_H

#include "base/buf.h"

#define LOGTEXT_MARK "...[truncated]" /* ends a line that was cut */

/* logtext_is_utf8: whether all of it is valid. */
bool logtext_is_utf8(struct bytes text);

/* logtext_repair: appends text with U+FFFD for what is not UTF-8. Errors as buf_append. */
int logtext_repair(struct bytes text, struct buf *out);

/* logtext_cut_len: how much of valid UTF-8 text stays so that text and LOGTEXT_MARK are at most max bytes
 * (max is larger than the mark); no character is cut in two. */
size_t logtext_cut_len(struct bytes text, size_t max);

#endif
