/* config_watch.h - tells when the configuration file is another one than before.
 *
 * Once a second the file that the path leads to is looked at (a ConfigMap's swap of a symbolic link changes
 * that), and when it is unchanged for a second look after a change, its content is compared: what matters is
 * the content. A file that is missing or unreadable for a while is no change. Files are read whole, at most
 * CONFIG_WATCH_BYTES. Loop thread only.
 */
#ifndef BASE_CONFIG_WATCH_H
#define BASE_CONFIG_WATCH_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

enum { CONFIG_WATCH_MS = 1000, CONFIG_WATCH_BYTES = 16 * 1024 * 1024 };

/* What a content is known by. */
struct config_mark {
    uint32_t crc;
    uint64_t bytes;
};

struct config_watch;

/* config_mark_read: of the content as it is now; zeroed when it cannot be read. Read it before the file is
 * loaded, so that a change between the two is noticed. */
struct config_mark config_mark_read(const char *path);

/* config_watch_new: in_force is the content that the program runs with. changed(ctx, is_in_force) is called
 * when the content is another one than at the last call (the first time: than in_force); is_in_force: it is
 * the running one's again. path is borrowed. 0 or -ENOMEM. */
int config_watch_new(uv_loop_t *loop, const char *path, struct config_mark in_force,
                     void (*changed)(void *ctx, bool is_in_force), void *ctx,
                     struct config_watch **ret_watch);

/* config_watch_close: no call after it; frees asynchronously on the loop. NULL is fine. */
void config_watch_close(struct config_watch *watch);

#endif
