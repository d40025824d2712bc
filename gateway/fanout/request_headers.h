/* request_headers.h - the headers of a request to a backend, as curl's list. Pure but for memory. */
#ifndef GATEWAY_REQUEST_HEADERS_H
#define GATEWAY_REQUEST_HEADERS_H

#include <curl/curl.h>

#include "gateway/config.h"
#include "gateway/fanout/verdict.h"

/* request_headers_add: appends what the kind wants to see, who we are, the tenant, the token (NULL: none) and
 * the configured ones. host: of the Host header, NULL: curl's. 0, -ENOMEM: the list is not whole, the caller
 * frees it. */
int request_headers_add(const struct gateway_backend_config *config, enum backend_kind kind, const char *host,
                        const char *token, struct curl_slist **list);

#endif
