/* offsets_store.h - saves the offsets while the agent runs: rarely, in the background, as a whole.
 *
 * Losing the newest offsets costs nothing while their gateway lives (it answers resume with what it
 * committed), so a save waits until log bytes three thousand times its cost were committed, but not longer
 * than OFFSETS_STORE_MOST_MS; a change of buffer is saved at the next tick. A save costs the disk the pages
 * of its text and some of the file system's own. The file is written on libuv's
 * threads; one save at a time. Loop thread only.
 */
#ifndef NODE_AGENT_OFFSETS_STORE_H
#define NODE_AGENT_OFFSETS_STORE_H

#include <uv.h>

#include "node-agent/logs/offsets_file.h"

enum {
    OFFSETS_STORE_MOST_MS = 300 * 1000,
    OFFSETS_STORE_RATIO = 3000,
    OFFSETS_STORE_PAGE = 4096,                   /* of the page cache, by which the kernel counts */
    OFFSETS_STORE_META = 2 * OFFSETS_STORE_PAGE, /* a new file's inode and folder entry: ext4, measured */
};

struct offsets_store;

/* offsets_store_open: makes folder when it is missing and loads FOLDER/offsets. *ret_aside as
 * offsets_file_load. 0 or a negative errno. */
int offsets_store_open(uv_loop_t *loop, const char *folder, struct offsets_store **ret_store,
                       struct offsets **ret_offsets, int *ret_aside);

/* offsets_store_close: frees once a save under way has ended; the offsets are freed at once. NULL is fine. */
void offsets_store_close(struct offsets_store *store);

const char *offsets_store_path(const struct offsets_store *store);

/* offsets_store_note: so many log bytes were committed. offsets_store_hurry: save at the next tick. */
void offsets_store_note(struct offsets_store *store, uint64_t log_bytes);
void offsets_store_hurry(struct offsets_store *store);

/* offsets_store_tick: starts a save when one is due; call it about once a second. */
void offsets_store_tick(struct offsets_store *store);

/* offsets_store_save: saves now and waits for it; at exit. 0 or a negative errno. */
int offsets_store_save(struct offsets_store *store);

/* offsets_store_written: bytes written by all saves. */
uint64_t offsets_store_written(const struct offsets_store *store);

/* offsets_store_error: the last save's negative errno, or 0. */
int offsets_store_error(const struct offsets_store *store);

#endif
