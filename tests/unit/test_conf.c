/* test_conf.c - the option table reads, refuses, prints and documents what conf.h says. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/conf/conf.h"

struct door {
    const char *name;
    int64_t width;
};

struct house {
    const char *name, *password;
    bool lit;
    int64_t floors, wait_ms, area_bytes;
    int colour;
    struct conf_strings rooms;
    struct conf_map labels, headers;
    struct {
        const char *street;
        int64_t number;
    } address;
    struct conf_list doors; /* of struct door */
};

#define AT(field) offsetof(struct house, field)
static const char *const colours[] = {"red", "green", "blue", NULL};
static const struct conf_option address_options[] = {
    {"street", CONF_STRING, AT(address.street) - AT(address), "Main | Street", .help = "Where."},
    {"number", CONF_INT, AT(address.number) - AT(address), "${HOUSE_NUMBER:-7}", 1, 99, .help = "Which."},
    {0},
};
static const struct conf_option door_options[] = {
    {"name", CONF_STRING, offsetof(struct door, name), NULL, .help = "The door's name."},
    {"width", CONF_INT, offsetof(struct door, width), "80", 0, 0, .help = "In cm."},
    {0},
};
static const struct conf_option house_options[] = {
    {"name", CONF_STRING, AT(name), "nameless", .help = "The name."},
    {"password", CONF_SECRET, AT(password), "", .help = "Secret."},
    {"lit", CONF_BOOL, AT(lit), "false", .help = "Light."},
    {"floors", CONF_INT, AT(floors), "2", -3, 64, .help = "Floors."},
    {"wait", CONF_DURATION, AT(wait_ms), "1m30s", 100, 7200000, .help = "Wait."},
    {"area", CONF_SIZE, AT(area_bytes), "64KiB", 1024, INT64_C(1) << 40, .help = "Area."},
    {"colour", CONF_ENUM, AT(colour), "green", .names = colours, .help = "Colour."},
    {"rooms", CONF_STRINGS, AT(rooms), .form = "^[^B]+$", .example = "bath", .help = "Rooms."},
    {"labels", CONF_MAP, AT(labels), .help = "Labels."},
    {"headers", CONF_MAP, AT(headers), .secret = true, .help = "Headers."},
    {"address", CONF_SECTION, AT(address), .options = address_options, .help = "Address."},
    {"doors", CONF_LIST, AT(doors), .options = door_options, .size = sizeof(struct door), .help = "Doors."},
    {0},
};

struct reading {
    struct house house;
    struct conf_memory *memory;
    struct buf errors;
    int err;
};

/* The text's reading; the errors end in a NUL. Call end_reading. */
static struct reading read_text(const char *text)
{
    struct reading r = {.memory = NULL};
    buf_init(&r.errors, 1 << 16);
    memset(&r.house, 0xa5, sizeof r.house);
    r.err = conf_parse("h.yaml", bytes_of_string(text), house_options, &r.house, &r.memory, &r.errors);
    assert_int_equal(buf_append(&r.errors, "", 1), 0);
    return r;
}

static const char *errors_of(const struct reading *r)
{
    return (const char *)r->errors.ptr;
}

static void end_reading(struct reading *r)
{
    conf_free(r->memory);
    buf_fini(&r->errors);
}

static struct reading read_good(const char *text)
{
    struct reading r = read_text(text);
    assert_string_equal(errors_of(&r), "");
    assert_int_equal(r.err, 0);
    return r;
}

static void test_empty_file_gives_the_defaults(void **state)
{
    (void)state;
    const char *const texts[] = {"", "# nothing\n", "---\n", "~\n", "address:\ndoors:\nlabels:\nrooms: ~\n"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct reading r = read_good(texts[i]);
        assert_string_equal(r.house.name, "nameless");
        assert_string_equal(r.house.password, "");
        assert_false(r.house.lit);
        assert_int_equal(r.house.floors, 2);
        assert_int_equal(r.house.wait_ms, 90000);
        assert_int_equal(r.house.area_bytes, 65536);
        assert_int_equal(r.house.colour, 1);
        assert_int_equal(r.house.rooms.count, 0);
        assert_int_equal(r.house.labels.count, 0);
        assert_string_equal(r.house.address.street, "Main | Street");
        assert_int_equal(r.house.address.number, 7);
        assert_int_equal(r.house.doors.count, 0);
        end_reading(&r);
    }
}

static void test_every_type_is_read(void **state)
{
    (void)state;
    struct reading r = read_good("name: true\n"
                                 "password: 'a b'\n"
                                 "lit: true\n"
                                 "floors: -3\n"
                                 "wait: 2h\n"
                                 "area: \"2MiB\"\n"
                                 "colour: blue\n"
                                 "rooms: [kitchen, 12, \"\"]\n"
                                 "labels: {b: 1, a: 'x: y'}\n"
                                 "address: {number: 5}\n"
                                 "doors:\n"
                                 "  - name: front\n"
                                 "  - {name: back, width: 0}\n");
    assert_string_equal(r.house.name, "true");
    assert_string_equal(r.house.password, "a b");
    assert_true(r.house.lit);
    assert_int_equal(r.house.floors, -3);
    assert_int_equal(r.house.wait_ms, 7200000);
    assert_int_equal(r.house.area_bytes, 2 << 20);
    assert_int_equal(r.house.colour, 2);
    assert_int_equal(r.house.rooms.count, 3);
    assert_string_equal(r.house.rooms.items[1], "12");
    assert_string_equal(r.house.rooms.items[2], "");
    assert_int_equal(r.house.labels.count, 2);
    assert_string_equal(r.house.labels.items[0].key, "b");
    assert_string_equal(r.house.labels.items[1].value, "x: y");
    assert_string_equal(r.house.address.street, "Main | Street");
    assert_int_equal(r.house.address.number, 5);
    const struct door *doors = r.house.doors.items;
    assert_int_equal(r.house.doors.count, 2);
    assert_string_equal(doors[0].name, "front");
    assert_int_equal(doors[0].width, 80);
    assert_int_equal(doors[1].width, 0);
    end_reading(&r);
}

static void test_each_mistake_is_named_with_its_place_and_a_remedy(void **state)
{
    (void)state;
    static const struct {
        const char *text, *error;
    } cases[] = {
        {"nmae: x", "1:1: nmae: unknown key; did you mean name?"},
        {"address:\n  stret: x", "2:3: address.stret: unknown key; did you mean street?"},
        {"address: {planet: x}", "1:11: address.planet: unknown key; one of street, number"},
        {"\"a\\nb\": x", "1:1: a\\x0ab: unknown key; one of name, password, lit"},
        {"lit: true\nname: a\nlit: true", "3:1: lit: stands at line 1 already; each key once"},
        {"labels: {a: 1, a: 2}", "1:16: labels.a: stands at line 1 already; each key once"},
        {"lit: yes", "1:6: lit: \"yes\" is no boolean; true or false"},
        {"floors: 65", "1:9: floors: \"65\" is out of range; a whole number: -3 to 64"},
        {"rooms: [bath, \"B2\"]", "1:15: rooms[1]: \"B2\" has not the right form; for example bath"},
        {"floors: -4", "1:9: floors: \"-4\" is out of range; a whole number: -3 to 64"},
        {"floors: 1.5", "1:9: floors: \"1.5\" is no integer; a whole number: -3 to 64"},
        {"floors: 99999999999999999999", "1:9: floors: \"99999999999999999999\" is out of range"},
        {"floors: ''", "1:9: floors: \"\" is no integer"},
        {"wait: 5", "1:7: wait: \"5\" is no duration; a duration such as 500ms, 15s, 1m30s, 2h: 100ms to 2h"},
        {"wait: 3h", "1:7: wait: \"3h\" is out of range"},
        {"area: 1kb", "1:7: area: \"1kb\" is no size; a size such as 4096, 64KiB, 2MiB, 1GiB: 1KiB to 1TiB"},
        {"area: 9999999TiB", "1:7: area: \"9999999TiB\" is out of range"},
        {"colour: pink", "1:9: colour: \"pink\" is not known here; one of red, green, blue"},
        {"name: [a]", "1:7: name: is a sequence; expected: string"},
        {"name: {a: b}", "1:7: name: is a mapping; expected: string"},
        {"wait:\nlit: true", "wait: is empty; expected: duration, or leave the key out for its default"},
        {"rooms: kitchen", "1:8: rooms: is a single value; a sequence of strings, such as [\"a\", \"b\"]"},
        {"rooms: [a, [b]]", "1:12: rooms[1]: is a sequence; a string"},
        {"rooms: [a, ~]", "1:12: rooms[1]: is empty; a string"},
        {"labels: [a]", "1:9: labels: is a sequence; a mapping of strings, such as {name: value}"},
        {"labels: {a: }", "labels.a: is empty; a string"},
        {"address: 5", "1:10: address: is a single value; a mapping of keys to values"},
        {"doors: {name: x}", "1:8: doors: is a mapping; a sequence of mappings, each after a dash"},
        {"doors:\n - width: 5", "2:4: doors[0].name: missing; required: string"},
        {"doors: [~]", "1:9: doors[0].name: missing; required: string"},
        {"doors: [{name: a, width: -1}]",
         "1:26: doors[0].width: \"-1\" is out of range; a whole number: 0 or more"},
        {"- a", "1:1: is a sequence; a mapping of keys to values"},
        {"name: &x a", "1:7: anchor \"x\": anchors are not supported"},
        {"name: a\nlabels: {k: *x}", "2:13: alias \"x\": aliases are not supported"},
        {"name: !!str a", "1:7: tag \"tag:yaml.org,2002:str\": tags are not supported"},
        {"? [a]\n: b", "1:3: a key must be a plain word"},
        {"a: b\n---\nc: d", "2:1: a second document; a file holds one"},
        {"name: \"a\\0b\"", "1:7: a zero byte"},
        {"name: a\nfloors 3\n", "3:1: not YAML: "},
        {"lit: true\nname: \xff", "2:7: not YAML: "},
        {"name: ${TEST_UNSET}",
         "1:7: name: ${TEST_UNSET}: the variable is not set; set it, or give a default"},
        {"name: a${", "1:7: name: ${ without }; ${VAR}, ${VAR:-default}, or $$ for a dollar sign"},
        {"name: ${1X}", "1:7: name: ${\"1X\"}: no variable's name"},
        {"name: ${A:b}", "1:7: name: ${\"A:b\"}: no variable's name"},
        {"name: ${}", "1:7: name: ${\"\"}: no variable's name"},
    };
    unsetenv("TEST_UNSET");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct reading r = read_text(cases[i].text);
        assert_true(r.err < 0);
        assert_null(r.memory);
        assert_memory_equal(errors_of(&r), "h.yaml:", 7);
        if (!strstr(errors_of(&r), cases[i].error))
            fail_msg("for\n%s\nexpected\n%s\ngot\n%s", cases[i].text, cases[i].error, errors_of(&r));
        end_reading(&r);
    }
}

static size_t lines_of(const char *text)
{
    size_t n = 0;
    for (; *text; text++)
        n += *text == '\n';
    return n;
}

static void test_all_mistakes_are_told_at_once(void **state)
{
    (void)state;
    struct reading r = read_text("nam: x\nlit: 3\nwait: x\ndoors: [{}, {name: [], widht: 1}]\n");
    assert_int_equal(r.err, -EINVAL);
    assert_int_equal(lines_of(errors_of(&r)), 6);
    end_reading(&r);
}

static void test_very_many_mistakes_are_counted(void **state)
{
    (void)state;
    char text[4096];
    size_t n = 0;
    for (int i = 0; i < 80; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, "unknown%d: x\n", i);
    struct reading r = read_text(text);
    assert_int_equal(lines_of(errors_of(&r)), 51);
    assert_non_null(strstr(errors_of(&r), "h.yaml: and 30 errors more\n"));
    end_reading(&r);
}

static void test_variables_are_substituted(void **state)
{
    (void)state;
    static const struct {
        const char *text, *value;
    } cases[] = {
        {"${TEST_SET}", "value"},
        {"a${TEST_SET}b${TEST_SET}", "avaluebvalue"},
        {"${TEST_SET:-other}", "value"},
        {"${TEST_EMPTY}", ""},
        {"${TEST_EMPTY:-other}", "other"},
        {"${TEST_UNSET:-}", ""},
        {"${TEST_UNSET:-a:-b $x}", "a:-b $x"},
        {"$${TEST_SET}", "${TEST_SET}"},
        {"$$", "$"},
        {"$", "$"},
        {"^a$", "^a$"},
        {"$1-$$2", "$1-$2"},
    };
    setenv("TEST_SET", "value", 1);
    setenv("TEST_EMPTY", "", 1);
    unsetenv("TEST_UNSET");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[256];
        snprintf(text, sizeof text, "name: '%s'\nrooms: ['%s']\nlabels: {k: '%s'}\n", cases[i].text,
                 cases[i].text, cases[i].text);
        struct reading r = read_good(text);
        assert_string_equal(r.house.name, cases[i].value);
        assert_string_equal(r.house.rooms.items[0], cases[i].value);
        assert_string_equal(r.house.labels.items[0].value, cases[i].value);
        end_reading(&r);
    }
}

static void test_defaults_and_numbers_are_substituted_too(void **state)
{
    (void)state;
    setenv("HOUSE_NUMBER", "42", 1);
    setenv("TEST_FLOORS", "11", 1);
    struct reading r = read_good("floors: ${TEST_FLOORS}\n");
    assert_int_equal(r.house.address.number, 42);
    assert_int_equal(r.house.floors, 11);
    end_reading(&r);
    setenv("HOUSE_NUMBER", "100", 1);
    r = read_text("floors: 1\naddress:\n  street: x\n");
    assert_string_equal(errors_of(&r),
                        "h.yaml:3:3: address.number: \"100\" is out of range; a whole number: 1 to 99\n");
    end_reading(&r);
    unsetenv("HOUSE_NUMBER");
}

static void test_a_variable_cannot_inject_yaml(void **state)
{
    (void)state;
    setenv("TEST_EVIL", "x\nfloors: 9\nrooms: [a, b]", 1);
    struct reading r = read_good("name: ${TEST_EVIL}\nrooms: [\"${TEST_EVIL}\"]\n");
    assert_string_equal(r.house.name, "x\nfloors: 9\nrooms: [a, b]");
    assert_int_equal(r.house.floors, 2);
    assert_int_equal(r.house.rooms.count, 1);
    end_reading(&r);
}

static void test_memory_that_substitution_takes_is_bounded(void **state)
{
    (void)state;
    size_t size = 1000 * 1000;
    char *big = malloc(size + 1);
    assert_non_null(big);
    memset(big, 'x', size);
    big[size] = '\0';
    setenv("TEST_BIG", big, 1);
    struct reading r = read_text("name: ${TEST_BIG}${TEST_BIG}");
    assert_string_equal(errors_of(&r), "h.yaml:1:7: name: too long; at most 1 MiB\n");
    end_reading(&r);
    r = read_text(
        "rooms: ['${TEST_BIG}', '${TEST_BIG}', '${TEST_BIG}', '${TEST_BIG}', '${TEST_BIG}',\n"
        "'${TEST_BIG}', '${TEST_BIG}', '${TEST_BIG}', '${TEST_BIG}', '${TEST_BIG}', '${TEST_BIG}',\n"
        "'${TEST_BIG}', '${TEST_BIG}', '${TEST_BIG}', '${TEST_BIG}', '${TEST_BIG}', '${TEST_BIG}']");
    assert_int_equal(r.err, -ENOMEM);
    assert_string_equal(errors_of(&r),
                        "h.yaml:3:76: rooms[16]: no memory left; at most 16 MiB for a configuration\n");
    end_reading(&r);
    unsetenv("TEST_BIG");
    free(big);
}

static void test_depth_and_count_are_bounded(void **state)
{
    (void)state;
    struct reading r = read_text("rooms: [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]");
    assert_string_equal(errors_of(&r), "h.yaml:1:23: nested too deeply; at most 16 levels\n");
    end_reading(&r);
    struct buf text;
    buf_init(&text, 1 << 20);
    buf_append_string(&text, "rooms:\n");
    for (int i = 0; i < 10000; i++)
        buf_append_string(&text, "- a\n");
    buf_append(&text, "", 1);
    r = read_text((const char *)text.ptr);
    assert_non_null(strstr(errors_of(&r), "too many values; a file holds at most 10000"));
    end_reading(&r);
    buf_fini(&text);
}

static void test_durations(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t ms; /* -1: refused */
    } cases[] = {
        {"0", 0},
        {"0s", 0},
        {"500ms", 500},
        {"15s", 15000},
        {"1m30s", 90000},
        {"2h", 7200000},
        {"7d", 604800000},
        {"1w", 604800000},
        {"1y", INT64_C(31536000000)},
        {"1h5ms", 3600005},
        {"", -1},
        {"5", -1},
        {"s", -1},
        {"5 s", -1},
        {"-5s", -1},
        {"1s1m", -1},
        {"1s1s", -1},
        {"1.5s", -1},
        {"5S", -1},
        {"5sx", -1},
        {"9223372036854775807s", -1},
        {"99999999999999999999s", -1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int64_t ms = -1;
        int err = conf_parse_duration(cases[i].text, &ms);
        if (err != (cases[i].ms < 0 ? -EINVAL : 0) || ms != cases[i].ms)
            fail_msg("%s: err %d, %lld ms", cases[i].text, err, (long long)ms);
    }
}

static void test_sizes(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t bytes;
    } cases[] = {
        {"4096", 4096},
        {"4096B", 4096},
        {"64KiB", 65536},
        {"2MiB", 2 << 20},
        {"1GiB", INT64_C(1) << 30},
        {"1TiB", INT64_C(1) << 40},
        {"2KB", 2000},
        {"3MB", 3000000},
        {"1GB", 1000000000},
        {"1TB", INT64_C(1000000000000)},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[64];
        snprintf(text, sizeof text, "area: %s", cases[i].text);
        struct reading r = read_good(text);
        assert_int_equal(r.house.area_bytes, cases[i].bytes);
        end_reading(&r);
    }
}

static const char *print_house(const struct house *house, struct buf *out)
{
    buf_init(out, 1 << 16);
    assert_int_equal(conf_print(house_options, house, out), 0);
    assert_int_equal(buf_append(out, "", 1), 0);
    return (const char *)out->ptr;
}

static void test_what_is_printed_loads_again_as_the_same(void **state)
{
    (void)state;
    struct reading first = read_good("name: \"a\\\"\\\\$${b}\\n\\t\\x80\\L\\P\\uFEFF \xc3\xa4\"\n"
                                     "floors: -1\nwait: 5400500ms\narea: 2400KB\nlit: true\n"
                                     "rooms: ['#', 'a: b', '- x', '']\nlabels: {'a $b': '{}'}\n"
                                     "doors: [{name: x}, {name: y, width: 1}]\n");
    struct buf once, twice;
    const char *text = print_house(&first.house, &once);
    assert_non_null(strstr(text, "wait: 1h30m500ms\n"));
    assert_non_null(strstr(text, "area: 2400KB\n"));
    struct reading second = read_good(text);
    assert_string_equal(first.house.name, second.house.name);
    assert_string_equal(second.house.labels.items[0].key, "a $b");
    assert_string_equal(text, print_house(&second.house, &twice));
    buf_fini(&once);
    buf_fini(&twice);
    end_reading(&first);
    end_reading(&second);
}

static void test_secrets_are_masked(void **state)
{
    (void)state;
    struct reading r = read_good("password: hunter2\nname: https://me:hunter2@host/x?a@b\n"
                                 "headers: {Authorization: Bearer hunter2}\nrooms: ['tcp://u:hunter2@h:1']\n"
                                 "labels: {u: 'http://u:hunter2@h'}\n");
    struct buf out;
    const char *text = print_house(&r.house, &out);
    assert_null(strstr(text, "hunter2"));
    assert_non_null(strstr(text, "password: \"<secret>\"\n"));
    assert_non_null(strstr(text, "name: \"https://me:<secret>@host/x?a@b\"\n"));
    assert_non_null(strstr(text, "\"Authorization\": \"<secret>\"\n"));
    buf_fini(&out);
    end_reading(&r);
}

static void test_reference_has_a_row_for_every_key(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "| `name` | string | `nameless` |  | The name. |\n",
        "| `password` | secret | empty |  | Secret. |\n",
        "| `lit` | boolean | `false` |  | Light. |\n",
        "| `floors` | integer | `2` | -3 to 64 | Floors. |\n",
        "| `wait` | duration | `1m30s` | 100ms to 2h | Wait. |\n",
        "| `area` | size | `64KiB` | 1KiB to 1TiB | Area. |\n",
        "| `colour` | choice | `green` | red, green, blue | Colour. |\n",
        "| `rooms` | sequence of strings | none |  | Rooms. |\n",
        "| `labels` | mapping of strings | none |  | Labels. |\n",
        "| `address` | section |  |  | Address. |\n",
        "| `address.street` | string | `Main \\| Street` |  | Where. |\n",
        "| `address.number` | integer | `${HOUSE_NUMBER:-7}` | 1 to 99 | Which. |\n",
        "| `doors[]` | sequence of sections | none |  | Doors. |\n",
        "| `doors[].name` | string | **required** |  | The door's name. |\n",
        "| `doors[].width` | integer | `80` | 0 or more | In cm. |\n",
    };
    struct buf out;
    buf_init(&out, 1 << 16);
    assert_int_equal(conf_write_reference(house_options, &out), 0);
    assert_int_equal(buf_append(&out, "", 1), 0);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (!strstr((const char *)out.ptr, rows[i]))
            fail_msg("no %s in\n%s", rows[i], (const char *)out.ptr);
    }
    buf_fini(&out);
}

static int load_file(const char *path, struct reading *r)
{
    *r = (struct reading){.memory = NULL};
    buf_init(&r->errors, 1 << 16);
    r->err = conf_load(path, house_options, &r->house, &r->memory, &r->errors);
    assert_int_equal(buf_append(&r->errors, "", 1), 0);
    return r->err;
}

static void test_files_are_read_and_bounded(void **state)
{
    (void)state;
    char path[] = "/tmp/test_conf.XXXXXX", expected[128];
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "name: file\n#", 12), 12);
    struct reading r;
    assert_int_equal(load_file(path, &r), 0);
    assert_string_equal(r.house.name, "file");
    end_reading(&r);
    assert_int_equal(ftruncate(fd, (1 << 20) + 1), 0);
    assert_int_equal(load_file(path, &r), -EFBIG);
    end_reading(&r);
    close(fd);
    unlink(path);
    assert_int_equal(load_file(path, &r), -ENOENT);
    snprintf(expected, sizeof expected, "%s: No such file or directory\n", path);
    assert_string_equal(errors_of(&r), expected);
    end_reading(&r);
    assert_int_equal(load_file("/tmp", &r), -EISDIR);
    end_reading(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_empty_file_gives_the_defaults),
        cmocka_unit_test(test_every_type_is_read),
        cmocka_unit_test(test_each_mistake_is_named_with_its_place_and_a_remedy),
        cmocka_unit_test(test_all_mistakes_are_told_at_once),
        cmocka_unit_test(test_very_many_mistakes_are_counted),
        cmocka_unit_test(test_variables_are_substituted),
        cmocka_unit_test(test_defaults_and_numbers_are_substituted_too),
        cmocka_unit_test(test_a_variable_cannot_inject_yaml),
        cmocka_unit_test(test_memory_that_substitution_takes_is_bounded),
        cmocka_unit_test(test_depth_and_count_are_bounded),
        cmocka_unit_test(test_durations),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_what_is_printed_loads_again_as_the_same),
        cmocka_unit_test(test_secrets_are_masked),
        cmocka_unit_test(test_reference_has_a_row_for_every_key),
        cmocka_unit_test(test_files_are_read_and_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
