/* crc32c.h - CRC-32C (Castagnoli), RFC 3720 appendix B.4; with SSE 4.2 where the machine has it. */
#ifndef BASE_CRC32C_H
#define BASE_CRC32C_H

#include "base/bytes.h"

/* crc32c: the checksum of the bytes. Pure, any thread. */
uint32_t crc32c(struct bytes bytes);

#endif
