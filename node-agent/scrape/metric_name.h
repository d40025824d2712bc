/* metric_name.h - names of metrics made of other names. Pure; any thread. */
#ifndef NODE_AGENT_METRIC_NAME_H
#define NODE_AGENT_METRIC_NAME_H

#include <stddef.h>

/* metric_name_sanitize: text with every run of bytes other than letters, digits and underscores, and the
 * underscores around it, as one underscore; cut to fit storage, which is returned. */
char *metric_name_sanitize(const char *text, char *storage, size_t size);

#endif
