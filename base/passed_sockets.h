/* passed_sockets.h - sockets that outlive the program's image: a reload executes the program anew, and what
 * it listened on goes on listening, what was connected and idle stays connected.
 *
 * One table for the process. Before the new image: passed_sockets_begin, then who closes a listener or an
 * idle connection hands in a copy of its descriptor, then passed_sockets_export writes them to the
 * environment (TRIBUTARY_SOCKETS: "l5=0.0.0.0:4318 c7=0.0.0.0:4318"). In the new image: passed_sockets_adopt,
 * then who listens on an address takes what was kept for it, then passed_sockets_close_rest. At most
 * PASSED_SOCKETS_MAX; what is too much is closed as it would be without. Main thread only.
 */
#ifndef BASE_PASSED_SOCKETS_H
#define BASE_PASSED_SOCKETS_H

#include <stdbool.h>

enum { PASSED_SOCKETS_MAX = 2048 };

enum passed_socket { PASSED_LISTENER = 'l', PASSED_CONNECTION = 'c' };

/* passed_sockets_begin: from now on descriptors are kept. passed_sockets_is_on: whether it was called. */
void passed_sockets_begin(void);
bool passed_sockets_is_on(void);

/* passed_sockets_keep: keeps a copy of fd for who listens on address (as it is configured, no blanks). 0,
 * -ENOSPC, or an errno of dup. Nothing is kept and 0 returned before passed_sockets_begin. */
int passed_sockets_keep(enum passed_socket kind, const char *address, int fd);

/* passed_sockets_export: into the environment, for exec. */
void passed_sockets_export(void);

/* passed_sockets_adopt: from the environment; what is not a socket is left out. */
void passed_sockets_adopt(void);

/* passed_sockets_take: a descriptor that was passed on for address (the caller owns it), or -1. */
int passed_sockets_take(enum passed_socket kind, const char *address);

/* passed_sockets_close_rest: closes what nobody took. */
void passed_sockets_close_rest(void);

#endif
