/* sysfs_devices.h - the devices of a class in sysfs (the folders or links below /sys/class/net and the like)
 * and some of their files, kept open between reads.
 *
 * A device is known by its name and the inode of its entry, so that one that took another's name is read
 * anew. Below a folder that is no sysfs nothing is kept open. One thread at a time.
 */
#ifndef NODE_AGENT_SYSFS_DEVICES_H
#define NODE_AGENT_SYSFS_DEVICES_H

#include <stddef.h>
#include <stdint.h>

struct sysfs_devices;

/* sysfs_devices_new: folder is copied; files (NULL ends) are borrowed and told by their index. At most
 * max_open files are kept open, the first ones; the others are opened for every read. NULL when memory is
 * out. */
struct sysfs_devices *sysfs_devices_new(const char *folder, const char *const *files, size_t max_open);
void sysfs_devices_free(struct sysfs_devices *devices); /* NULL is fine */

/* sysfs_devices_list: looks which devices there are now, at most 65536; *ret_count of them, sorted by name.
 * 0 or a negative errno. */
int sysfs_devices_list(struct sysfs_devices *devices, size_t *ret_count);

/* sysfs_devices_name: borrowed until the next list. */
const char *sysfs_devices_name(const struct sysfs_devices *devices, size_t device);

/* sysfs_devices_note: a number of the caller's about the device, 0 at first; as long as the device is there.
 */
int *sysfs_devices_note(struct sysfs_devices *devices, size_t device);

/* sysfs_devices_word, sysfs_devices_i64: as sysfs_word and sysfs_i64. */
int sysfs_devices_word(struct sysfs_devices *devices, size_t device, size_t file, char *storage, size_t size);
int sysfs_devices_i64(struct sysfs_devices *devices, size_t device, size_t file, int64_t *ret_value);

/* sysfs_devices_kept_i64: as sysfs_devices_i64, but read once: what it was, or its error, is remembered until
 * sysfs_devices_forget, for all devices, or the device's end. */
int sysfs_devices_kept_i64(struct sysfs_devices *devices, size_t device, size_t file, int64_t *ret_value);
void sysfs_devices_forget(struct sysfs_devices *devices);

#endif
