/* infiniband.c - /sys/class/infiniband: the adapters, their ports and the ports' counters. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "node-agent/host/collectors/table.h"
#include "node-agent/host/sysfs.h"
#include "node-agent/pattern.h"

enum { WORD_BYTES = 256, PATH_BYTES = 512 };

static const struct {
    const char *file, *name;
    unsigned scale; /* some count words of four bytes */
    const char *help;
} rows[] = {
    {"counters_ext/port_multicast_rcv_packets", "node_infiniband_legacy_multicast_packets_received_total", 1,
     "Number of multicast packets received"},
    {"counters_ext/port_multicast_xmit_packets", "node_infiniband_legacy_multicast_packets_transmitted_total",
     1, "Number of multicast packets transmitted"},
    {"counters_ext/port_rcv_data_64", "node_infiniband_legacy_data_received_bytes_total", 4,
     "Number of data octets received on all links"},
    {"counters_ext/port_rcv_packets_64", "node_infiniband_legacy_packets_received_total", 1,
     "Number of data packets received on all links"},
    {"counters_ext/port_unicast_rcv_packets", "node_infiniband_legacy_unicast_packets_received_total", 1,
     "Number of unicast packets received"},
    {"counters_ext/port_unicast_xmit_packets", "node_infiniband_legacy_unicast_packets_transmitted_total", 1,
     "Number of unicast packets transmitted"},
    {"counters_ext/port_xmit_data_64", "node_infiniband_legacy_data_transmitted_bytes_total", 4,
     "Number of data octets transmitted on all links"},
    {"counters_ext/port_xmit_packets_64", "node_infiniband_legacy_packets_transmitted_total", 1,
     "Number of data packets received on all links"},
    {"counters/excessive_buffer_overrun_errors", "node_infiniband_excessive_buffer_overrun_errors_total", 1,
     "Number of times that OverrunErrors consecutive flow control update periods occurred, each having at "
     "least one overrun error."},
    {"counters/link_downed", "node_infiniband_link_downed_total", 1,
     "Number of times the link failed to recover from an error state and went down"},
    {"counters/link_error_recovery", "node_infiniband_link_error_recovery_total", 1,
     "Number of times the link successfully recovered from an error state"},
    {"counters/local_link_integrity_errors", "node_infiniband_local_link_integrity_errors_total", 1,
     "Number of times that the count of local physical errors exceeded the threshold specified by "
     "LocalPhyErrors."},
    {"counters/multicast_rcv_packets", "node_infiniband_multicast_packets_received_total", 1,
     "Number of multicast packets received (including errors)"},
    {"counters/multicast_xmit_packets", "node_infiniband_multicast_packets_transmitted_total", 1,
     "Number of multicast packets transmitted (including errors)"},
    {"counters/port_rcv_constraint_errors", "node_infiniband_port_constraint_errors_received_total", 1,
     "Number of packets received on the switch physical port that are discarded"},
    {"counters/port_xmit_constraint_errors", "node_infiniband_port_constraint_errors_transmitted_total", 1,
     "Number of packets not transmitted from the switch physical port"},
    {"counters/port_rcv_data", "node_infiniband_port_data_received_bytes_total", 4,
     "Number of data octets received on all links"},
    {"counters/port_xmit_data", "node_infiniband_port_data_transmitted_bytes_total", 4,
     "Number of data octets transmitted on all links"},
    {"counters/port_rcv_discards", "node_infiniband_port_discards_received_total", 1,
     "Number of inbound packets discarded by the port because the port is down or congested"},
    {"counters/port_xmit_discards", "node_infiniband_port_discards_transmitted_total", 1,
     "Number of outbound packets discarded by the port because the port is down or congested"},
    {"counters/port_rcv_errors", "node_infiniband_port_errors_received_total", 1,
     "Number of packets containing an error that were received on this port"},
    {"counters/port_rcv_packets", "node_infiniband_port_packets_received_total", 1,
     "Number of packets received on all VLs by this port (including errors)"},
    {"counters/port_xmit_packets", "node_infiniband_port_packets_transmitted_total", 1,
     "Number of packets transmitted on all VLs from this port (including errors)"},
    {"counters/port_xmit_wait", "node_infiniband_port_transmit_wait_total", 1,
     "Number of ticks during which the port had data to transmit but no data was sent during the entire "
     "tick"},
    {"counters/unicast_rcv_packets", "node_infiniband_unicast_packets_received_total", 1,
     "Number of unicast packets received (including errors)"},
    {"counters/unicast_xmit_packets", "node_infiniband_unicast_packets_transmitted_total", 1,
     "Number of unicast packets transmitted (including errors)"},
    {"counters/port_rcv_remote_physical_errors", "node_infiniband_port_receive_remote_physical_errors_total",
     1, "Number of packets marked with the EBP (End of Bad Packet) delimiter received on the port."},
    {"counters/port_rcv_switch_relay_errors", "node_infiniband_port_receive_switch_relay_errors_total", 1,
     "Number of packets that could not be forwarded by the switch."},
    {"counters/symbol_error", "node_infiniband_symbol_error_total", 1,
     "Number of minor link errors detected on one or more physical lanes."},
    {"counters/VL15_dropped", "node_infiniband_vl15_dropped_total", 1,
     "Number of incoming VL15 packets dropped due to resource limitations."},
    {"hw_counters/duplicate_request", "node_infiniband_duplicate_requests_packets_total", 1,
     "The number of received packets. A duplicate request is a request that had been previously executed."},
    {"hw_counters/implied_nak_seq_err", "node_infiniband_implied_nak_seq_errors_total", 1,
     "The number of time the requested decided an ACK. with a PSN larger than the expected PSN for an RDMA "
     "read or response."},
    {"hw_counters/local_ack_timeout_err", "node_infiniband_local_ack_timeout_errors_total", 1,
     "The number of times QP's ack timer expired for RC, XRC, DCT QPs at the sender side. The QP retry limit "
     "was not exceed, therefore it is still recoverable error."},
    {"hw_counters/np_cnp_sent", "node_infiniband_np_cnp_packets_sent_total", 1,
     "The number of CNP packets sent by the Notification Point when it noticed congestion experienced in the "
     "RoCEv2 IP header (ECN bits). The counters was added in MLNX_OFED 4.1"},
    {"hw_counters/np_ecn_marked_roce_packets", "node_infiniband_np_ecn_marked_roce_packets_received_total", 1,
     "The number of RoCEv2 packets received by the notification point which were marked for experiencing the "
     "congestion (ECN bits where '11' on the ingress RoCE traffic) . The counters was added in MLNX_OFED "
     "4.1"},
    {"hw_counters/out_of_buffer", "node_infiniband_out_of_buffer_drops_total", 1,
     "The number of drops occurred due to lack of WQE for the associated QPs."},
    {"hw_counters/out_of_sequence", "node_infiniband_out_of_sequence_packets_received_total", 1,
     "The number of out of sequence packets received."},
    {"hw_counters/packet_seq_err", "node_infiniband_packet_sequence_errors_total", 1,
     "The number of received NAK sequence error packets. The QP retry limit was not exceeded."},
    {"hw_counters/req_cqe_error", "node_infiniband_req_cqes_errors_total", 1,
     "The number of times requester detected CQEs completed with errors. The counters was added in MLNX_OFED "
     "4.1"},
    {"hw_counters/req_cqe_flush_error", "node_infiniband_req_cqes_flush_errors_total", 1,
     "The number of times requester detected CQEs completed with flushed errors. The counters was added in "
     "MLNX_OFED 4.1"},
    {"hw_counters/req_remote_access_errors", "node_infiniband_req_remote_access_errors_total", 1,
     "The number of times requester detected remote access errors. The counters was added in MLNX_OFED 4.1"},
    {"hw_counters/req_remote_invalid_request", "node_infiniband_req_remote_invalid_request_errors_total", 1,
     "The number of times requester detected remote invalid request errors. The counters was added in "
     "MLNX_OFED 4.1"},
    {"hw_counters/resp_cqe_error", "node_infiniband_resp_cqes_errors_total", 1,
     "The number of times responder detected CQEs completed with errors. The counters was added in MLNX_OFED "
     "4.1"},
    {"hw_counters/resp_cqe_flush_error", "node_infiniband_resp_cqes_flush_errors_total", 1,
     "The number of times responder detected CQEs completed with flushed errors. The counters was added in "
     "MLNX_OFED 4.1"},
    {"hw_counters/resp_local_length_error", "node_infiniband_resp_local_length_errors_total", 1,
     "The number of times responder detected local length errors. The counters was added in MLNX_OFED 4.1"},
    {"hw_counters/resp_remote_access_errors", "node_infiniband_resp_remote_access_errors_total", 1,
     "The number of times responder detected remote access errors. The counters was added in MLNX_OFED 4.1"},
    {"hw_counters/rnr_nak_retry_err", "node_infiniband_rnr_nak_retry_packets_received_total", 1,
     "The number of received RNR NAK packets. The QP retry limit was not exceeded."},
    {"hw_counters/roce_adp_retrans", "node_infiniband_roce_adp_retransmits_total", 1,
     "The number of adaptive retransmissions for RoCE traffic. The counter was added in MLNX_OFED rev "
     "5.0-1.0.0.0 and kernel v5.6.0"},
    {"hw_counters/roce_adp_retrans_to", "node_infiniband_roce_adp_retransmits_timeout_total", 1,
     "The number of times RoCE traffic reached timeout due to adaptive retransmission. The counter was added "
     "in MLNX_OFED rev 5.0-1.0.0.0 and kernel v5.6.0"},
    {"hw_counters/roce_slow_restart", "node_infiniband_roce_slow_restart_used_total", 1,
     "The number of times RoCE slow restart was used. The counter was added in MLNX_OFED rev 5.0-1.0.0.0 and "
     "kernel v5.6.0"},
    {"hw_counters/roce_slow_restart_cnps", "node_infiniband_roce_slow_restart_cnps_total", 1,
     "The number of times RoCE slow restart generated CNP packets. The counter was added in MLNX_OFED rev "
     "5.0-1.0.0.0 and kernel v5.6.0"},
    {"hw_counters/roce_slow_restart_trans", "node_infiniband_roce_slow_restart_total", 1,
     "The number of times RoCE slow restart changed state to slow restart. The counter was added in "
     "MLNX_OFED rev 5.0-1.0.0.0 and kernel v5.6.0"},
    {"hw_counters/rp_cnp_handled", "node_infiniband_rp_cnp_packets_handled_total", 1,
     "The number of CNP packets handled by the Reaction Point HCA to throttle the transmission rate. The "
     "counters was added in MLNX_OFED 4.1"},
    {"hw_counters/rp_cnp_ignored", "node_infiniband_rp_cnp_ignored_packets_received_total", 1,
     "The number of CNP packets received and ignored by the Reaction Point HCA. This counter should not "
     "raise if RoCE Congestion Control was enabled in the network. If this counter raise, verify that ECN "
     "was enabled on the adapter."},
    {"hw_counters/rx_atomic_requests", "node_infiniband_rx_atomic_requests_total", 1,
     "The number of received ATOMIC request for the associated QPs."},
    {"hw_counters/rx_dct_connect", "node_infiniband_rx_dct_connect_requests_total", 1,
     "The number of received connection requests for the associated DCTs."},
    {"hw_counters/rx_read_requests", "node_infiniband_rx_read_requests_total", 1,
     "The number of received READ requests for the associated QPs."},
    {"hw_counters/rx_write_requests", "node_infiniband_rx_write_requests_total", 1,
     "The number of received WRITE requests for the associated QPs."},
    {"hw_counters/rx_icrc_encapsulated", "node_infiniband_rx_icrc_encapsulated_errors_total", 1,
     "The number of RoCE packets with ICRC errors. This counter was added in MLNX_OFED 4.4 and kernel 4.19"},
};

struct infiniband_state {
    const char *sysfs; /* borrowed from the config */
    struct pattern_filter devices;
};

static void stop(void *ctx)
{
    struct infiniband_state *state = ctx;
    pattern_filter_fini(&state->devices);
    free(state);
}

static int start(const struct agent_config *config, void **ret_state)
{
    struct infiniband_state *state = calloc(1, sizeof *state);
    if (!state)
        return -ENOMEM;
    state->sysfs = config->host_metrics.path_sysfs;
    int err = pattern_filter_init(&state->devices, config, "infiniband.device-include",
                                  "infiniband.device-exclude", "");
    if (err < 0)
        stop(state);
    else
        *ret_state = state;
    return err;
}

/* "4: ACTIVE" is 4. */
static int read_state(const char *port, const char *file, double *ret_id)
{
    char word[WORD_BYTES], *end;
    int err = sysfs_word(word, sizeof word, "%s/%s", port, file);
    if (err < 0)
        return err;
    *ret_id = (double)strtoul(word, &end, 10);
    return end != word && *end == ':' ? 0 : -EINVAL;
}

/* "40 Gb/sec (4X QDR)" in bytes a second. */
static int read_rate(const char *port, double *ret_rate)
{
    char word[WORD_BYTES], *end;
    int err = sysfs_word(word, sizeof word, "%s/rate", port);
    if (err < 0)
        return err;
    double gigabits = (double)strtof(word, &end);
    *ret_rate = (double)(uint64_t)(gigabits * 125000000);
    return end != word && *end == ' ' ? 0 : -EINVAL;
}

static int emit_counters(struct metric_sink *sink, const char *path, const char *device, const char *port)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint64_t value;
        if (sysfs_u64(&value, "%s/%s", path, rows[i].file) == 0)
            COLLECTOR_SAMPLE(sink, rows[i].name, METRIC_COUNTER, rows[i].help,
                             (double)(value * rows[i].scale), "device", device, "port", port);
    }
    uint64_t lifespan;
    if (sysfs_u64(&lifespan, "%s/hw_counters/lifespan", path) == 0)
        COLLECTOR_SAMPLE(sink, "node_infiniband_lifespan_seconds", METRIC_GAUGE,
                         "The maximum period in ms which defines the aging of the counter reads. Two "
                         "consecutive reads within this period might return the same values.",
                         (double)(lifespan / 1000), "device", device, "port", port);
    return 0;
}

static int update_port(struct metric_sink *sink, const char *path, const char *device, const char *port)
{
    double state = 0, physical = 0, rate = 0;
    int err = read_state(path, "state", &state);
    if (err == 0)
        err = read_state(path, "phys_state", &physical);
    if (err == 0)
        err = read_rate(path, &rate);
    if (err < 0)
        return err;
    COLLECTOR_SAMPLE(
        sink, "node_infiniband_state_id", METRIC_GAUGE,
        "State of the InfiniBand port (0: no change, 1: down, 2: init, 3: armed, 4: active, 5: act defer)",
        state, "device", device, "port", port);
    COLLECTOR_SAMPLE(sink, "node_infiniband_physical_state_id", METRIC_GAUGE,
                     "Physical state of the InfiniBand port (0: no change, 1: sleep, 2: polling, 3: disable, "
                     "4: shift, 5: link up, 6: link error recover, 7: phytest)",
                     physical, "device", device, "port", port);
    COLLECTOR_SAMPLE(sink, "node_infiniband_rate_bytes_per_second", METRIC_GAUGE,
                     "Maximum signal transfer rate", rate, "device", device, "port", port);
    return emit_counters(sink, path, device, port);
}

static void emit_info(const struct infiniband_state *state, const char *device, struct metric_sink *sink)
{
    static const char *const files[] = {"board_id", "fw_ver", "hca_type"};
    char words[3][WORD_BYTES];
    for (int i = 0; i < 3; i++)
        if (sysfs_word(words[i], WORD_BYTES, "%s/class/infiniband/%s/%s", state->sysfs, device, files[i]) < 0)
            words[i][0] = '\0';
    COLLECTOR_SAMPLE(sink, "node_infiniband_info", METRIC_GAUGE,
                     "Non-numeric data from /sys/class/infiniband/<device>, value is always 1.", 1, "device",
                     device, "board_id", words[0], "firmware_version", words[1], "hca_type", words[2]);
}

static int update_device(const struct infiniband_state *state, const char *device, struct metric_sink *sink)
{
    struct sysfs_names ports;
    char path[PATH_BYTES];
    int err = sysfs_list(&ports, "%s/class/infiniband/%s/ports", state->sysfs, device);
    if (err < 0)
        return err;
    emit_info(state, device, sink);
    for (size_t i = 0; i < ports.count && err == 0; i++) {
        snprintf(path, sizeof path, "%s/class/infiniband/%s/ports/%s", state->sysfs, device, ports.items[i]);
        err = update_port(sink, path, device, ports.items[i]);
    }
    sysfs_names_fini(&ports);
    return err;
}

static int update(void *ctx, struct metric_sink *sink)
{
    const struct infiniband_state *state = ctx;
    struct sysfs_names names;
    int err = sysfs_list(&names, "%s/class/infiniband", state->sysfs);
    if (err < 0)
        return err == -ENOENT ? -ENODATA : err;
    for (size_t i = 0; i < names.count && err == 0; i++)
        if (pattern_filter_passes(&state->devices, bytes_of_string(names.items[i])))
            err = update_device(state, names.items[i], sink);
    sysfs_names_fini(&names);
    return err;
}

static const char *const flags[] = {"infiniband.device-include=~", "infiniband.device-exclude=~", NULL};

const struct collector collector_infiniband = {.name = "infiniband",
                                               .enabled_by_default = true,
                                               .start = start,
                                               .update = update,
                                               .stop = stop,
                                               .announced = true,
                                               .flags = flags};
