/* job_client.h - watches a job of the gateway from the command line (job.h). */
#ifndef GATEWAY_JOB_CLIENT_H
#define GATEWAY_JOB_CLIENT_H

#include "gateway/ask/control_client.h"

/* job_client_run: prints the job's lines; the exit status it ended with; 1 when the gateway did not answer or
 * the stream was cut off. take and ctx of question are set here. */
int job_client_run(struct control_question *question);

/* job_client_watch: the same, but lines that show takes (returns true of) are not printed. */
int job_client_watch(struct control_question *question, bool (*show)(void *ctx, const char *line), void *ctx);

#endif
