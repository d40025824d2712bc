#include "gateway/fanout/grpc_tls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>

struct grpc_tls {
    SSL_CTX *context; /* owned */
    SSL *ssl;         /* owned */
    bool wants_write;
};

static int tell(const char *what, char *words, size_t size)
{
    unsigned long code = ERR_get_error();
    const char *reason = code ? ERR_reason_error_string(code) : NULL;
    snprintf(words, size, "TLS: %s%s%s", what, reason ? ": " : "", reason ? reason : "");
    ERR_clear_error();
    return -EINVAL;
}

static bool is_set(const char *text)
{
    return text && text[0];
}

static int load_files(SSL_CTX *context, const struct gateway_backend_tls *o, char *words, size_t size)
{
    bool has_ca = is_set(o->ca_file);
    if ((has_ca ? SSL_CTX_load_verify_locations(context, o->ca_file, NULL)
                : SSL_CTX_set_default_verify_paths(context)) != 1)
        return tell("ca_file", words, size);
    if (is_set(o->cert_file) && SSL_CTX_use_certificate_chain_file(context, o->cert_file) != 1)
        return tell("cert_file", words, size);
    if (is_set(o->key_file) && (SSL_CTX_use_PrivateKey_file(context, o->key_file, SSL_FILETYPE_PEM) != 1 ||
                                SSL_CTX_check_private_key(context) != 1))
        return tell("key_file", words, size);
    SSL_CTX_set_verify(context, o->insecure_skip_verify ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, NULL);
    return 0;
}

/* An address is checked as one, and is no name that SNI could carry. */
static bool set_name(SSL *ssl, const char *name)
{
    struct in6_addr address;
    if (inet_pton(AF_INET, name, &address) == 1 || inet_pton(AF_INET6, name, &address) == 1)
        return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name) == 1;
    return SSL_set1_host(ssl, name) == 1 && SSL_set_tlsext_host_name(ssl, name) == 1;
}

static int set_up(struct grpc_tls *tls, const struct gateway_backend_tls *options, const char *host, int fd,
                  char *words, size_t size)
{
    static const unsigned char protocols[] = {2, 'h', '2'};
    tls->context = SSL_CTX_new(TLS_client_method());
    if (!tls->context)
        return -ENOMEM;
    SSL_CTX_set_min_proto_version(tls->context, TLS1_2_VERSION);
    SSL_CTX_set_mode(tls->context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    int err = load_files(tls->context, options, words, size);
    if (err < 0)
        return err;
    tls->ssl = SSL_new(tls->context);
    if (!tls->ssl || SSL_set_alpn_protos(tls->ssl, protocols, sizeof protocols) != 0 ||
        SSL_set_fd(tls->ssl, fd) != 1)
        return -ENOMEM;
    if (!set_name(tls->ssl, is_set(options->server_name) ? options->server_name : host))
        return tell("server_name", words, size);
    SSL_set_connect_state(tls->ssl);
    return 0;
}

int grpc_tls_new(const struct gateway_backend_tls *options, const char *host, int fd,
                 struct grpc_tls **ret_tls, char *words, size_t words_size)
{
    struct grpc_tls *tls = calloc(1, sizeof *tls);
    if (!tls)
        return -ENOMEM;
    ERR_clear_error();
    int err = set_up(tls, options, host, fd, words, words_size);
    if (err < 0) {
        grpc_tls_free(tls);
        return err;
    }
    *ret_tls = tls;
    return 0;
}

void grpc_tls_free(struct grpc_tls *tls)
{
    if (!tls)
        return;
    SSL_free(tls->ssl);
    SSL_CTX_free(tls->context);
    free(tls);
}

/* Whether the call has only to wait. */
static bool must_wait(struct grpc_tls *tls, int result)
{
    int error = SSL_get_error(tls->ssl, result);
    tls->wants_write = error == SSL_ERROR_WANT_WRITE;
    return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE;
}

int grpc_tls_handshake(struct grpc_tls *tls, char *words, size_t words_size)
{
    const unsigned char *agreed;
    unsigned len;
    ERR_clear_error();
    int result = SSL_do_handshake(tls->ssl);
    if (result != 1 && must_wait(tls, result))
        return 0;
    if (result != 1) {
        long verified = SSL_get_verify_result(tls->ssl);
        tell(verified == X509_V_OK ? "handshake" : X509_verify_cert_error_string(verified), words,
             words_size);
        return -EPROTO;
    }
    tls->wants_write = false;
    SSL_get0_alpn_selected(tls->ssl, &agreed, &len);
    if (len == 2 && memcmp(agreed, "h2", 2) == 0)
        return 1;
    snprintf(words, words_size, "TLS: the backend does not agree to HTTP/2 (ALPN h2)");
    return -EPROTO;
}

ssize_t grpc_tls_read(struct grpc_tls *tls, void *to, size_t room)
{
    ERR_clear_error();
    int got = SSL_read(tls->ssl, to, room > INT_MAX ? INT_MAX : (int)room);
    if (got > 0)
        return got;
    return must_wait(tls, got) ? 0 : -EPIPE;
}

ssize_t grpc_tls_write(struct grpc_tls *tls, const void *from, size_t len)
{
    ERR_clear_error();
    int sent = SSL_write(tls->ssl, from, len > INT_MAX ? INT_MAX : (int)len);
    if (sent > 0)
        return sent;
    return must_wait(tls, sent) ? 0 : -EPIPE;
}

bool grpc_tls_wants_write(const struct grpc_tls *tls)
{
    return tls->wants_write;
}
