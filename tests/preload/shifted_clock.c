/* shifted_clock.c - LD_PRELOAD: the wall clock of a program is wrong by SHIFTED_CLOCK_S seconds. The
 * monotonic clock stays right, as on a node whose clock was set wrong. */
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static time_t shift(void)
{
    const char *seconds = getenv("SHIFTED_CLOCK_S");
    return seconds ? (time_t)atol(seconds) : 0;
}

static int is_wall(clockid_t clock)
{
    return clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE || clock == CLOCK_TAI;
}

int clock_gettime(clockid_t clock, struct timespec *ret_time)
{
    int err = (int)syscall(SYS_clock_gettime, clock, ret_time);
    if (err == 0 && is_wall(clock))
        ret_time->tv_sec += shift();
    return err;
}

int gettimeofday(struct timeval *restrict ret_time, void *restrict zone)
{
    (void)zone;
    struct timespec now;
    int err = clock_gettime(CLOCK_REALTIME, &now);
    *ret_time = (struct timeval){now.tv_sec, now.tv_nsec / 1000};
    return err;
}

time_t time(time_t *ret_time)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (ret_time)
        *ret_time = now.tv_sec;
    return now.tv_sec;
}
