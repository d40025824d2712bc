#include "node-agent/logs/log_tally.h"

const char *log_tally_name(enum log_effect effect)
{
    static const char *const names[LOG_EFFECTS] = {
        [LOG_SENT] = "sent",
        [LOG_EXCLUDED_BYTES] = "excluded_bytes",
        [LOG_SKIPPED_BYTES] = "skipped_bytes",
        [LOG_DROPPED_LINE] = "dropped_by_rule",
        [LOG_DROPPED_KEEP] = "dropped_not_kept",
        [LOG_DROPPED_RATE] = "dropped_over_rate",
        [LOG_DROPPED_OLD] = "dropped_too_old",
        [LOG_DROPPED_BEHIND] = "dropped_behind_stream",
        [LOG_DROPPED_AHEAD] = "dropped_ahead_of_clock",
        [LOG_REDACTED] = "redacted",
        [LOG_JOINED] = "joined",
        [LOG_JOIN_SPLIT] = "joined_split",
        [LOG_CUT] = "truncated",
        [LOG_UNPARSED] = "unparsed",
    };
    return names[effect];
}
