/* cri.h - takes a line of a CRI container log apart: TIME STREAM TAGS TEXT.
 *
 * Source: the kubelet's CRI logging format (TIME is RFC 3339 with up to nine fraction digits and any offset;
 * STREAM stdout or stderr; TAGS P or F, more tags after colons; TEXT). A line without tags is a full line.
 * Pure functions, any thread.
 */
#ifndef NODE_AGENT_CRI_H
#define NODE_AGENT_CRI_H

#include "base/bytes.h"

enum cri_stream {
    CRI_STDOUT,
    CRI_STDERR,
    CRI_UNPARSED, /* of lines in no known format; cri_parse never returns it */
};
enum { CRI_STREAMS = 3 };

/* The last second seen, so that equal ones are not worked out again; zeroed at first. */
struct cri_clock {
    uint8_t text[19]; /* 2026-11-22T16:36:11 */
    int64_t seconds;
};

struct cri_line {
    int64_t time_ns;
    enum cri_stream stream;
    bool partial;      /* tag P: the next line of the stream goes on with it */
    struct bytes text; /* borrowed from the line */
};

/* cri_parse: line is without its newline. 0, or -EBADMSG: not in this format, or outside of 1970 to 2261. */
int cri_parse(struct cri_clock *clock, struct bytes line, struct cri_line *ret_line);

/* cri_parse_time: text is one whole time, as above. 0 or -EBADMSG. */
int cri_parse_time(struct cri_clock *clock, struct bytes text, int64_t *ret_ns);

/* cri_stream_name: "stdout", "stderr", "unknown". */
const char *cri_stream_name(enum cri_stream stream);

#endif
