/* multiline.h - which lines belong together: records of several lines, such as stack traces.
 *
 * What begins a record is told by an expression, or by presets that know how Java, Python, Go and JavaScript
 * write a trace; a preset keeps a line back only when a trace may begin with it. The answer depends on the
 * lines and their times alone, so that lines read again fall into the same records: a record ends where the
 * next line was written more than wait_ns after the one before, and at its bounds. Loop thread only (a
 * pattern is shared); the state belongs to one stream.
 */
#ifndef NODE_AGENT_MULTILINE_H
#define NODE_AGENT_MULTILINE_H

#include "node-agent/pattern.h"

#define MULTILINE_MARGIN_NS INT64_C(1000000000) /* a record is sent so long after wait_ns, by our clock */

enum multiline_preset { /* bits */
                        MULTILINE_JAVA = 1,
                        MULTILINE_PYTHON = 2,
                        MULTILINE_GO = 4,
                        MULTILINE_JAVASCRIPT = 8,
};

struct multiline {
    unsigned presets;      /* enum multiline_preset; 0 when start is set */
    struct pattern *start; /* owned; a line that matches begins a record, any other goes on with it */
    uint32_t max_lines;
    int64_t wait_ns;
};

enum multiline_state {
    MULTILINE_NONE,      /* a line that nothing follows */
    MULTILINE_ANY,       /* by the start expression */
    MULTILINE_INDENTED,  /* Java, JavaScript: frames may follow */
    MULTILINE_TRACEBACK, /* Python: frames, until a line that is not indented */
    MULTILINE_GROUP,     /* Python: an exception group, each line behind a bar */
    MULTILINE_RAISED,    /* Python: the error's line was seen; another trace may follow */
    MULTILINE_CHAINED,   /* Python: "During handling", a blank line, another Traceback */
    MULTILINE_PANIC,     /* Go: goroutines */
    MULTILINE_SOURCE,    /* Node.js: the place in the source, then the error */
};

/* multiline_preset_parse: of a name ("java", ...). 0: not one. */
unsigned multiline_preset_parse(const char *name);

/* multiline_begin: the state after a line that begins a record; MULTILINE_NONE: it is one by itself. */
enum multiline_state multiline_begin(const struct multiline *rule, struct bytes line);

/* multiline_goes_on: whether the line belongs to the record that is open in that state, which then is the
 * next one. */
bool multiline_goes_on(const struct multiline *rule, enum multiline_state *state, struct bytes line);

#endif
