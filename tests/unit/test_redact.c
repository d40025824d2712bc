/* What is replaced and what is left alone. */
#include "tests/unit/unit.h"

#include <errno.h>

#include "node-agent/logs/redact.h"

static void expect(struct redact *redact, const char *text, const char *expected)
{
    struct buf out;
    unsigned count = 99;
    buf_init(&out, 4096);
    assert_int_equal(redact_apply(redact, bytes_of_string(text), &out, &count), 0);
    assert_int_equal(buf_append(&out, "", 1), 0);
    assert_string_equal(count ? (const char *)out.ptr : text, expected);
    assert_int_equal(out.len > 1, count > 0);
    buf_fini(&out);
}

static void expect_preset(const char *preset, const char *const rows[][2], size_t count)
{
    struct redact redact;
    assert_int_equal(redact_init_preset(&redact, preset, "#"), 0);
    for (size_t i = 0; i < count; i++)
        expect(&redact, rows[i][0], rows[i][1] ? rows[i][1] : rows[i][0]); /* NULL: nothing is found */
    redact_fini(&redact);
}
#define EXPECT(preset, rows) expect_preset(preset, rows, sizeof rows / sizeof *rows)

static void test_redact_replaces_card_numbers_with_a_right_check_digit(void **state)
{
    static const char *const rows[][2] = {
        {"card 4111111111111111 paid", "card # paid"},
        {"4111 1111 1111 1111", "#"},
        {"4111-1111-1111-1111,5555555555554444", "#,#"},
        {"378282246310005", "#"},                               /* 15 digits */
        {"2223003122003222", "#"},                              /* Mastercard's newer numbers */
        {"4222222222222", "#"},                                 /* 13 digits */
        {"4111111111111112", "4111111111111112"},               /* wrong check digit */
        {"41111111111111111111111", "41111111111111111111111"}, /* too long to be one */
        {"1763812345678901235", "1763812345678901235"},         /* a time in ns */
        {"4111  1111 1111 1111", "4111  1111 1111 1111"},       /* two spaces */
        {"2026 4111111111111111", "2026 #"},
        {"", ""},
        {"411111111111", "411111111111"},
        {"1 4111 1111 1111 1111 2", "1 # 2"},
        {"a-4111-1111-1111-1111-b", "a-#-b"},
        {"123456789012 ............ 5555555555554444", "123456789012 ............ #"},
        {"............4222222222222", "............#"},
    };
    (void)state;
    EXPECT("card", rows);
}

static void test_redact_replaces_mail_addresses(void **state)
{
    static const char *const rows[][2] = {
        {"from a.b+c@example.co.uk, to <x@y.org>", "from #, to <#>"},
        {"user@localhost", "user@localhost"},
        {"@example.com", "@example.com"},
        {"a@b@c.de a@b.c1 a@b..de", "a@# a@b.c1 a@b..de"},
        {"x@a.b.c.de1, y@mail.example.com.", "#1, #."},
        {"a@b.de,c@d.org", "#,#"},
        {"caf\xc3\xa9 a@b.de \xff", "caf\xc3\xa9 # \xff"},
    };
    (void)state;
    EXPECT("email", rows);
}

static void test_redact_replaces_credentials_and_keeps_their_names(void **state)
{
    static const char *const rows[][2] = {
        {"Authorization: Bearer abcdefgh.ijk_lm-n==", "Authorization: Bearer #"},
        {"authorization: basic dXNlcjpwYXNz x", "authorization: basic # x"},
        {"jwt eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl end", "jwt # end"},
        {"AKIAIOSFODNN7EXAMPLE", "#"},
        {"password=hunter2&user=x", "password=#&user=x"},
        {"{\"api_key\": \"abc123\", \"a\": 1}", "{\"api_key\": \"#\", \"a\": 1}"},
        {"{\\\"token\\\":\\\"abc123\\\"}", "{\\\"token\\\":\\\"#\\\"}"},
        {"postgres://user:s3cret@db:5432/x", "postgres://user:#@db:5432/x"},
        {"redis://:s3cret@cache:6379/0", "redis://:#@cache:6379/0"},
        {"amqp://u:p@ss:w@mq:5672/ up", "amqp://u:#@mq:5672/ up"},
        {"the password is long", "the password is long"},
        {"{\"password\": \"two words, here\", \"n\": 1}", "{\"password\": \"#\", \"n\": 1}"},
        {"token: Bearer abcdefghijkl end", "token: Bearer # end"},
        {"AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG", "AWS_SECRET_ACCESS_KEY=#"},
        {"secrets, tokens and passwords: none 1", "secrets, tokens and passwords: none 1"},
        {"ghp_0123456789abcdefghijklmnopqrstuvwxyz sk_live_0123456789abcdef", "# #"},
        {"key AIza0123456789abcdefghijklmnopqrstuvwxy xoxb-0123456789", "key # #"},
        {"BEARER abcdefgh12", "BEARER #"},
        {"eyJ", "eyJ"},
    };
    (void)state;
    EXPECT("token", rows);
}

/* Made up, in the forms that their issuers document. */
static void test_redact_knows_the_tokens_of_common_services(void **state)
{
    static const char *const rows[][2] = {
        {"a glrt-0123456789abcdefghij b gldt-0123456789abcdefghij", "a # b #"},
        {"glptt-0123456789abcdef0123456789abcdef01234567 x", "# x"},
        {"glpat-0123456789abcdefghij.01.0123456ab, x", "#, x"},
        {"xapp-1-A0123456789-0123456789-abcdef x", "# x"},
        {"to https://hooks.slack.com/services/T0AAAAAAA/B0AAAAAAA/0123456789abcdefghijklmn x",
         "to https://hooks.slack.com/services/# x"},
        {"rk_live_0123456789abcdef sk_test_0123456789abcdef", "# #"},
        {"sk-ant-api03-0123456789abcdef sk-proj-0123456789abcdef", "# #"},
        {"npm_0123456789abcdefghijklmnopqrstuvwxyz pypi-AgEIcHlwaS5vcmcCJDAx", "# #"},
        {"hvs.0123456789abcdefghijklmn x", "# x"},
        {"ya29.a0123456789abcdefghij x", "# x"},
        {"ABIAIOSFODNN7EXAMPLE ACCAIOSFODNN7EXAMPLE", "# #"},
        {"Authorization: token 0123456789abcdef x", "Authorization: token # x"},
        {"{\"authorization\":\"ApiKey 0123456789abcdef\"}", "{\"authorization\":\"ApiKey #\"}"},
        {"task-0123456789abcdefghijklmn disk-proj npm_config gldt- hvs.x", NULL},
        {"authorization: denied, token expired 123456789", NULL},
    };
    (void)state;
    EXPECT("token", rows);
}

static void test_redact_replaces_what_stands_behind_a_secrets_name(void **state)
{
    static const char *const rows[][2] = {
        {"SECRET_KEY=hunter2 x", "SECRET_KEY=# x"},
        {"{\"secretKey\":\"hunter2\"}", "{\"secretKey\":\"#\"}"},
        {"passphrase: hunter2", "passphrase: #"},
        {"Server=db;Uid=u;Pwd=hunter2;Encrypt=yes", "Server=db;Uid=u;Pwd=#;Encrypt=yes"},
        {"AccountKey=aGVsbG8vd29ybGQ=;x", "AccountKey=#;x"},
        {"{:password=>\"hunter2\", 'token' => 'hunter2'}", "{:password=>\"#\", 'token' => '#'}"},
        {"password:=hunter2 x", "password:=# x"},
        {"PWD=/home/app OLDPWD=/", NULL},
        {"if (password == null)", NULL},
    };
    (void)state;
    EXPECT("token", rows);
}

static void test_redact_replaces_passwords_in_urls_only(void **state)
{
    static const char *const rows[][2] = {
        {"{\"url\":\"redis://:pw@h\",\"to\":\"a@b.c\"}", "{\"url\":\"redis://:#@h\",\"to\":\"a@b.c\"}"},
        {"http://u:pw@h?to=a@b.c", "http://u:#@h?to=a@b.c"},
        {"smtp://me@example.org:pw@mail/x", "smtp://me@example.org:#@mail/x"},
        {"http://h:80/a@b ssh://git@h:22 a@b", NULL},
    };
    (void)state;
    EXPECT("token", rows);
}

static void test_redact_replaces_private_keys(void **state)
{
    static const char *const rows[][2] = {
        {"a -----BEGIN PRIVATE KEY-----\nMIIEvQ+/\nAb==\n-----END PRIVATE KEY-----\nb",
         "a -----BEGIN PRIVATE KEY-----#\nb"},
        {"-----BEGIN RSA PRIVATE KEY-----\\nProc-Type: 4,ENCRYPTED\\nDEK-Info: AES-128-CBC,00\\n\\nMII\\n"
         "-----END RSA PRIVATE KEY-----\\n b",
         "-----BEGIN RSA PRIVATE KEY-----#\\n b"},
        {"-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1r", "-----BEGIN OPENSSH PRIVATE KEY-----#"},
        {"Ab==\n-----END EC PRIVATE KEY-----\nall of this stays", NULL},
        {"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----", NULL},
        {"no private key found", NULL},
    };
    (void)state;
    EXPECT("token", rows);
}

/* The expressions' work for one match is bounded; what stands behind much else must be found all the same. */
static void test_redact_finds_what_stands_behind_a_long_line(void **state)
{
    static const char *const rows[][2] = {
        {"card", " 4111111111111111"}, {"email", " a@example.org"}, {"token", " password=hunter2"}};
    enum { LEN = 250000 };
    char *text = malloc(LEN + 64);
    (void)state;
    assert_non_null(text);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct redact redact;
        struct buf out;
        unsigned count = 0;
        memset(text, 'a', LEN);
        strcpy(text + LEN, rows[i][1]);
        buf_init(&out, LEN + 64);
        assert_int_equal(redact_init_preset(&redact, rows[i][0], NULL), 0);
        assert_int_equal(redact_apply(&redact, bytes_of_string(text), &out, &count), 0);
        assert_int_equal(count, 1);
        redact_fini(&redact);
        buf_fini(&out);
    }
    free(text);
}

static void test_redact_replaces_by_expression(void **state)
{
    struct redact redact;
    (void)state;
    assert_int_equal(redact_init(&redact, "id=\\K\\d+|x*", "?"), 0);
    expect(&redact, "id=1 id=22", "id=? id=?");
    expect(&redact, "\xc3\xa9xx\xc3\xa9", "\xc3\xa9?\xc3\xa9");
    expect(&redact, "", "");
    redact_fini(&redact);
    assert_int_equal(redact_init(&redact, "(", "?"), -EINVAL);
    redact_fini(&redact);
    assert_int_equal(redact_init_preset(&redact, "no such", NULL), -ENOENT);
}

static void test_redact_stops_at_the_limit_with_nothing_secret_in_it(void **state)
{
    struct redact redact;
    struct buf out;
    unsigned count;
    (void)state;
    assert_int_equal(redact_init(&redact, "s", "#######"), 0);
    buf_init(&out, 16);
    assert_int_equal(redact_apply(&redact, bytes_of_string("a s s s s s"), &out, &count), -EMSGSIZE);
    assert_int_equal(out.len, 16);
    assert_null(memchr(out.ptr, 's', out.len));
    buf_fini(&out);
    redact_fini(&redact);
}

static void test_redact_bounds_the_work_of_an_expression(void **state)
{
    struct redact redact;
    char text[4096];
    (void)state;
    memset(text, 'a', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    assert_int_equal(redact_init(&redact, "(a+)+b", "#"), 0);
    expect(&redact, text, text); /* would take longer than the universe is old */
    redact_fini(&redact);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_redact_replaces_card_numbers_with_a_right_check_digit),
        cmocka_unit_test(test_redact_replaces_mail_addresses),
        cmocka_unit_test(test_redact_replaces_credentials_and_keeps_their_names),
        cmocka_unit_test(test_redact_knows_the_tokens_of_common_services),
        cmocka_unit_test(test_redact_replaces_what_stands_behind_a_secrets_name),
        cmocka_unit_test(test_redact_replaces_passwords_in_urls_only),
        cmocka_unit_test(test_redact_replaces_private_keys),
        cmocka_unit_test(test_redact_finds_what_stands_behind_a_long_line),
        cmocka_unit_test(test_redact_replaces_by_expression),
        cmocka_unit_test(test_redact_stops_at_the_limit_with_nothing_secret_in_it),
        cmocka_unit_test(test_redact_bounds_the_work_of_an_expression),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
