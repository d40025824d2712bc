/* otlp_intake.h - the gateway's own OTLP listeners, for senders outside the cluster.
 *
 * What base/otlp/otlp_receiver.h holds is committed straight into the buffers, one batch of a signal at a
 * time, under an origin of its own ("gateway/" and the gateway's name) with a boot drawn at every start;
 * clients are answered after the commit. A buffer that is full or cannot commit: 503 with Retry-After, or
 * UNAVAILABLE with RetryInfo. Loop thread only.
 */
#ifndef GATEWAY_OTLP_INTAKE_H
#define GATEWAY_OTLP_INTAKE_H

#include "base/buffer/buffer.h"
#include "base/loop.h"
#include "base/stats.h"
#include "gateway/config.h"
#include "gateway/discovery/pods.h"

struct otlp_intake;

/* otlp_intake_new: listens; all but ret_intake is borrowed for the intake's life (pods may be NULL). 0 or a
 * negative errno. */
int otlp_intake_new(struct loop *loop, const struct gateway_config *config,
                    struct buffer *const buffers[TELEMETRY_COUNT], struct stats *stats, struct pods *pods,
                    struct otlp_intake **ret_intake);

/* otlp_intake_port, _grpc_port: where it listens (when port 0 was configured). */
int otlp_intake_port(const struct otlp_intake *intake);
int otlp_intake_grpc_port(const struct otlp_intake *intake);

/* otlp_intake_drain: takes no further connections; done(ctx) when what had begun was committed. */
void otlp_intake_drain(struct otlp_intake *intake, void (*done)(void *ctx), void *ctx);

/* otlp_intake_close: no callback after it; frees on the loop, after the last commit. NULL is fine. */
void otlp_intake_close(struct otlp_intake *intake);

#endif
