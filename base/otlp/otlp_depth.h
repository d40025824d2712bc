/* otlp_depth.h - how deep an OTLP request nests values, found without recursion.
 *
 * A pod can nest attribute values (arrays and lists in each other) as deep as its bytes allow, and a decoder
 * that recurses crashes on them: protobuf-c at 5,000 levels in 34 KB. protobuf's own decoders in C++ and Java
 * stop at 100. Only messages long enough to hold that many levels are looked into, so ordinary spans cost
 * next to nothing. Pure function, any thread.
 */
#ifndef BASE_OTLP_DEPTH_H
#define BASE_OTLP_DEPTH_H

#include "base/batch.h"

enum { OTLP_DEPTH = 100 };

/* otlp_depth_check: 0; -EBADMSG: messages nest deeper than OTLP_DEPTH, or one of those looked into is none.
 */
int otlp_depth_check(struct bytes request, enum telemetry signal);

#endif
