/* timex.c - adjtimex(2): the kernel's clock discipline. */
#include <errno.h>
#include <sys/timex.h>

#include "node-agent/host/collectors/table.h"

static const double micro = 1e6, ppm16 = 1e6 * 65536.0;

static int update(void *state, struct metric_sink *sink)
{
    (void)state;
    struct timex t = {.modes = 0};
    int status = adjtimex(&t);
    if (status < 0)
        return errno == EPERM || errno == EACCES ? -ENODATA : -errno;
    double unit = t.status & STA_NANO ? 1e9 : micro;
    const struct {
        const char *name;
        enum metric_type type;
        const char *help;
        double value;
    } rows[] = {
        {"node_timex_sync_status", METRIC_GAUGE,
         "Is clock synchronized to a reliable server (1 = yes, 0 = no).", status != TIME_ERROR},
        {"node_timex_offset_seconds", METRIC_GAUGE,
         "Time offset in between local system and reference clock.", (double)t.offset / unit},
        {"node_timex_frequency_adjustment_ratio", METRIC_GAUGE, "Local clock frequency adjustment.",
         1 + (double)t.freq / ppm16},
        {"node_timex_maxerror_seconds", METRIC_GAUGE, "Maximum error in seconds.",
         (double)t.maxerror / micro},
        {"node_timex_estimated_error_seconds", METRIC_GAUGE, "Estimated error in seconds.",
         (double)t.esterror / micro},
        {"node_timex_status", METRIC_GAUGE, "Value of the status array bits.", t.status},
        {"node_timex_loop_time_constant", METRIC_GAUGE, "Phase-locked loop time constant.",
         (double)t.constant},
        {"node_timex_tick_seconds", METRIC_GAUGE, "Seconds between clock ticks.", (double)t.tick / micro},
        {"node_timex_pps_frequency_hertz", METRIC_GAUGE, "Pulse per second frequency.",
         (double)t.ppsfreq / ppm16},
        {"node_timex_pps_jitter_seconds", METRIC_GAUGE, "Pulse per second jitter.", (double)t.jitter / unit},
        {"node_timex_pps_shift_seconds", METRIC_GAUGE, "Pulse per second interval duration.", t.shift},
        {"node_timex_pps_stability_hertz", METRIC_GAUGE,
         "Pulse per second stability, average of recent frequency changes.", (double)t.stabil / ppm16},
        {"node_timex_pps_jitter_total", METRIC_COUNTER,
         "Pulse per second count of jitter limit exceeded events.", (double)t.jitcnt},
        {"node_timex_pps_calibration_total", METRIC_COUNTER,
         "Pulse per second count of calibration intervals.", (double)t.calcnt},
        {"node_timex_pps_error_total", METRIC_COUNTER, "Pulse per second count of calibration errors.",
         (double)t.errcnt},
        {"node_timex_pps_stability_exceeded_total", METRIC_COUNTER,
         "Pulse per second count of stability limit exceeded events.", (double)t.stbcnt},
        {"node_timex_tai_offset_seconds", METRIC_GAUGE, "International Atomic Time (TAI) offset.", t.tai},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        collector_emit(sink, rows[i].name, rows[i].type, rows[i].help, rows[i].value);
    return 0;
}

const struct collector collector_timex = {.name = "timex",
                                          .enabled_by_default = true,
                                          .start = collector_start_with_config,
                                          .update = update,
                                          .stop = collector_stop_nothing};
