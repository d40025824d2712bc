/* ntp.h - the pure part of the ntp collector: an answer of SNTP (RFC 5905, section 7.3). */
#ifndef NODE_AGENT_COLLECTORS_NTP_H
#define NODE_AGENT_COLLECTORS_NTP_H

#include "base/bytes.h"

enum { NTP_PACKET_BYTES = 48 };

struct ntp_answer { /* in seconds; reference and time since 1970 */
    unsigned leap, stratum;
    double rtt, offset, reference, time, root_delay, root_dispersion, root_distance, min_error;
};

/* ntp_parse: cookie is the transmit time that the request carried; sent and received are NTP's times of it
 * and of the answer. 0 or -EBADMSG. */
int ntp_parse(struct bytes packet, uint64_t cookie, uint64_t sent, uint64_t received,
              struct ntp_answer *ret_answer);

/* ntp_is_valid: whether such an answer may be used to set a clock. */
bool ntp_is_valid(const struct ntp_answer *answer);

/* ntp_duration: a number with one unit, "3.46608s", "1ms". 0 or -EINVAL. */
int ntp_duration(const char *text, double *ret_seconds);

#endif
