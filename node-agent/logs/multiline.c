#include "node-agent/logs/multiline.h"

static bool starts(struct bytes line, const char *with)
{
    size_t len = strlen(with);
    return line.len >= len && memcmp(line.ptr, with, len) == 0;
}

static bool holds(struct bytes line, const char *what)
{
    return memmem(line.ptr, line.len, what, strlen(what)) != NULL;
}

static size_t indent_len(struct bytes line)
{
    size_t n = 0;
    while (n < line.len && (line.ptr[n] == ' ' || line.ptr[n] == '\t'))
        n++;
    return n;
}

static bool is_blank(struct bytes line)
{
    return indent_len(line) == line.len || (line.len == 1 && *line.ptr == '\r');
}

unsigned multiline_preset_parse(const char *name)
{
    static const char *const names[] = {"java", "python", "go", "javascript"};
    for (unsigned i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(name, names[i]) == 0)
            return 1u << i;
    return 0;
}

/* ---- Java and JavaScript: a message, then indented frames ---- */

/* A frame or what else stands indented in a trace: at .., ... 12 more, Suppressed:, Caused by:. */
static bool is_java_frame(struct bytes line)
{
    struct bytes text = bytes_skip(line, indent_len(line));
    if (starts(text, "Caused by:") || starts(text, "Suppressed:"))
        return true;
    if (text.len == line.len)
        return false;
    return starts(text, "at ") || starts(text, "...") || starts(text, "- locked ");
}

static bool is_javascript_frame(struct bytes line)
{
    struct bytes text = bytes_skip(line, indent_len(line));
    if (text.len == line.len) /* the end of the error's own fields */
        return starts(line, "}") || starts(line, "Caused by:");
    return text.len > 0;
}

/* Node.js names the place first: /app/index.js:3 */
static bool is_source_place(struct bytes line)
{
    size_t digits = 0;
    while (digits < line.len && line.ptr[line.len - 1 - digits] >= '0' &&
           line.ptr[line.len - 1 - digits] <= '9')
        digits++;
    return digits > 0 && digits < line.len && line.ptr[line.len - 1 - digits] == ':' &&
           (starts(line, "/") || starts(line, "file://") || starts(line, "node:"));
}

static bool is_error(struct bytes line)
{
    return holds(line, "Error") || holds(line, "Exception") || holds(line, "Throwable");
}

static bool goes_on_indented(const struct multiline *rule, struct bytes line)
{
    return ((rule->presets & MULTILINE_JAVA) && is_java_frame(line)) ||
           ((rule->presets & MULTILINE_JAVASCRIPT) && is_javascript_frame(line));
}

/* ---- Python ---- */

static bool is_traceback(struct bytes line)
{
    return starts(bytes_skip(line, indent_len(line)), "Traceback (most recent call last)");
}

static bool is_group(struct bytes line)
{
    return starts(bytes_skip(line, indent_len(line)), "+ Exception Group Traceback (most recent call last)");
}

/* The lines of an exception group stand behind a bar, or a rule of dashes with a plus before it. */
static bool is_of_group(struct bytes line)
{
    struct bytes text = bytes_skip(line, indent_len(line));
    return text.len < line.len && (starts(text, "|") || starts(text, "+-"));
}

static bool is_chain(struct bytes line)
{
    return starts(line, "During handling of the above exception") ||
           starts(line, "The above exception was the direct cause");
}

/* ---- Go ---- */

/* goroutine 12 [running]: */
static bool is_goroutine(struct bytes line)
{
    return starts(line, "goroutine ") && starts(bytes_skip(line, line.len - 2), "]:");
}

/* net/http writes it with the log package, which puts date and time, or what the program set, before it. */
static bool is_served_panic(struct bytes line)
{
    static const char mark[] = "http: panic serving ";
    enum { PREFIX_MAX = 64 };
    size_t look = PREFIX_MAX + sizeof mark - 1;
    return holds((struct bytes){line.ptr, line.len < look ? line.len : look}, mark);
}

static bool is_panic(struct bytes line)
{
    return starts(line, "panic: ") || starts(line, "fatal error: ") || starts(line, "runtime: ") ||
           is_goroutine(line) || is_served_panic(line);
}

/* pkg.Func(0x1, ...), with a path before it */
static bool is_go_call(struct bytes line)
{
    return line.len > 2 && line.ptr[line.len - 1] == ')' && holds(line, "(") && !holds(line, ": ") &&
           !memchr(line.ptr, ' ', (size_t)((uint8_t *)memchr(line.ptr, '(', line.len) - line.ptr));
}

static bool is_go_trace(struct bytes line)
{
    static const char *const heads[] = {"\t",  "goroutine ", "[signal ", "created by ",  "exit status ",
                                        "...", "panic(",     "rax ",     "[originating", "main."};
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++)
        if (starts(line, heads[i]))
            return true;
    return is_blank(line) || is_go_call(line);
}

/* ---- */

/* An empty line may have no pointer, which C lets nobody look at. */
static struct bytes pointed(struct bytes line)
{
    return line.ptr ? line : (struct bytes){(const uint8_t *)"", 0};
}

enum multiline_state multiline_begin(const struct multiline *rule, struct bytes line)
{
    line = pointed(line);
    if (rule->start)
        return MULTILINE_ANY;
    if ((rule->presets & MULTILINE_PYTHON) && is_traceback(line))
        return MULTILINE_TRACEBACK;
    if ((rule->presets & MULTILINE_PYTHON) && is_group(line))
        return MULTILINE_GROUP;
    if ((rule->presets & MULTILINE_GO) && is_panic(line))
        return MULTILINE_PANIC;
    if ((rule->presets & MULTILINE_JAVASCRIPT) && is_source_place(line))
        return MULTILINE_SOURCE;
    bool has_frames = rule->presets & (MULTILINE_JAVA | MULTILINE_JAVASCRIPT);
    return has_frames && (is_error(line) || goes_on_indented(rule, line)) ? MULTILINE_INDENTED
                                                                          : MULTILINE_NONE;
}

bool multiline_goes_on(const struct multiline *rule, enum multiline_state *state, struct bytes line)
{
    line = pointed(line);
    switch (*state) {
    case MULTILINE_NONE:
        return false;
    case MULTILINE_ANY:
        return !pattern_matches(rule->start, line);
    case MULTILINE_INDENTED:
        return goes_on_indented(rule, line);
    case MULTILINE_TRACEBACK:
        if (indent_len(line) == 0 && !is_blank(line))
            *state = MULTILINE_RAISED;
        return true;
    case MULTILINE_GROUP:
        if (is_chain(line))
            *state = MULTILINE_CHAINED;
        return is_chain(line) || is_of_group(line) || is_blank(line);
    case MULTILINE_RAISED:
        if (is_chain(line))
            *state = MULTILINE_CHAINED;
        return is_chain(line) || is_blank(line);
    case MULTILINE_CHAINED:
        if (is_traceback(line) || is_group(line))
            *state = is_group(line) ? MULTILINE_GROUP : MULTILINE_TRACEBACK;
        return *state != MULTILINE_CHAINED || is_blank(line);
    case MULTILINE_PANIC:
        return is_go_trace(line) || (is_panic(line) && !is_served_panic(line));
    case MULTILINE_SOURCE:
        if (is_error(line) && indent_len(line) == 0)
            *state = MULTILINE_INDENTED;
        return indent_len(line) > 0 || line.len == 0 || is_error(line) || goes_on_indented(rule, line);
    }
    return false;
}
