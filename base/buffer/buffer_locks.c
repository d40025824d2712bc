#include "base/buffer/buffer_locks.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

static void name_process(int pid, char *storage, size_t size)
{
    char path[64], command[64] = "";
    snprintf(path, sizeof path, "/proc/%d/comm", pid);
    FILE *file = fopen(path, "re");
    if (file && fgets(command, sizeof command, file))
        command[strcspn(command, "\n")] = '\0';
    if (file)
        fclose(file);
    snprintf(storage, size, "pid %d (%s)", pid, command);
}

/* A line: "5: POSIX  ADVISORY  READ 812 fe:00:1314 123 123"; read marks of a WAL are locked from byte 123 of
 * -shm. */
bool buffer_locks_name_reader(const char *database, char *storage, size_t size)
{
    char path[4096], line[256];
    struct stat st;
    snprintf(path, sizeof path, "%s-shm", database);
    FILE *locks = stat(path, &st) == 0 ? fopen("/proc/locks", "re") : NULL;
    bool found = false;
    while (locks && !found && fgets(line, sizeof line, locks)) {
        int pid;
        unsigned major_, minor_;
        unsigned long inode, from;
        if (sscanf(line, "%*s %*s %*s READ %d %x:%x:%lu %lu", &pid, &major_, &minor_, &inode, &from) != 5)
            continue;
        found = inode == st.st_ino && makedev(major_, minor_) == st.st_dev && from >= 123 && pid != getpid();
        if (found)
            name_process(pid, storage, size);
    }
    if (locks)
        fclose(locks);
    return found;
}
