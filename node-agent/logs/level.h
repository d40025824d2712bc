/* level.h - the level that a log line speaks of: from JSON or logfmt keys, or a word near its beginning.
 *
 * The names are Loki's (trace, debug, info, warn, error, critical, fatal), so that what is sent as structured
 * metadata "level" becomes its detected_level. Looks at the first LEVEL_LOOK bytes only. Pure functions, any
 * thread.
 */
#ifndef NODE_AGENT_LEVEL_H
#define NODE_AGENT_LEVEL_H

#include "base/bytes.h"

enum { LEVEL_LOOK = 512 };
enum line_level {
    LEVEL_NONE, /* cannot be told */
    LEVEL_TRACE,
    LEVEL_DEBUG,
    LEVEL_INFO,
    LEVEL_WARN,
    LEVEL_ERROR,
    LEVEL_CRITICAL,
    LEVEL_FATAL,
    LEVELS
};

/* level_detect: keys level, lvl, severity, loglevel with = or : behind them win over klog's heads (I1122),
 * and these over the first word in capitals that is a level (or in small letters, within [] or <>). */
enum line_level level_detect(struct bytes line);

/* level_name: "" for LEVEL_NONE. */
const char *level_name(enum line_level level);

#endif
