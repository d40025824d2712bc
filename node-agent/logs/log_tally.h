/* log_tally.h - what became of the lines of one log file, by cause, since this agent began to read it.
 *
 * Counted once more when lines are read again after a rewind. Plain values: loop thread only.
 */
#ifndef NODE_AGENT_LOG_TALLY_H
#define NODE_AGENT_LOG_TALLY_H

#include <stdint.h>

enum log_effect {
    LOG_SENT,           /* lines (joined ones once) that went into batches */
    LOG_EXCLUDED_BYTES, /* bytes passed over because the whole log is excluded */
    LOG_SKIPPED_BYTES,  /* bytes before where read_from has a log begin */
    LOG_DROPPED_LINE,   /* matched an expression of drop_lines */
    LOG_DROPPED_KEEP,   /* matched none of keep_lines */
    LOG_DROPPED_RATE,   /* over the container's rate */
    LOG_DROPPED_OLD,    /* older than the backend takes */
    LOG_DROPPED_BEHIND, /* too far behind their stream's newest */
    LOG_DROPPED_AHEAD,  /* too far ahead of this machine's clock */
    LOG_REDACTED,       /* lines of which something was replaced */
    LOG_JOINED,         /* lines that became part of the one before them */
    LOG_JOIN_SPLIT,     /* joined lines that ended at a bound */
    LOG_CUT,            /* lines cut at max_line_bytes */
    LOG_UNPARSED,       /* lines in no known format */
    LOG_EFFECTS
};

struct log_tally {
    uint64_t counts[LOG_EFFECTS];
    const char *rule; /* borrowed from the configuration; name of the rule that dropped or excluded last */
};

/* log_tally_name: "sent", "dropped_by_rule" and so on, for people and JSON. */
const char *log_tally_name(enum log_effect effect);

#endif
