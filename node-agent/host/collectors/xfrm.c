/* xfrm.c - IPsec's errors: /proc/net/xfrm_stat, "NAME NUMBER" lines. */
#include <errno.h>

#include "node-agent/host/collectors/table.h"
#include "node-agent/host/host_net.h"
#include "node-agent/host/text.h"

static const struct {
    const char *key, *name, *help;
} rows[] = {
    {"XfrmInError", "node_xfrm_in_error_packets_total", "All errors not matched by other"},
    {"XfrmInBufferError", "node_xfrm_in_buffer_error_packets_total", "No buffer is left"},
    {"XfrmInHdrError", "node_xfrm_in_hdr_error_packets_total", "Header error"},
    {"XfrmInNoStates", "node_xfrm_in_no_states_packets_total",
     "No state is found i.e. Either inbound SPI, address, or IPsec protocol at SA is wrong"},
    {"XfrmInStateProtoError", "node_xfrm_in_state_proto_error_packets_total",
     "Transformation protocol specific error e.g. SA key is wrong"},
    {"XfrmInStateModeError", "node_xfrm_in_state_mode_error_packets_total",
     "Transformation mode specific error"},
    {"XfrmInStateSeqError", "node_xfrm_in_state_seq_error_packets_total",
     "Sequence error i.e. Sequence number is out of window"},
    {"XfrmInStateExpired", "node_xfrm_in_state_expired_packets_total", "State is expired"},
    {"XfrmInStateMismatch", "node_xfrm_in_state_mismatch_packets_total",
     "State has mismatch option e.g. UDP encapsulation type is mismatch"},
    {"XfrmInStateInvalid", "node_xfrm_in_state_invalid_packets_total", "State is invalid"},
    {"XfrmInTmplMismatch", "node_xfrm_in_tmpl_mismatch_packets_total",
     "No matching template for states e.g. Inbound SAs are correct but SP rule is wrong"},
    {"XfrmInNoPols", "node_xfrm_in_no_pols_packets_total",
     "No policy is found for states e.g. Inbound SAs are correct but no SP is found"},
    {"XfrmInPolBlock", "node_xfrm_in_pol_block_packets_total", "Policy discards"},
    {"XfrmInPolError", "node_xfrm_in_pol_error_packets_total", "Policy error"},
    {"XfrmOutError", "node_xfrm_out_error_packets_total", "All errors which is not matched others"},
    {"XfrmOutBundleGenError", "node_xfrm_out_bundle_gen_error_packets_total", "Bundle generation error"},
    {"XfrmOutBundleCheckError", "node_xfrm_out_bundle_check_error_packets_total", "Bundle check error"},
    {"XfrmOutNoStates", "node_xfrm_out_no_states_packets_total", "No state is found"},
    {"XfrmOutStateProtoError", "node_xfrm_out_state_proto_error_packets_total",
     "Transformation protocol specific error"},
    {"XfrmOutStateModeError", "node_xfrm_out_state_mode_error_packets_total",
     "Transformation mode specific error"},
    {"XfrmOutStateSeqError", "node_xfrm_out_state_seq_error_packets_total",
     "Sequence error i.e. Sequence number overflow"},
    {"XfrmOutStateExpired", "node_xfrm_out_state_expired_packets_total", "State is expired"},
    {"XfrmOutPolBlock", "node_xfrm_out_pol_block_packets_total", "Policy discards"},
    {"XfrmOutPolDead", "node_xfrm_out_pol_dead_packets_total", "Policy is dead"},
    {"XfrmOutPolError", "node_xfrm_out_pol_error_packets_total", "Policy error"},
    {"XfrmFwdHdrError", "node_xfrm_fwd_hdr_error_packets_total",
     "Forward routing of a packet is not allowed"},
    {"XfrmOutStateInvalid", "node_xfrm_out_state_invalid_packets_total", "State is invalid, perhaps expired"},
    {"XfrmAcquireError", "node_xfrm_acquire_error_packets_total",
     "State hasn’t been fully acquired before use"},
};
enum { ROWS = sizeof rows / sizeof *rows };

static int start(const struct agent_config *config, void **ret_state)
{
    *ret_state = host_net_file(config, "xfrm_stat");
    return *ret_state ? 0 : -ENOMEM;
}

static void stop(void *state)
{
    procfile_free(state);
}

static int update(void *state, struct metric_sink *sink)
{
    struct bytes text, line, fields[2];
    uint64_t value, values[ROWS] = {0};
    int err = procfile_read(state, &text);
    while (err == 0 && text_line(&text, &line)) {
        if (text_fields(line, fields, 2) < 2 || text_u64(fields[1], &value) < 0)
            return -EINVAL;
        for (int i = 0; i < ROWS; i++)
            if (text_is(fields[0], rows[i].key))
                values[i] = value;
    }
    for (int i = 0; i < ROWS && err == 0; i++)
        collector_emit(sink, rows[i].name, METRIC_COUNTER, rows[i].help, (double)values[i]);
    return err == -ENOENT ? -ENODATA : err;
}

const struct collector collector_xfrm = {.name = "xfrm", .start = start, .update = update, .stop = stop};
