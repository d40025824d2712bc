/* fuzz_log_rules.c - lines through joining, rules with every preset, and the level: bounded, and nothing that
 * is a card number left. */
#include <stdlib.h>

#include "node-agent/logs/level.h"
#include "node-agent/logs/log_rules.h"
#include "node-agent/logs/logtext.h"
#include "node-agent/logs/redact.h"
#include "node-agent/logs/redact_find.h"
#include "node-agent/metrics.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MAX_LINE = 1024 };

static void check(int holds)
{
    if (!holds)
        abort();
}

static struct log_rules *make_rules(struct log_plan **ret_plan)
{
    static const char *presets[] = {"card"}, *more[] = {"email", "token"}, *globs[] = {"*"};
    static const char *multiline[] = {"java", "python", "go", "javascript"}, *redact[] = {"a+\\K\\d", "x*"};
    static struct agent_log_rule rules[2];
    static struct agent_config config;
    struct log_rules *compiled;
    struct buf errors;
    rules[0] = (struct agent_log_rule){.name = "one",
                                       .paths = {globs, 1},
                                       .redact_with = "",
                                       .redact = {redact, 2},
                                       .redact_presets = {more, 2},
                                       .multiline = {multiline, 4},
                                       .multiline_start = "",
                                       .multiline_max_lines = 10,
                                       .multiline_wait_ms = 1,
                                       .detect_level = true};
    rules[1] = (struct agent_log_rule){
        .name = "two", .redact_with = "#", .multiline_start = "", .redact_presets = {presets, 1}};
    config.logs.max_line_bytes = MAX_LINE;
    config.logs.rules = (struct conf_list){rules, 2};
    buf_init(&errors, 4096);
    struct log_subject subject = {.container = "", .path = "/x"};
    check(log_rules_new("", &config, agent_metrics_new(), &errors, &compiled) == 0);
    check(log_rules_plan(compiled, &subject, ret_plan) == 0 && *ret_plan);
    buf_fini(&errors);
    return compiled;
}

static void take_line(struct log_rules *rules, struct log_plan *plan, struct bytes text)
{
    struct log_tally tally = {0};
    struct log_line line = {.text = text};
    size_t begin, end;
    check(log_rules_apply(rules, plan, &line, &tally));
    check(line.text.len <= MAX_LINE);
    check(line.level < LEVELS && level_name(line.level));
    check(line.is_cut || !redact_find_card(line.text, 0, &begin, &end));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct log_rules *rules;
    static struct log_plan *plan;
    const uint8_t *end = data + size;
    enum multiline_state state = MULTILINE_NONE;
    if (!rules)
        rules = make_rules(&plan);
    for (const uint8_t *p = data, *next; p < end; p = next) {
        const uint8_t *newline = memchr(p, '\n', (size_t)(end - p));
        struct bytes line = {p, (size_t)((newline ? newline : end) - p)};
        struct buf clean;
        next = newline ? newline + 1 : end;
        line.len = line.len > MAX_LINE ? MAX_LINE : line.len;
        if (!multiline_goes_on(plan->multiline, &state, line))
            state = multiline_begin(plan->multiline, line);
        buf_init(&clean, 3 * MAX_LINE + 3);
        check(logtext_repair(line, &clean) == 0);
        clean.len = clean.len > MAX_LINE ? logtext_cut_len(buf_bytes(&clean), MAX_LINE) : clean.len;
        take_line(rules, plan, buf_bytes(&clean));
        buf_fini(&clean);
    }
    return 0;
}
