/* The log source in single situations, on a real folder and a real loop. */
#include "node-agent/logs/tail.h"
#include "node-agent/logs/tail_read.h"
#include "tests/unit/logs_fixture.h"

/* ---- */

static void test_tail_joins_parts_of_each_stream(void **state)
{
    struct fixture *f = *state;
    put(f, POD "/0.log", "stdout P one-");
    put(f, POD "/0.log", "stderr F other");
    put(f, POD "/0.log", "stdout P two-");
    start(f);
    expect(f, "stderr|other\n");
    put(f, POD "/0.log", "stdout F three");
    expect(f, "stderr|other\nstdout|one-two-three\n");
}

static void test_tail_sends_empty_lines(void **state)
{
    struct fixture *f = *state;
    put(f, POD "/0.log", "stdout F ");
    put(f, POD "/0.log", "stdout P ");
    put(f, POD "/0.log", "stdout F ");
    start(f);
    expect(f, "stdout|\nstdout|\n");
}

static void test_tail_does_not_repeat_a_stream_that_is_ahead_of_an_open_line(void **state)
{
    struct fixture *f = *state;
    put(f, POD "/0.log", "stdout P one-");
    put(f, POD "/0.log", "stderr F other");
    start(f);
    expect(f, "stderr|other\n");
    assert_int_equal(logs_save(f->logs), 0);
    stop(f);
    put(f, POD "/0.log", "stdout F two");
    start(f);
    expect(f, "stderr|other\nstdout|one-two\n");
}

static void test_tail_sends_a_line_that_stays_open(void **state)
{
    struct fixture *f = *state;
    put(f, POD "/0.log", "stdout P no newline");
    start(f);
    expect(f, "");
    logs_set_waits(f->logs, 0, 0);
    expect(f, "stdout|no newline\n");
}

static void test_tail_sends_an_open_line_when_the_container_has_restarted(void **state)
{
    struct fixture *f = *state;
    put(f, POD "/0.log", "stdout P no newline");
    start(f);
    expect(f, "");
    put(f, POD "/1.log", "stdout F again");
    take_all(f);
    assert_non_null(strstr(f->got, "stdout|no newline\n"));
    assert_non_null(strstr(f->got, "stdout|again\n"));
}

static void test_tail_joins_a_line_cut_by_a_rotation(void **state)
{
    struct fixture *f = *state;
    put(f, POD "/0.log.20260101-000000", "stdout P one-");
    put(f, POD "/0.log", "stdout F two");
    start(f);
    expect(f, "stdout|one-two\n");
}

static void put_docker(const struct fixture *f, const char *name, const char *stream, const char *text)
{
    static int number;
    char line[512], second[32];
    time_t seconds = time(NULL);
    struct tm tm;
    strftime(second, sizeof second, "%Y-%m-%dT%H:%M:%S", gmtime_r(&seconds, &tm));
    int len = snprintf(line, sizeof line, "{\"log\":\"%s\",\"stream\":\"%s\",\"time\":\"%s.%09dZ\"}\n", text,
                       stream, second, ++number);
    put_bytes(f, name, line, (size_t)len);
}

static void test_tail_joins_the_pieces_of_docker_lines(void **state)
{
    struct fixture *f = *state;
    put_docker(f, POD "/0.log", "stdout", "one-");
    put_docker(f, POD "/0.log", "stderr", "other\\n");
    start(f);
    expect(f, "stderr|other\n");
    put_docker(f, POD "/0.log", "stdout", "\\u003ctwo\\u003e\\n");
    put_docker(f, POD "/0.log", "stdout", "plain\\n");
    expect(f, "stderr|other\nstdout|one-<two>\nstdout|plain\n");
}

static void test_tail_tells_formats_apart_per_file(void **state)
{
    struct fixture *f = *state;
    put_docker(f, POD "/0.log", "stdout", "docker\\n");
    put_bytes(f, POD "/0.log", "2026-01-01T00:00:00Z stdout F no docker\n", 40);
    put(f, "demo_cri_uid-2/c/0.log", "stderr F {\"log\":\"cri\"}");
    put_docker(f, "demo_cri_uid-2/c/0.log", "stdout", "no cri\\n");
    start(f);
    take_all(f);
    assert_int_equal(f->count, 4);
    assert_non_null(strstr(f->got, "stdout|docker\n"));
    assert_non_null(strstr(f->got, "unknown|2026-01-01T00:00:00Z stdout F no docker\n"));
    assert_non_null(strstr(f->got, "stderr|{\"log\":\"cri\"}\n"));
    assert_non_null(strstr(f->got, "unknown|{\"log\":\"no cri\\n\",\"stream\""));
}

static void test_tail_reads_rotated_files_first(void **state)
{
    struct fixture *f = *state;
    put(f, POD "/0.log.20260101-000000", "stdout F 1");
    put(f, POD "/0.log.20260101-000005", "stdout F 2");
    put(f, POD "/0.log", "stdout F 3");
    put_bytes(f, POD "/0.log.20250101-000000.gz", "\x1f\x8b", 2); /* no gzip file */
    put_bytes(f, POD "/0.log.20250101-000000.gz.tmp", "x\n", 2);
    start(f);
    expect(f, "stdout|1\nstdout|2\nstdout|3\n");
}

static void rename_live(const struct fixture *f, const char *to)
{
    char from[PATH_MAX], path[PATH_MAX];
    path_of(f, POD "/0.log", from);
    path_of(f, to, path);
    assert_int_equal(rename(from, path), 0);
}

static void test_tail_reads_a_renamed_file_to_its_end(void **state)
{
    struct fixture *f = *state;
    put(f, POD "/0.log", "stdout F 1");
    start(f);
    expect(f, "stdout|1\n");
    put(f, POD "/0.log", "stdout F 2");
    rename_live(f, POD "/0.log.20260101-000000");
    put(f, POD "/0.log.20260101-000000", "stdout F 3");
    put(f, POD "/0.log", "stdout F 4");
    expect(f, "stdout|1\nstdout|2\nstdout|3\nstdout|4\n");
}

static void gzip_log(const struct fixture *f, const char *name)
{
    char path[PATH_MAX];
    path_of(f, name, path);
    gzip_file(path);
}

static void test_tail_reads_compressed_siblings_first_and_once(void **state)
{
    struct fixture *f = *state;
    put(f, POD "/0.log.20260101-000000", "stdout F 1");
    put(f, POD "/0.log.20260101-000000", "stdout P 2-");
    put(f, POD "/0.log.20260101-000005", "stdout F 3");
    put(f, POD "/0.log.20260101-000009", "stdout F 4");
    put(f, POD "/0.log", "stdout F 5");
    gzip_log(f, POD "/0.log.20260101-000000");
    gzip_log(f, POD "/0.log.20260101-000005");
    start(f);
    expect(f, "stdout|1\nstdout|2-3\nstdout|4\nstdout|5\n");
    assert_int_equal(logs_save(f->logs), 0);
    stop(f);
    start(f);
    expect(f, "stdout|1\nstdout|2-3\nstdout|4\nstdout|5\n");
}

/* Done when 3 of the log work: the agent stopped across four rotations, of which two were compressed. */
static void test_tail_goes_on_in_files_rotated_and_compressed_while_it_was_down(void **state)
{
    struct fixture *f = *state;
    char name[64], text[64], want[4096] = "";
    for (int i = 0; i < 40; i++) {
        if (i == 5)
            start(f);
        if (i > 5 && i % 8 == 0) { /* 8, 16, 24, 32 */
            snprintf(name, sizeof name, POD "/0.log.20260101-0000%02d", i);
            rename_live(f, name);
            if (i <= 16)
                gzip_log(f, name);
        }
        snprintf(text, sizeof text, "stdout F line %d", i);
        put(f, POD "/0.log", text);
        sprintf(want + strlen(want), "stdout|line %d\n", i);
        if (i == 6) {
            take_all(f);
            assert_int_equal(logs_save(f->logs), 0);
            stop(f);
        }
    }
    start(f);
    expect(f, want);
    assert_int_equal(logs_save(f->logs), 0);
    stop(f);
    start(f);
    expect(f, want);
}

static void test_tail_does_not_repeat_a_file_compressed_under_its_eyes(void **state)
{
    struct fixture *f = *state;
    char path[PATH_MAX];
    int before = open_descriptors();
    put(f, POD "/0.log", "stdout F 1");
    start(f);
    int without = open_descriptors();
    expect(f, "stdout|1\n");
    rename_live(f, POD "/0.log.20260101-000000"); /* renamed and compressed between two looks */
    gzip_log(f, POD "/0.log.20260101-000000");
    put(f, POD "/0.log", "stdout F 2");
    expect(f, "stdout|1\nstdout|2\n");
    rename_live(f, POD "/0.log.20260101-000005"); /* seen rotated, then beside its compressed self */
    expect(f, "stdout|1\nstdout|2\n");
    path_of(f, POD "/0.log.20260101-000005", path);
    gzip_beside(path);
    expect(f, "stdout|1\nstdout|2\n");
    unlink(path);
    put(f, POD "/0.log", "stdout F 3");
    expect(f, "stdout|1\nstdout|2\nstdout|3\n");
    assert_int_equal(open_descriptors(), without);
    for (int i = 2; i < 4; i++) { /* the gateway's buffer is lost: all is read again, then once more */
        struct wire_resume_reply resumed = {.answer = WIRE_COMMITTED};
        snprintf(resumed.buffer_id, sizeof resumed.buffer_id, "buffer-%d", i);
        f->got[0] = '\0';
        f->buffer = i == 2 ? "buffer-2" : "buffer-3";
        f->source.resumed(f->source.ctx, &resumed, false, NULL);
        expect(f, "stdout|1\nstdout|2\nstdout|3\n");
    }
    stop(f);
    assert_int_equal(open_descriptors(), before);
}

/* copytruncate, then rotations by renaming, all of them compressed before the next look: what the truncated
 * file got is read in its place, once. */
static void test_tail_reads_a_file_truncated_renamed_and_compressed_in_its_place(void **state)
{
    struct fixture *f = *state;
    char live[PATH_MAX], copy[PATH_MAX];
    path_of(f, POD "/0.log", live);
    path_of(f, POD "/0.log.20260101-000000", copy);
    put(f, POD "/0.log", "stdout F 1");
    start(f);
    expect(f, "stdout|1\n");
    assert_int_equal(link(live, copy), 0);
    gzip_beside(copy);
    unlink(copy);
    assert_int_equal(truncate(live, 0), 0);
    put(f, POD "/0.log", "stdout F 2");
    rename_live(f, POD "/0.log.20260101-000005");
    gzip_log(f, POD "/0.log.20260101-000005");
    put(f, POD "/0.log", "stdout P 3-");
    rename_live(f, POD "/0.log.20260101-000010");
    put(f, POD "/0.log", "stdout F 4");
    expect(f, "stdout|1\nstdout|2\nstdout|3-4\n");
}

static void test_tail_reads_what_replaced_a_file_of_the_same_size(void **state)
{
    struct fixture *f = *state;
    char path[PATH_MAX];
    path_of(f, POD "/0.log", path);
    put(f, POD "/0.log", "stdout F 1");
    start(f);
    expect(f, "stdout|1\n");
    assert_int_equal(truncate(path, 0), 0);
    put(f, POD "/0.log", "stdout F 2");
    expect(f, "stdout|1\nstdout|2\n");
}

/* The last member, whose size the file tells, is the smallest one, and the first line ends in the second. */
static void test_tail_reads_every_member_of_a_gzip_file(void **state)
{
    struct fixture *f = *state;
    char zipped[PATH_MAX], path[PATH_MAX], line[256];
    path_of(f, POD "/line", path);
    put(f, POD "/line", "stdout F 2");
    FILE *in = fopen(path, "r");
    assert_non_null(fgets(line, sizeof line, in));
    fclose(in);
    unlink(path);
    path_of(f, POD "/0.log.20260101-000000", zipped);
    put(f, POD "/0.log.20260101-000000", "stdout P 1-");
    gzip_log(f, POD "/0.log.20260101-000000");
    strcat(zipped, ".gz");
    size_t half = strlen(line) / 2;
    for (int i = 0; i < 2000; i++) {
        gzip_append(zipped, line, half);
        gzip_append(zipped, line + half, strlen(line) - half);
    }
    gzip_append(zipped, "", 0);
    put(f, POD "/0.log", "stdout F 3");
    start(f);
    take_all(f);
    assert_int_equal(f->count, 2001);
    assert_non_null(strstr(f->got, "stdout|1-2\nstdout|2\n"));
    assert_non_null(strstr(f->got, "stdout|2\nstdout|3\n"));
}

/* What is longer than a line may be is ended, and goes on with its next byte. */
static void test_tail_ends_a_line_without_an_end(void **state)
{
    struct fixture *f = *state;
    char path[PATH_MAX];
    path_of(f, POD "/0.log", path);
    put_bytes(f, POD "/0.log", "", 0);
    int fd = open(path, O_WRONLY);
    static char x[1 << 20];
    memset(x, 'x', sizeof x);
    for (int i = 0; i < TAIL_MAX_LINE / (1 << 20); i++)
        assert_int_equal(pwrite(fd, x, sizeof x, (off_t)i << 20), sizeof x);
    assert_int_equal(pwrite(fd, "yz\n", 3, TAIL_MAX_LINE), 3);
    close(fd);
    start(f);
    take_all(f);
    assert_int_equal(f->count, 2);
    assert_non_null(strstr(f->got, "\nunknown|yz\n"));
}

static void copy_file(const struct fixture *f, const char *from, const char *to)
{
    char path[PATH_MAX], other[PATH_MAX], command[3 * PATH_MAX];
    path_of(f, from, path);
    path_of(f, to, other);
    snprintf(command, sizeof command, "cp %s %s", path, other);
    assert_int_equal(system(command), 0);
}

/* copytruncate with the copy seen late: what it holds unread does not end a line begun after the truncation.
 */
static void test_tail_reads_a_copy_that_is_seen_late_before_a_line_begun_after_the_truncation(void **state)
{
    struct fixture *f = *state;
    char live[PATH_MAX], kept[PATH_MAX], copy[PATH_MAX];
    path_of(f, POD "/0.log", live);
    path_of(f, "kept", kept);
    path_of(f, POD "/0.log.20260101-000000", copy);
    put(f, POD "/0.log", "stdout F 1");
    start(f);
    expect(f, "stdout|1\n");
    put(f, POD "/0.log", "stdout F 2");
    copy_file(f, POD "/0.log", "kept");
    assert_int_equal(truncate(live, 0), 0);
    put(f, POD "/0.log", "stdout P 3-");
    put(f, POD "/0.log", "stderr F after it");
    expect(f, "stdout|1\nstderr|after it\n");
    assert_int_equal(rename(kept, copy), 0);
    put(f, POD "/0.log", "stdout F 3");
    expect_soon(f, "stdout|1\nstderr|after it\nstdout|2\nstdout|3-3\n");
}

/* A hole, as a truncation under a writer's offset leaves it, and a line behind it. */
static void put_behind_hole(const struct fixture *f, const char *name, off_t hole, const char *line)
{
    char path[PATH_MAX];
    put_bytes(f, name, "", 0);
    path_of(f, name, path);
    assert_int_equal(truncate(path, hole), 0);
    put(f, name, line);
}

/* While nobody looks: one is copied and deleted, another one, which is shorter than what was read of the
 * first, is rotated. */
static void test_tail_tells_files_that_begin_with_a_hole_apart(void **state)
{
    struct fixture *f = *state;
    char path[PATH_MAX];
    path_of(f, POD "/0.log", path);
    put_behind_hole(f, POD "/0.log", 5000, "stdout F one, and it is the longer one of the two by some bytes");
    start(f);
    expect(f, "stdout|one, and it is the longer one of the two by some bytes\n");
    assert_int_equal(logs_save(f->logs), 0);
    stop(f);
    copy_file(f, POD "/0.log", POD "/0.log.20260101-000000");
    unlink(path);
    put_behind_hole(f, POD "/0.log", 4990, "stdout F two");
    rename_live(f, POD "/0.log.20260101-000005");
    put(f, POD "/0.log", "stdout F three");
    start(f);
    expect(f, "stdout|one, and it is the longer one of the two by some bytes\nstdout|two\nstdout|three\n");
}

static void test_tail_unpacks_few_files_at_a_time(void **state)
{
    struct fixture *f = *state;
    char name[64];
    for (int pod = 0; pod < 6; pod++) {
        snprintf(name, sizeof name, "demo_p%d_uid/c/0.log.20260101-000000", pod);
        for (int i = 0; i < 2000; i++)
            put(f, name, "stdout F something to unpack, more than a batch of it in all of the files");
        gzip_log(f, name);
    }
    put(f, POD "/0.log", "stdout F live");
    start(f);
    logs_rescan(f->logs);
    assert_true(take_one(f));
    assert_non_null(strstr(f->got, "stdout|live\n"));
    while (take_one(f))
        ;
    take_all(f);
    assert_int_equal(f->count, 12001);
}

static void test_tail_takes_what_a_damaged_file_still_gives(void **state)
{
    struct fixture *f = *state;
    char path[PATH_MAX];
    for (int i = 0; i < 1000; i++)
        put(f, POD "/0.log.20260101-000000", "stdout F line");
    gzip_log(f, POD "/0.log.20260101-000000");
    path_of(f, POD "/0.log.20260101-000000.gz", path);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(truncate(path, st.st_size / 2), 0);
    put(f, POD "/0.log", "stdout F after");
    start(f);
    take_all(f);
    assert_in_range(f->count, 100, 900);
    assert_non_null(strstr(f->got, "stdout|after\n"));
    assert_true(stats_get(stats_cell(f->stats, AGENT_LOG_ERRORS)) > 0);
}

static void test_tail_takes_a_reused_inode_for_another_file(void **state)
{
    struct fixture *f = *state;
    char path[PATH_MAX];
    put(f, POD "/0.log", "stdout F 1");
    start(f);
    expect(f, "stdout|1\n");
    rename_live(f, POD "/0.log.20260101-000000");
    put(f, POD "/0.log", "stdout F 2");
    expect(f, "stdout|1\nstdout|2\n");
    /* The same inode comes back: content replaced in place, under the live name. */
    path_of(f, POD "/0.log", path);
    unlink(path);
    path_of(f, POD "/0.log.20260101-000000", path);
    assert_int_equal(truncate(path, 0), 0);
    char live[PATH_MAX];
    path_of(f, POD "/0.log", live);
    assert_int_equal(rename(path, live), 0);
    put(f, POD "/0.log", "stdout F 3");
    expect(f, "stdout|1\nstdout|2\nstdout|3\n");
}

static void test_tail_starts_over_when_a_file_is_truncated(void **state)
{
    struct fixture *f = *state;
    char path[PATH_MAX];
    put(f, POD "/0.log", "stdout F 1");
    put(f, POD "/0.log", "stdout F 2");
    start(f);
    expect(f, "stdout|1\nstdout|2\n");
    path_of(f, POD "/0.log", path);
    assert_int_equal(truncate(path, 0), 0);
    put(f, POD "/0.log", "stdout F 3"); /* seen with another first line, though it may be as long */
    put(f, POD "/0.log", "stdout F 4");
    put(f, POD "/0.log", "stdout F 5");
    expect(f, "stdout|1\nstdout|2\nstdout|3\nstdout|4\nstdout|5\n");
    assert_int_equal(stats_get(stats_cell(f->stats, AGENT_LOG_TRUNCATIONS)), 1);
}

/* All that the live file holds, behind what the copy holds. */
static void fill_copy(const struct fixture *f, const char *name)
{
    char path[PATH_MAX], bytes[4096];
    path_of(f, POD "/0.log", path);
    int fd = open(path, O_RDONLY);
    ssize_t len = read(fd, bytes, sizeof bytes);
    assert_true(len > 0);
    close(fd);
    put_bytes(f, name, bytes, (size_t)len);
}

static void test_tail_does_not_take_a_copy_that_is_being_made_for_a_file_of_its_own(void **state)
{
    struct fixture *f = *state;
    char path[PATH_MAX];
    put(f, POD "/0.log", "stdout P 1");
    put(f, POD "/0.log", "stdout P 2");
    start(f);
    expect(f, "");
    put_bytes(f, POD "/0.log.1", "", 0);
    expect(f, "");
    put(f, POD "/0.log", "stdout F 3");
    fill_copy(f, POD "/0.log.1");
    path_of(f, POD "/0.log", path);
    assert_int_equal(truncate(path, 0), 0);
    put(f, POD "/0.log", "stdout F 4");
    expect(f, "stdout|123\nstdout|4\n");
    assert_int_equal(stats_get(stats_cell(f->stats, AGENT_LOG_TRUNCATIONS)), 1);
}

static void test_tail_repeats_nothing_of_a_copy_that_lacks_what_was_read_since(void **state)
{
    struct fixture *f = *state;
    char path[PATH_MAX];
    put(f, POD "/0.log", "stdout F 1");
    start(f);
    expect(f, "stdout|1\n");
    fill_copy(f, POD "/0.log.1");
    put(f, POD "/0.log", "stdout F 2");
    expect(f, "stdout|1\nstdout|2\n");
    path_of(f, POD "/0.log", path);
    assert_int_equal(truncate(path, 0), 0);
    put(f, POD "/0.log", "stdout F 3");
    expect(f, "stdout|1\nstdout|2\nstdout|3\n");
    assert_int_equal(logs_save(f->logs), 0);
    stop(f);
    start(f);
    expect(f, "stdout|1\nstdout|2\nstdout|3\n");
}

static void test_tail_passes_over_the_hole_that_a_truncation_leaves(void **state)
{
    struct fixture *f = *state;
    char path[PATH_MAX];
    put(f, POD "/0.log", "stdout F 1");
    start(f);
    expect(f, "stdout|1\n");
    path_of(f, POD "/0.log", path);
    assert_int_equal(truncate(path, 0), 0);
    assert_int_equal(truncate(path, 3000), 0);
    put(f, POD "/0.log", "stdout F 2");
    expect(f, "stdout|1\nstdout|2\n");
}

/* A line of 70 KB of the other stream, then the first one's line once more, at its time. */
static void test_tail_knows_the_line_before_after_a_restart_behind_a_long_line(void **state)
{
    enum { LONG = 70000 };
    struct fixture *f = *state;
    char now[32], line[64], *other = malloc(LONG + 64);
    time_t seconds = time(NULL);
    struct tm tm;
    assert_non_null(other);
    strftime(now, sizeof now, "%Y-%m-%dT%H:%M:%S", gmtime_r(&seconds, &tm));
    int len = snprintf(line, sizeof line, "%s.000000000Z stdout F same\n", now);
    int head = snprintf(other, 64, "%s.000000000Z stderr F ", now);
    memset(other + head, 'x', LONG);
    other[head + LONG] = '\n';
    put_bytes(f, POD "/0.log", line, (size_t)len);
    put_bytes(f, POD "/0.log", other, (size_t)head + LONG + 1);
    start(f);
    take_all(f);
    assert_int_equal(f->count, 2);
    assert_int_equal(logs_save(f->logs), 0);
    stop(f);
    put_bytes(f, POD "/0.log", line, (size_t)len);
    start(f);
    take_all(f);
    assert_int_equal(f->count, 3);
    assert_true(f->times[2] == (int64_t)seconds * 1000000000 + 1);
    free(other);
}

static void test_tail_keeps_a_deleted_file_until_it_is_committed(void **state)
{
    struct fixture *f = *state;
    char path[PATH_MAX];
    int before = open_descriptors();
    put(f, POD "/0.log", "stdout F 1");
    start(f);
    int without = open_descriptors();
    put(f, POD "/0.log", "stdout F 2");
    path_of(f, POD "/0.log", path);
    unlink(path);
    logs_rescan(f->logs);
    assert_int_equal(open_descriptors(), without);
    expect(f, "stdout|1\nstdout|2\n");
    assert_int_equal(open_descriptors(), without - 1);
    stop(f);
    assert_int_equal(open_descriptors(), before);
}

static void test_tail_joins_a_line_past_a_file_that_was_emptied_and_deleted(void **state)
{
    struct fixture *f = *state;
    char path[PATH_MAX];
    put(f, POD "/0.log", "stdout F 1");
    start(f);
    int without = open_descriptors();
    expect(f, "stdout|1\n");
    path_of(f, POD "/0.log", path);
    assert_int_equal(truncate(path, 0), 0);
    unlink(path);
    put(f, POD "/0.log", "stdout P one-");
    rename_live(f, POD "/0.log.20260101-000000");
    put(f, POD "/0.log", "stderr F other");
    expect(f, "stdout|1\nstderr|other\n");
    put(f, POD "/0.log", "stdout F two");
    expect(f, "stdout|1\nstderr|other\nstdout|one-two\n");
    expect(f, "stdout|1\nstderr|other\nstdout|one-two\n");
    assert_int_equal(open_descriptors(), without);
}

static void test_tail_waits_for_the_end_of_a_torn_line(void **state)
{
    struct fixture *f = *state;
    put(f, POD "/0.log", "stdout F 1");
    put_bytes(f, POD "/0.log", "2026-01", 7);
    start(f);
    expect(f, "stdout|1\n");
    put_bytes(f, POD "/0.log", "-x\n", 3);
    expect(f, "stdout|1\nunknown|2026-01-x\n");
}

static void test_tail_sends_unknown_formats_with_increasing_times(void **state)
{
    struct fixture *f = *state;
    put_bytes(f, POD "/0.log", "same\nsame\n\nlast\n", 16);
    start(f);
    expect(f, "unknown|same\nunknown|same\nunknown|\nunknown|last\n");
    for (int i = 1; i < f->count; i++)
        assert_true(f->times[i] > f->times[i - 1]);
    assert_int_equal(stats_get(stats_cell(f->stats, AGENT_LOG_UNPARSED)), 4);
}

static void test_tail_tells_equal_lines_apart(void **state)
{
    struct fixture *f = *state;
    time_t seconds = time(NULL);
    struct tm tm;
    char line[128];
    size_t len = strftime(line, sizeof line, "%Y-%m-%dT%H:%M:%S.5Z stdout F same\n", gmtime_r(&seconds, &tm));
    for (int i = 0; i < 3; i++)
        put_bytes(f, POD "/0.log", line, len);
    start(f);
    take_all(f);
    put_bytes(f, POD "/0.log", line, len);
    take_all(f);
    stop(f); /* offsets are lost: all is read again, with the same times */
    start(f);
    take_all(f);
    assert_int_equal(f->count, 8);
    for (int i = 0; i < 8; i++)
        assert_int_equal(f->times[i], (int64_t)seconds * 1000000000 + 500000000 + i % 4);
}

/* A line of half a second past the second. */
static void put_at(const struct fixture *f, const char *name, time_t second, const char *text)
{
    struct tm tm;
    char head[64], line[192];
    strftime(head, sizeof head, "%Y-%m-%dT%H:%M:%S.5Z", gmtime_r(&second, &tm));
    int len = snprintf(line, sizeof line, "%s stdout F %s\n", head, text);
    put_bytes(f, name, line, (size_t)len);
}

static void test_tail_knows_the_lines_before_where_a_later_file_goes_on(void **state)
{
    struct fixture *f = *state;
    const char *live = POD "/0.log";
    time_t second = time(NULL);
    put_at(f, live, second, "same");
    put_at(f, live, second, "same");
    start(f);
    expect(f, "stdout|same\nstdout|same\n");
    assert_int_equal(logs_save(f->logs), 0);
    stop(f);
    put_at(f, POD "/0.log.20260101-000000", second - 1, "older"); /* nobody saw it before */
    put_at(f, live, second, "other");
    start(f);
    expect(f, "stdout|same\nstdout|same\nstdout|older\nstdout|other\n");
    assert_int_equal(f->times[3], (int64_t)second * 1000000000 + 500000000 + 2);
}

static void test_tail_does_not_take_new_lines_for_those_before_a_truncation(void **state)
{
    struct fixture *f = *state;
    struct wire_resume_reply resumed = {.answer = WIRE_COMMITTED, .buffer_id = "buffer-2"};
    time_t second = time(NULL);
    char path[PATH_MAX];
    put_at(f, POD "/0.log", second - 1, "before it was truncated");
    start(f);
    expect(f, "stdout|before it was truncated\n");
    path_of(f, POD "/0.log", path);
    assert_int_equal(truncate(path, 0), 0);
    put_at(f, POD "/0.log", second, "35");
    put_at(f, POD "/0.log", second, "36");
    f->buffer = "buffer-2";
    f->source.resumed(f->source.ctx, &resumed, true, NULL); /* the first look at it is after this */
    expect(f, "stdout|before it was truncated\nstdout|35\nstdout|36\n");
    for (int i = 1; i < 3; i++)
        assert_int_equal(f->times[i], (int64_t)second * 1000000000 + 500000000);
}

static void test_tail_repairs_and_cuts_lines(void **state)
{
    struct fixture *f = *state;
    char *line = malloc(3 << 20);
    memset(line, 'x', 3 << 20);
    memcpy(line, "stdout F ", 9);
    line[9 + 10000] = '\0';
    put(f, POD "/0.log", line);
    put(f, POD "/0.log", "stdout F bad \xff end");
    memset(line, 'y', 3 << 20); /* longer than a block, in no known format */
    line[(3 << 20) - 1] = '\n';
    put_bytes(f, POD "/0.log", line, 3 << 20);
    put(f, POD "/0.log", "stdout F after");
    start(f);
    take_all(f);
    size_t limit = (size_t)f->config.logs.max_line_bytes;
    char *end = strchr(f->got, '\n');
    assert_int_equal(end - f->got, strlen("stdout|") + limit);
    assert_memory_equal(end - strlen(LOGTEXT_MARK), LOGTEXT_MARK, strlen(LOGTEXT_MARK));
    assert_non_null(strstr(f->got, "stdout|bad \xef\xbf\xbd end\n"));
    assert_non_null(strstr(f->got, "unknown|yyyyyy"));
    assert_non_null(strstr(f->got, "stdout|after\n"));
    assert_int_equal(f->count, 4);
    assert_int_equal(stats_get(stats_cell(f->stats, AGENT_LOG_TRUNCATED)), 2);
    free(line);
}

static void test_tail_cuts_a_joined_line_and_repairs_across_parts(void **state)
{
    struct fixture *f = *state;
    char part[2048 + 16];
    memset(part, 'x', sizeof part);
    memcpy(part, "stdout P ", 9);
    part[sizeof part - 1] = '\0';
    put(f, POD "/0.log", "stderr P half \xe2\x82");
    put(f, POD "/0.log", "stderr F \xac whole");
    for (int i = 0; i < 5; i++)
        put(f, POD "/0.log", part);
    put(f, POD "/0.log", "stdout F end");
    put(f, POD "/0.log", "stdout F next");
    start(f);
    take_all(f);
    assert_int_equal(f->count, 3);
    assert_non_null(strstr(f->got, "stderr|half \xe2\x82\xac whole\n"));
    assert_non_null(strstr(f->got, LOGTEXT_MARK "\nstdout|next\n"));
}

static void test_tail_counts_what_the_backend_would_drop(void **state)
{
    struct fixture *f = *state;
    put_aged(f, POD "/0.log", "stdout F too old", 8 * 24 * 3600);
    put_aged(f, POD "/0.log", "stdout F good", 0);
    put_aged(f, POD "/0.log", "stdout F behind", 3700);
    put_aged(f, POD "/0.log", "stdout F ahead", -1200);
    start(f);
    expect(f, "stdout|good\n");
    assert_int_equal(dropped(f, "too_old"), 1);
    assert_int_equal(dropped(f, "behind_stream"), 1);
    assert_int_equal(dropped(f, "ahead_of_clock"), 1);
}

static void test_tail_moves_on_over_lines_that_are_all_dropped(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 3000; i++)
        put_aged(f, POD "/0.log", "stdout F too old too old too old too old", 8 * 24 * 3600);
    put(f, POD "/0.log", "stdout F good");
    start(f);
    expect(f, "stdout|good\n");
    assert_int_equal(dropped(f, "too_old"), 3000);
}

static void test_tail_shares_a_batch_between_noisy_and_quiet_logs(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 4000; i++)
        put(f, POD "/0.log", "stdout F noise noise noise noise noise noise");
    put(f, "demo_quiet_uid-2/c/0.log", "stdout F quiet");
    start(f);
    assert_true(take_one(f));
    assert_non_null(strstr(f->got, "|quiet\n"));
    assert_non_null(strstr(f->got, "|noise"));
    assert_true(f->count > 300);
}

static void test_tail_rereads_what_was_not_delivered_and_counts_what_is_gone(void **state)
{
    struct fixture *f = *state;
    struct wire_resume_reply resumed = {.answer = WIRE_COMMITTED, .buffer_id = "buffer-2"};
    char path[PATH_MAX];
    put(f, POD "/0.log", "stdout F stays");
    put(f, "demo_gone_uid-2/c/0.log", "stdout F goes");
    put(f, "demo_gone_uid-2/c/0.log", "stdout F goes too");
    start(f);
    take_all(f);
    assert_int_equal(f->count, 3);
    path_of(f, "demo_gone_uid-2/c/0.log", path);
    unlink(path);
    take_all(f);
    take_all(f);
    f->got[0] = '\0';
    f->buffer = "buffer-2";
    assert_false(f->source.resumed(f->source.ctx, &resumed, false, NULL));
    expect(f, "stdout|stays\n");
    assert_int_equal(dropped(f, "gone_before_resend"), 2);
    assert_int_equal(stats_get(stats_cell(f->stats, AGENT_LOG_REWINDS)), 1);
}

static void test_tail_does_not_reread_what_was_handed_over(void **state)
{
    struct fixture *f = *state;
    struct wire_resume_reply resumed = {.answer = WIRE_COMMITTED, .buffer_id = "buffer-2"};
    put(f, POD "/0.log", "stdout F once");
    start(f);
    expect(f, "stdout|once\n");
    f->buffer = "buffer-2";
    f->source.resumed(f->source.ctx, &resumed, true, NULL);
    expect(f, "stdout|once\n");
}

static void on_deadline(uv_timer_t *timer)
{
    *(bool *)timer->data = true;
}

/* Runs the loop until a wake came and the source has a batch; fails after ten seconds. */
static void wait_for_batch(struct fixture *f)
{
    bool late = false;
    uv_timer_t deadline;
    uv_timer_init(&f->loop.uv, &deadline);
    deadline.data = &late;
    uv_timer_start(&deadline, on_deadline, 10000, 0);
    int count = f->count;
    while (f->count == count) {
        int seen = wakes;
        while (wakes == seen && !late)
            uv_run(&f->loop.uv, UV_RUN_ONCE);
        assert_false(late);
        take_one(f);
    }
    uv_close((uv_handle_t *)&deadline, NULL);
    uv_run(&f->loop.uv, UV_RUN_NOWAIT);
}

static void test_tail_wakes_ship_for_new_lines_files_and_links(void **state)
{
    struct fixture *f = *state;
    char path[PATH_MAX], target[PATH_MAX];
    put(f, POD "/0.log", "stdout F 1");
    start(f);
    logs_set_ship(f->logs, (struct ship *)f); /* only handed to ship_wake above */
    take_all(f);
    put(f, POD "/0.log", "stdout F 2");
    wait_for_batch(f);
    put(f, "demo_new_uid-9/c/0.log", "stdout F new pod");
    wait_for_batch(f);
    put(f, POD "/1.log", "stdout F new container");
    wait_for_batch(f);
    snprintf(target, sizeof target, "%s/storage.log", f->root);
    path_of(f, "demo_link_uid-3/c/0.log", path);
    make_folders(path);
    assert_int_equal(symlink(target, path), 0);
    put(f, "../storage.log", "stdout F linked");
    logs_rescan(f->logs);
    take_all(f);
    assert_non_null(strstr(f->got, "stdout|linked\n"));
    put(f, "../storage.log", "stdout F linked again");
    wait_for_batch(f);
    assert_non_null(strstr(f->got, "stdout|linked again\n"));
}

/* Reports of writes are left out while a log is written to all the time, and come again when it is not. */
static void test_tail_looks_by_the_clock_at_what_is_written_all_the_time(void **state)
{
    struct fixture *f = *state;
    bool was_polling = false, late = false;
    put(f, POD "/0.log", "stdout F 1");
    start(f);
    logs_set_ship(f->logs, (struct ship *)f);
    take_all(f);
    const struct tail *tail = logs_get_standing(f->logs).tail;
    for (int i = 0; i < 20; i++) {
        put(f, POD "/0.log", "stdout F again");
        wait_for_batch(f);
        was_polling |= tail_is_polling(tail);
        if (i == 10) {
            rename_live(f, POD "/0.log.20260101-000000");
            put(f, POD "/0.log", "stdout F rotated");
        }
    }
    assert_true(was_polling);
    uv_timer_t deadline;
    uv_timer_init(&f->loop.uv, &deadline);
    deadline.data = &late;
    uv_timer_start(&deadline, on_deadline, 10000, 0);
    while (tail_is_polling(tail) && !late) {
        uv_run(&f->loop.uv, UV_RUN_ONCE);
        take_one(f);
    }
    uv_close((uv_handle_t *)&deadline, NULL);
    assert_false(late);
    put(f, POD "/0.log", "stdout F after a rest");
    wait_for_batch(f);
    assert_non_null(strstr(f->got, "stdout|again\nstdout|rotated\nstdout|again\n"));
    assert_non_null(strstr(f->got, "stdout|after a rest\n"));
}

#define WITH_FIXTURE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_FIXTURE(test_tail_joins_parts_of_each_stream),
        WITH_FIXTURE(test_tail_sends_empty_lines),
        WITH_FIXTURE(test_tail_does_not_repeat_a_stream_that_is_ahead_of_an_open_line),
        WITH_FIXTURE(test_tail_sends_a_line_that_stays_open),
        WITH_FIXTURE(test_tail_sends_an_open_line_when_the_container_has_restarted),
        WITH_FIXTURE(test_tail_joins_a_line_cut_by_a_rotation),
        WITH_FIXTURE(test_tail_joins_the_pieces_of_docker_lines),
        WITH_FIXTURE(test_tail_tells_formats_apart_per_file),
        WITH_FIXTURE(test_tail_reads_rotated_files_first),
        WITH_FIXTURE(test_tail_reads_a_renamed_file_to_its_end),
        WITH_FIXTURE(test_tail_reads_compressed_siblings_first_and_once),
        WITH_FIXTURE(test_tail_goes_on_in_files_rotated_and_compressed_while_it_was_down),
        WITH_FIXTURE(test_tail_does_not_repeat_a_file_compressed_under_its_eyes),
        WITH_FIXTURE(test_tail_reads_a_file_truncated_renamed_and_compressed_in_its_place),
        WITH_FIXTURE(test_tail_reads_what_replaced_a_file_of_the_same_size),
        WITH_FIXTURE(test_tail_reads_every_member_of_a_gzip_file),
        WITH_FIXTURE(test_tail_ends_a_line_without_an_end),
        WITH_FIXTURE(test_tail_reads_a_copy_that_is_seen_late_before_a_line_begun_after_the_truncation),
        WITH_FIXTURE(test_tail_tells_files_that_begin_with_a_hole_apart),
        WITH_FIXTURE(test_tail_unpacks_few_files_at_a_time),
        WITH_FIXTURE(test_tail_takes_what_a_damaged_file_still_gives),
        WITH_FIXTURE(test_tail_takes_a_reused_inode_for_another_file),
        WITH_FIXTURE(test_tail_starts_over_when_a_file_is_truncated),
        WITH_FIXTURE(test_tail_does_not_take_a_copy_that_is_being_made_for_a_file_of_its_own),
        WITH_FIXTURE(test_tail_repeats_nothing_of_a_copy_that_lacks_what_was_read_since),
        WITH_FIXTURE(test_tail_passes_over_the_hole_that_a_truncation_leaves),
        WITH_FIXTURE(test_tail_knows_the_line_before_after_a_restart_behind_a_long_line),
        WITH_FIXTURE(test_tail_keeps_a_deleted_file_until_it_is_committed),
        WITH_FIXTURE(test_tail_joins_a_line_past_a_file_that_was_emptied_and_deleted),
        WITH_FIXTURE(test_tail_waits_for_the_end_of_a_torn_line),
        WITH_FIXTURE(test_tail_sends_unknown_formats_with_increasing_times),
        WITH_FIXTURE(test_tail_tells_equal_lines_apart),
        WITH_FIXTURE(test_tail_knows_the_lines_before_where_a_later_file_goes_on),
        WITH_FIXTURE(test_tail_does_not_take_new_lines_for_those_before_a_truncation),
        WITH_FIXTURE(test_tail_repairs_and_cuts_lines),
        WITH_FIXTURE(test_tail_cuts_a_joined_line_and_repairs_across_parts),
        WITH_FIXTURE(test_tail_counts_what_the_backend_would_drop),
        WITH_FIXTURE(test_tail_moves_on_over_lines_that_are_all_dropped),
        WITH_FIXTURE(test_tail_shares_a_batch_between_noisy_and_quiet_logs),
        WITH_FIXTURE(test_tail_rereads_what_was_not_delivered_and_counts_what_is_gone),
        WITH_FIXTURE(test_tail_does_not_reread_what_was_handed_over),
        WITH_FIXTURE(test_tail_wakes_ship_for_new_lines_files_and_links),
        WITH_FIXTURE(test_tail_looks_by_the_clock_at_what_is_written_all_the_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
