/* podpath.h - what the path of a pod log tells: NAMESPACE_POD_UID/CONTAINER/RESTART.log.
 *
 * Source: the kubelet's layout of /var/log/pods (a static pod's uid is its configuration's hash). Rotated
 * files are called RESTART.log.YYYYMMDD-HHMMSS, with .gz behind it once compressed; half-written ones (.tmp)
 * are no log files. Pure functions, any thread.
 */
#ifndef NODE_AGENT_PODPATH_H
#define NODE_AGENT_PODPATH_H

#include "base/bytes.h"

#define PODPATH_ZIPPED ".gz"

struct podpath {
    struct bytes namespace, pod, uid; /* borrowed from the folder's name */
};

/* podpath_parse_folder: splits a pod folder's name. 0 or -EINVAL. */
int podpath_parse_folder(const char *name, struct podpath *ret_path);

struct podpath_file {
    uint32_t restart;    /* the number before ".log" */
    const char *rotated; /* borrowed from the name: what follows "N.log.", or NULL for the live file */
    bool zipped;         /* ends in PODPATH_ZIPPED */
};

/* podpath_parse_file: takes a log file's name apart. 0 or -EINVAL: not a log file. */
int podpath_parse_file(const char *name, struct podpath_file *ret_file);

#endif
