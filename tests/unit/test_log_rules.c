/* What rules do to the lines of a log, from the file to the batch. */
#include "tests/unit/logs_fixture.h"

#include "node-agent/logs/log_policy.h"
#include "node-agent/logs/tail_log.h"

#define OTHER "kube-system_dns_uid-2/dns"
static const char *const any[] = {"*"};

static struct agent_log_rule rule_of(const char *name)
{
    return (struct agent_log_rule){.name = name,
                                   .redact_with = "",
                                   .multiline_start = "",
                                   .multiline_max_lines = 100,
                                   .multiline_wait_ms = 1000};
}

static struct conf_strings strings(const char **items, size_t count)
{
    return (struct conf_strings){items, count};
}
#define STRINGS(...)                                                                                         \
    strings((const char *[]){__VA_ARGS__}, sizeof((const char *[]){__VA_ARGS__}) / sizeof(const char *))

static void use(struct fixture *f, struct agent_log_rule *rules, size_t count)
{
    f->config.logs.rules = (struct conf_list){rules, count};
}

static int64_t by_rule(struct fixture *f, const char *name, const char *effect)
{
    return stats_get(stats_cell(f->stats, AGENT_LOG_RULE_LINES, name, effect));
}

/* Puts stdout lines that share their time to the second, ms after each other. */
static void put_at(const struct fixture *f, const char *name, int64_t second, int ms, const char *text)
{
    char line[512], stamp[32];
    time_t seconds = (time_t)second;
    struct tm tm;
    strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%S", gmtime_r(&seconds, &tm));
    int len = snprintf(line, sizeof line, "%s.%03dZ stdout F %s\n", stamp, ms, text);
    put_bytes(f, name, line, (size_t)len);
}

/* ---- single lines ---- */

static void test_rules_drop_and_keep_lines(void **state)
{
    struct fixture *f = *state;
    struct agent_log_rule rules[] = {rule_of("probes"), rule_of("errors")};
    rules[0].drop_lines = STRINGS("GET /healthz", "^debug");
    rules[1].namespaces = STRINGS("kube-*");
    rules[1].keep_lines = STRINGS("error");
    use(f, rules, 2);
    put(f, POD "/0.log", "stdout F GET /healthz 200");
    put(f, POD "/0.log", "stdout F GET / 200");
    put(f, POD "/0.log", "stderr F debug: x");
    start(f);
    expect(f, "stdout|GET / 200\n");
    put(f, OTHER "/0.log", "stdout F fine");
    put(f, OTHER "/0.log", "stdout F an error");
    expect(f, "stdout|GET / 200\nstdout|an error\n");
    assert_int_equal(dropped(f, "rule"), 3);
    assert_int_equal(by_rule(f, "probes", "dropped"), 2);
    assert_int_equal(by_rule(f, "errors", "dropped"), 1);
}

static void test_rules_redact_in_their_order_and_count_lines(void **state)
{
    struct fixture *f = *state;
    struct agent_log_rule rules[] = {rule_of("private"), rule_of("names")};
    rules[0].redact_presets = STRINGS("card", "email");
    rules[1].redact = STRINGS("name=\\K\\w+");
    use(f, rules, 2);
    put(f, POD "/0.log", "stdout F name=bob a@b.de 4111111111111111 a@b.de");
    put(f, POD "/0.log", "stdout F nothing");
    start(f);
    expect(f, "stdout|name=[redacted] [redacted:email] [redacted:card] [redacted:email]\nstdout|nothing\n");
    assert_int_equal(by_rule(f, "private", "redacted"), 1);
    assert_int_equal(by_rule(f, "names", "redacted"), 1);
}

static void test_rules_cut_what_a_replacement_makes_too_long(void **state)
{
    struct fixture *f = *state;
    struct agent_log_rule rules[] = {rule_of("long")};
    char line[4096 + 32];
    rules[0].redact = STRINGS("a");
    rules[0].redact_with = "0123456789";
    use(f, rules, 1);
    int head = snprintf(line, sizeof line, "stdout F ");
    memset(line + head, 'a', 4000);
    line[head + 4000] = '\0';
    put(f, POD "/0.log", line);
    start(f);
    take_all(f);
    assert_int_equal(strlen(f->got), strlen("stdout|\n") + 4096);
    assert_non_null(strstr(f->got, LOGTEXT_MARK "\n"));
    assert_null(strstr(f->got, "aa"));
}

static void test_rules_keep_lines_apart_that_redaction_makes_equal(void **state)
{
    struct fixture *f = *state;
    struct agent_log_rule rules[] = {rule_of("digits")};
    int64_t now = clock_wall_ns() / 1000000000;
    rules[0].redact = STRINGS("\\d+");
    use(f, rules, 1);
    put_at(f, POD "/0.log", now, 5, "user 1");
    put_at(f, POD "/0.log", now, 5, "user 22");
    start(f);
    take_all(f);
    assert_int_equal(logs_save(f->logs), 0);
    stop(f);
    put_at(f, POD "/0.log", now, 5, "user 333"); /* what it is compared with was sent before the restart */
    start(f);
    expect(f, "stdout|user [redacted]\nstdout|user [redacted]\nstdout|user [redacted]\n");
    for (int i = 0; i < 3; i++)
        assert_int_equal(f->times[i], now * 1000000000 + 5000000 + i);
}

static void test_rules_limit_the_rate_by_the_lines_own_times(void **state)
{
    struct fixture *f = *state;
    struct agent_log_rule rules[] = {rule_of("slow")};
    int64_t now = clock_wall_ns() / 1000000000;
    rules[0].rate_lines = 2;
    use(f, rules, 1);
    for (int i = 0; i < 5; i++)
        put_at(f, POD "/0.log", now - 10, i, "burst");
    put_at(f, POD "/0.log", now - 9, 4, "later");
    put_at(f, POD "/0.log", now - 9, 5, "later");
    put_at(f, POD "/0.log", now - 9, 6, "too much");
    start(f);
    expect(f, "stdout|burst\nstdout|burst\nstdout|later\nstdout|later\n");
    assert_int_equal(dropped(f, "rate"), 4);
    assert_int_equal(by_rule(f, "slow", "limited"), 4);
}

static void test_rules_send_levels_and_metadata_with_lines(void **state)
{
    struct fixture *f = *state;
    char expected[512];
    struct agent_log_rule rules[] = {rule_of("levels")};
    rules[0].detect_level = true;
    use(f, rules, 1);
    f->config.logs.metadata = STRINGS("filename", "pod_uid", "restart_count");
    put(f, POD "/3.log", "stdout F level=warn x");
    put(f, POD "/3.log", "stdout F plain");
    start(f);
    expect(f, "stdout|level=warn x\nstdout|plain\n");
    char file[192];
    snprintf(file, sizeof file, "filename=%s/" POD "/3.log;pod_uid=uid-1;restart_count=3;", f->pods);
    snprintf(expected, sizeof expected, "%slevel=warn;\n%s\n", file, file);
    assert_string_equal(f->metadata, expected);
}

/* ---- whole logs ---- */

static void test_rules_exclude_logs_and_the_first_decides(void **state)
{
    struct fixture *f = *state;
    struct agent_log_rule rules[] = {rule_of("keep-dns"), rule_of("no-system")};
    rules[0].containers = STRINGS("dns");
    rules[0].action = AGENT_LOG_KEEP;
    rules[1].namespaces = STRINGS("kube-*", "demo");
    rules[1].action = AGENT_LOG_DROP;
    use(f, rules, 2);
    put(f, POD "/0.log", "stdout F unwanted");
    put(f, OTHER "/0.log", "stdout F wanted");
    start(f);
    expect(f, "stdout|wanted\n");
    assert_true(stats_get(stats_cell(f->stats, AGENT_LOG_EXCLUDED_BYTES)) > 0);
    assert_int_equal(stats_get(stats_cell(f->stats, AGENT_DROPPED_RECORDS, "logs", "rule")), 0);
}

static void set_pod(struct fixture *f, const char *label, const char *exclude)
{
    struct assignment_label labels[] = {
        {(char *)(uintptr_t) "app.kubernetes.io/name", (char *)(uintptr_t)label}};
    struct assignment_label annotations[] = {
        {(char *)(uintptr_t)PODFACTS_EXCLUDE, (char *)(uintptr_t)exclude}};
    struct assignment_pod pod = {.uid = (char *)(uintptr_t) "uid-1",
                                 .labels = labels,
                                 .label_count = 1,
                                 .annotations = annotations,
                                 .annotation_count = exclude ? 1 : 0};
    struct assignment assignment = {.pods = &pod, .pod_count = 1};
    logs_set_pods(f->logs, &assignment);
}

static void test_rules_heed_the_annotation_as_soon_as_it_is_known(void **state)
{
    struct fixture *f = *state;
    put(f, POD "/0.log", "stdout F before");
    start(f);
    expect(f, "stdout|before\n");
    put(f, POD "/0.log", "stdout P half a ");
    take_all(f);
    set_pod(f, "web", "true");
    put(f, POD "/0.log", "stdout F line");
    put(f, POD "/0.log", "stdout F unwanted");
    expect(f, "stdout|before\n");
    set_pod(f, "web", "false");
    put(f, POD "/0.log", "stdout F after");
    expect(f, "stdout|before\nstdout|after\n");
}

static void test_rules_select_by_pod_label_and_put_labels_on_streams(void **state)
{
    struct fixture *f = *state;
    struct conf_pair wanted[] = {{"app.kubernetes.io/name", "we*"}};
    struct agent_log_rule rules[] = {rule_of("web")};
    rules[0].pod_labels = (struct conf_map){wanted, 1};
    rules[0].drop_lines = STRINGS("noise");
    use(f, rules, 1);
    f->config.logs.pod_labels = STRINGS("app.kubernetes.io/name");
    f->config.logs.node_label = true;
    put(f, POD "/0.log", "stdout F noise");
    start(f);
    expect(f, "stdout|noise\n");
    set_pod(f, "web", NULL);
    put(f, POD "/0.log", "stdout F noise");
    put(f, POD "/0.log", "stdout F music");
    expect(f, "stdout|noise\nstdout|music\n");
    assert_string_equal(f->labels, "{app_kubernetes_io_name=\"web\", container=\"web\", job=\"demo/web-1\", "
                                   "namespace=\"demo\", node=\"node-1\", pod=\"web-1\", stream=\"stdout\"}");
}

static void test_rules_hold_logs_over_the_bound_on_streams_and_name_the_label(void **state)
{
    struct fixture *f = *state;
    char name[64];
    f->config.logs.max_streams = 5;
    for (int i = 0; i < 3; i++) {
        snprintf(name, sizeof name, "demo_web-%d_uid-%d/web/0.log", i, i);
        put(f, name, "stdout F x");
        put(f, name, "stderr F y");
    }
    start(f);
    take_all(f);
    assert_int_equal(f->count, 4);
    assert_int_equal(stats_get(stats_cell(f->stats, AGENT_LOG_HELD)), 1);
    assert_int_equal(stats_get(stats_cell(f->stats, AGENT_LOG_STREAMS)), 4);
}

static void test_rules_name_the_label_with_the_most_values(void **state)
{
    static const char *const pods[] = {"a_x_1", "a_y_2", "b_y_3"};
    struct tail_log *logs[3];
    struct conf_map none = {0};
    char name[64];
    size_t values;
    (void)state;
    for (int i = 0; i < 3; i++)
        assert_int_equal(tail_log_new("/x", pods[i], "\"c,=", 0, &none, 1024, &logs[i]), 0);
    log_policy_worst_label(logs, 3, name, sizeof name, &values);
    assert_string_equal(name, "job");
    assert_int_equal(values, 3);
    log_policy_worst_label(logs, 2, name, sizeof name, &values);
    assert_string_equal(name, "pod");
    assert_int_equal(values, 2);
    log_policy_worst_label(logs, 0, name, sizeof name, &values);
    assert_int_equal(values, 0);
    for (int i = 0; i < 3; i++)
        tail_log_free(logs[i]);
}

/* ---- records of several lines ---- */

static const char trace[] = "stdout|Traceback (most recent call last):\n  File \"a.py\"\nValueError: no\n";

static struct agent_log_rule python(void)
{
    struct agent_log_rule rule = rule_of("python");
    static const char *preset[] = {"python"};
    rule.multiline = strings(preset, 1);
    rule.multiline_wait_ms = 60000;
    return rule;
}

static void put_trace(const struct fixture *f, const char *name)
{
    put(f, name, "stdout F Traceback (most recent call last):");
    put(f, name, "stdout F   File \"a.py\"");
    put(f, name, "stdout F ValueError: no");
}

static void test_rules_join_lines_into_one_record(void **state)
{
    struct fixture *f = *state;
    char expected[512];
    struct agent_log_rule rules[] = {python()};
    use(f, rules, 1);
    put(f, POD "/0.log", "stdout F before");
    put_trace(f, POD "/0.log");
    put(f, POD "/0.log", "stderr F other");
    start(f);
    take_all(f);
    assert_string_equal(f->got, "stdout|before\nstderr|other\n"); /* more of the trace may come */
    put(f, POD "/0.log", "stdout F after");
    snprintf(expected, sizeof expected, "stdout|before\nstderr|other\n%sstdout|after\n", trace);
    expect(f, expected);
    assert_int_equal(stats_get(stats_cell(f->stats, AGENT_LOG_JOINED)), 2);
}

static void test_rules_keep_an_open_record_across_a_restart(void **state)
{
    struct fixture *f = *state;
    char expected[512];
    struct agent_log_rule rules[] = {python()};
    use(f, rules, 1);
    put(f, POD "/0.log", "stdout F before");
    put(f, POD "/0.log", "stdout F Traceback (most recent call last):");
    put(f, POD "/0.log", "stderr F other");
    start(f);
    take_all(f);
    assert_int_equal(logs_save(f->logs), 0);
    stop(f);
    put(f, POD "/0.log", "stdout F   File \"a.py\"");
    put(f, POD "/0.log", "stdout P Value");
    start(f);
    take_all(f);
    assert_int_equal(logs_save(f->logs), 0);
    stop(f);
    put(f, POD "/0.log", "stdout F Error: no");
    put(f, POD "/0.log", "stdout F after");
    start(f);
    snprintf(expected, sizeof expected, "stdout|before\nstderr|other\n%sstdout|after\n", trace);
    expect(f, expected);
}

static void test_rules_join_a_record_across_a_rotation(void **state)
{
    struct fixture *f = *state;
    char from[PATH_MAX], to[PATH_MAX], expected[512];
    struct agent_log_rule rules[] = {python()};
    use(f, rules, 1);
    put(f, POD "/0.log", "stdout F Traceback (most recent call last):");
    start(f);
    take_all(f);
    path_of(f, POD "/0.log", from);
    path_of(f, POD "/0.log.20260101-000000", to);
    assert_int_equal(rename(from, to), 0);
    put(f, POD "/0.log", "stdout P   File ");
    take_all(f);
    put(f, POD "/0.log", "stdout F \"a.py\"");
    put(f, POD "/0.log", "stdout F ValueError: no");
    put(f, POD "/0.log", "stdout F after");
    snprintf(expected, sizeof expected, "%sstdout|after\n", trace);
    expect(f, expected);
    assert_int_equal(logs_save(f->logs), 0);
    stop(f);
    start(f); /* all of it was committed */
    expect(f, expected);
}

static void lose_buffer(struct fixture *f)
{
    struct wire_resume_reply resumed = {.answer = WIRE_COMMITTED};
    f->buffer = "buffer-2";
    snprintf(resumed.buffer_id, sizeof resumed.buffer_id, "%s", f->buffer);
    f->source.resumed(f->source.ctx, &resumed, false, NULL);
}

static void test_rules_make_the_same_records_when_lines_are_read_again(void **state)
{
    struct fixture *f = *state;
    char first[4096];
    int64_t times[16];
    struct agent_log_rule rules[] = {python()};
    use(f, rules, 1);
    put_trace(f, POD "/0.log");
    put(f, POD "/0.log", "stdout F after");
    put_trace(f, POD "/0.log");
    put(f, POD "/0.log", "stdout F after");
    start(f);
    take_all(f);
    assert_int_equal(f->count, 4);
    assert_true(strlen(f->got) < sizeof first);
    memcpy(first, f->got, strlen(f->got) + 1);
    memcpy(times, f->times, sizeof times);
    f->got[0] = '\0';
    f->count = 0;
    lose_buffer(f);
    take_all(f);
    assert_string_equal(f->got, first);
    assert_memory_equal(times, f->times, 4 * sizeof *times);
}

static void test_rules_end_a_record_by_time_as_written(void **state)
{
    struct fixture *f = *state;
    int64_t now = clock_wall_ns() / 1000000000;
    struct agent_log_rule rules[] = {rule_of("start")};
    rules[0].multiline_start = "^start";
    use(f, rules, 1);
    put_at(f, POD "/0.log", now - 100, 0, "start");
    put_at(f, POD "/0.log", now - 100, 900, "soon");
    put_at(f, POD "/0.log", now - 98, 0, "later");
    put_at(f, POD "/0.log", now - 98, 1, "start");
    start(f);
    expect(f, "stdout|start\nsoon\nstdout|later\n");
}

static void test_rules_send_a_record_that_nothing_follows(void **state)
{
    struct fixture *f = *state;
    struct agent_log_rule rules[] = {rule_of("start")};
    rules[0].multiline_start = "^start";
    rules[0].multiline_wait_ms = 10;
    use(f, rules, 1);
    put(f, POD "/0.log", "stdout F start");
    start(f);
    int64_t began_ns = clock_mono_ns();
    while (f->count == 0 && clock_mono_ns() - began_ns < INT64_C(20) * 1000000000)
        take_all(f);
    assert_string_equal(f->got, "stdout|start\n");
    assert_true(clock_mono_ns() - began_ns >= MULTILINE_MARGIN_NS);
}

static void test_rules_split_a_record_at_its_bounds_and_lose_nothing(void **state)
{
    struct fixture *f = *state;
    struct agent_log_rule rules[] = {python()};
    char text[3072 + 32];
    rules[0].multiline_max_lines = 3;
    use(f, rules, 1);
    put(f, POD "/0.log", "stdout F Traceback (most recent call last):");
    for (int i = 0; i < 4; i++)
        put(f, POD "/0.log", "stdout F   x");
    put(f, POD "/0.log", "stdout F E");
    put(f, POD "/0.log", "stdout F after");
    start(f);
    expect(f, "stdout|Traceback (most recent call last):\n  x\n  x\nstdout|  x\n  x\nE\nstdout|after\n");
    int head = snprintf(text, sizeof text, "stdout F   ");
    memset(text + head, 'y', 3000);
    text[head + 3000] = '\0';
    put(f, POD "/0.log", "stdout F Traceback (most recent call last):");
    put(f, POD "/0.log", text);
    put(f, POD "/0.log", text);
    put(f, POD "/0.log", "stdout F E");
    put(f, POD "/0.log", "stdout F after");
    take_all(f);
    assert_int_equal(f->count, 6);
    assert_null(strstr(f->got, LOGTEXT_MARK));
}

static void test_rules_run_on_whole_records(void **state)
{
    struct fixture *f = *state;
    struct agent_log_rule rules[] = {python(), rule_of("drop")};
    rules[1].drop_lines = STRINGS("ValueError");
    use(f, rules, 2);
    put_trace(f, POD "/0.log");
    put(f, POD "/0.log", "stdout F after");
    start(f);
    expect(f, "stdout|after\n");
    assert_int_equal(dropped(f, "rule"), 1);
}

/* ---- the configuration ---- */

static void test_rules_name_a_wrong_expression(void **state)
{
    struct fixture *f = *state;
    struct agent_log_rule rules[] = {rule_of("good"), rule_of("bad")};
    struct log_rules *compiled;
    struct buf errors;
    rules[1].keep_lines = STRINGS("a", "(b");
    use(f, rules, 2);
    buf_init(&errors, 4096);
    assert_int_equal(log_rules_new("agent.yaml", &f->config, NULL, &errors, &compiled), -EINVAL);
    assert_int_equal(buf_append(&errors, "", 1), 0);
    assert_string_equal((const char *)errors.ptr,
                        "agent.yaml: logs.rules[1].keep_lines: not a regular expression: (b\n");
    buf_fini(&errors);
}

static void test_rules_without_a_match_make_no_plan(void **state)
{
    struct fixture *f = *state;
    struct agent_log_rule rules[] = {rule_of("pods"), rule_of("paths")};
    struct log_rules *compiled;
    struct log_plan *plan;
    struct podpath path;
    struct buf errors;
    rules[0].namespaces = strings((const char **)(uintptr_t)any, 1);
    rules[1].paths = STRINGS("/var/log/*");
    use(f, rules, 2);
    buf_init(&errors, 4096);
    assert_int_equal(log_rules_new("", &f->config, f->stats, &errors, &compiled), 0);
    struct log_subject subject = {NULL, "", "/srv/log", NULL};
    assert_int_equal(log_rules_plan(compiled, &subject, &plan), 0);
    assert_null(plan);
    subject.path = "/var/log/syslog";
    assert_int_equal(log_rules_plan(compiled, &subject, &plan), 0);
    assert_int_equal(plan->count, 1); /* a rule that selects by namespace is not for host files */
    free(plan);
    assert_int_equal(podpath_parse_folder("demo_web_1", &path), 0);
    subject = (struct log_subject){&path, "web", "/x", NULL};
    assert_int_equal(log_rules_plan(compiled, &subject, &plan), 0);
    assert_int_equal(plan->count, 1);
    free(plan);
    log_rules_free(compiled);
    buf_fini(&errors);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_rules_drop_and_keep_lines),
        TEST(test_rules_redact_in_their_order_and_count_lines),
        TEST(test_rules_cut_what_a_replacement_makes_too_long),
        TEST(test_rules_keep_lines_apart_that_redaction_makes_equal),
        TEST(test_rules_limit_the_rate_by_the_lines_own_times),
        TEST(test_rules_send_levels_and_metadata_with_lines),
        TEST(test_rules_exclude_logs_and_the_first_decides),
        TEST(test_rules_heed_the_annotation_as_soon_as_it_is_known),
        TEST(test_rules_select_by_pod_label_and_put_labels_on_streams),
        TEST(test_rules_hold_logs_over_the_bound_on_streams_and_name_the_label),
        cmocka_unit_test(test_rules_name_the_label_with_the_most_values),
        TEST(test_rules_join_lines_into_one_record),
        TEST(test_rules_keep_an_open_record_across_a_restart),
        TEST(test_rules_join_a_record_across_a_rotation),
        TEST(test_rules_make_the_same_records_when_lines_are_read_again),
        TEST(test_rules_end_a_record_by_time_as_written),
        TEST(test_rules_send_a_record_that_nothing_follows),
        TEST(test_rules_split_a_record_at_its_bounds_and_lose_nothing),
        TEST(test_rules_run_on_whole_records),
        TEST(test_rules_name_a_wrong_expression),
        TEST(test_rules_without_a_match_make_no_plan),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
