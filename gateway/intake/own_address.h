/* own_address.h - which of the peers in the configuration is this program. Loop thread only. */
#ifndef GATEWAY_OWN_ADDRESS_H
#define GATEWAY_OWN_ADDRESS_H

#include "gateway/intake/receive.h"
#include "proto/peers.h"

/* own_address_is: whether the peer is this program: an address of this machine and a port that receive
 * listens on. */
bool own_address_is(const struct gateway_config *config, const struct receive *receive,
                    const struct peer *peer);

#endif
