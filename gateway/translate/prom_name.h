/* prom_name.h - the names of OpenTelemetry as Prometheus writes them.
 *
 * Sources: the OpenTelemetry specification, "Prometheus and OpenMetrics Compatibility" (Metric Metadata:
 * names, units, suffixes; Metric Attributes: label names), and what Prometheus' own receiver makes of them by
 * default (translation strategy UnderscoreEscapingWithSuffixes). Pure functions, any thread.
 */
#ifndef GATEWAY_PROM_NAME_H
#define GATEWAY_PROM_NAME_H

#include "base/buf.h"

enum prom_kind { PROM_COUNTER, PROM_GAUGE, PROM_OTHER }; /* monotonic sum; gauge; the rest */

enum { PROM_NAME_TOKENS = 128, PROM_NAME_BYTES = 1024 };

/* prom_name_put_metric: appends the metric's name: characters outside [a-zA-Z0-9:] split it into words that
 * are joined by one underscore; the unit (ms: milliseconds, By/s: bytes_per_second; {...}: none) and, of a
 * counter, `total`, of a gauge of unit 1, `ratio`, come last and once. 0, -EINVAL (nothing is left of the
 * name), -E2BIG (more than PROM_NAME_TOKENS words or PROM_NAME_BYTES), errors of buf_reserve. */
int prom_name_put_metric(struct bytes name, struct bytes unit, enum prom_kind kind, struct buf *out);

/* prom_name_put_label: appends a label's name: each run of characters outside [a-zA-Z0-9] becomes an
 * underscore, a leading digit gets key_ before it, and with key_first (Prometheus, not Loki) a leading
 * underscore key; __x__ keeps its underscores. 0, -EINVAL (empty, or nothing but underscores), errors of
 * buf_reserve. */
int prom_name_put_label(struct bytes name, bool key_first, struct buf *out);

#endif
