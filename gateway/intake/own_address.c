#include "gateway/intake/own_address.h"

#include <stdio.h>
#include <stdlib.h>

static const char *port_of(const char *url)
{
    return strrchr(url, ':') + 1;
}

static bool is_own_port(const struct gateway_config *config, const struct receive *receive, int port)
{
    size_t listeners = config->agents.listen.count ? config->agents.listen.count : 1;
    for (size_t i = 0; i < listeners; i++)
        if (receive_port(receive, i) == port)
            return true;
    return false;
}

bool own_address_is(const struct gateway_config *config, const struct receive *receive,
                    const struct peer *peer)
{
    uv_interface_address_t *own;
    char ip[64], begin[80];
    int count = 0;
    bool found = false;
    if (!is_own_port(config, receive, atoi(port_of(peer->url))) || uv_interface_addresses(&own, &count) < 0)
        return false;
    for (int i = 0; i < count && !found; i++) {
        bool is_v4 = own[i].address.address4.sin_family == AF_INET;
        if (uv_ip_name((struct sockaddr *)&own[i].address, ip, sizeof ip) < 0)
            continue;
        snprintf(begin, sizeof begin, is_v4 ? "://%s:" : "://[%s]:", ip);
        found = strstr(peer->url, begin) != NULL;
    }
    uv_free_interface_addresses(own, count);
    return found;
}
