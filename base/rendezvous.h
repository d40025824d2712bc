/* rendezvous.h - which of several candidates a key belongs to, the same in every program that asks.
 *
 * Highest random weight hashing (Thaler and Ravishankar, 1996): a candidate that comes or goes moves only the
 * keys that are its own. Pure, any thread.
 */
#ifndef BASE_RENDEZVOUS_H
#define BASE_RENDEZVOUS_H

#include <stdint.h>

/* rendezvous_weight: of candidate for key; the candidate with the highest one is the first choice, the next
 * highest the second. Ties are decided by the candidates' names. */
uint64_t rendezvous_weight(const char *key, const char *candidate);

#endif
