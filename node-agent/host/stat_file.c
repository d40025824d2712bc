#include "node-agent/host/stat_file.h"

#include <stdlib.h>

#include "base/clock.h"
#include "node-agent/host/procfile.h"

enum { MAX_READERS = 32, FRESH_NS = 100 * 1000 * 1000 };

struct stat_file {
    struct stat_file *next;
    char *procfs;                   /* owned */
    struct procfile *file;          /* owned */
    unsigned users, readers, given; /* given: a bit for each reader that has this content */
    int64_t read_at_ns;
    struct bytes text;
};

static struct stat_file *shared; /* a list, by folder; each owned by its users together */

static void free_file(struct stat_file *file)
{
    procfile_free(file->file);
    free(file->procfs);
    free(file);
}

struct stat_file *stat_file_join(const char *procfs, unsigned *ret_reader)
{
    struct stat_file *file = shared;
    while (file && strcmp(file->procfs, procfs) != 0)
        file = file->next;
    if (!file) {
        file = calloc(1, sizeof *file);
        if (!file)
            return NULL;
        file->procfs = strdup(procfs);
        file->file = procfile_new(procfs, "stat");
        if (!file->procfs || !file->file) {
            free_file(file);
            return NULL;
        }
        file->next = shared;
        shared = file;
    }
    file->users++;
    *ret_reader = file->readers++ % MAX_READERS;
    return file;
}

void stat_file_leave(struct stat_file *file)
{
    if (!file || --file->users > 0)
        return;
    struct stat_file **at = &shared;
    while (*at != file)
        at = &(*at)->next;
    *at = file->next;
    free_file(file);
}

int stat_file_read(struct stat_file *file, unsigned reader, struct bytes *ret_text)
{
    unsigned bit = 1u << reader;
    int64_t now_ns = clock_mono_ns();
    if (!file->given || file->given & bit || now_ns - file->read_at_ns >= FRESH_NS) {
        int err = procfile_read(file->file, &file->text);
        file->given = 0;
        if (err < 0)
            return err;
        file->read_at_ns = now_ns;
    }
    file->given |= bit;
    *ret_text = file->text;
    return 0;
}
