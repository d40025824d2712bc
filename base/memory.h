/* memory.h - how the programs use malloc: freed payloads are kept for the next ones while there is load, and
 * given back to the system when there is none.
 *
 * By default glibc gives every thread an arena and returns each payload's pages as soon as it is freed: under
 * load that was 13 % of the gateway's CPU, in page faults. With one arena and a high trim threshold the pages
 * stay, and memory_trim, called now and then, returns what is not in use at that moment.
 */
#ifndef BASE_MEMORY_H
#define BASE_MEMORY_H

enum { MEMORY_KEEP_BYTES = 64 << 20, MEMORY_TRIM_MS = 2000 };

/* memory_init: before any thread is started and anything large is allocated. */
void memory_init(void);

/* memory_trim: any thread; takes up to a few milliseconds after a load, microseconds at rest. */
void memory_trim(void);

#endif
