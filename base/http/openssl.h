/* openssl.h - the few functions of OpenSSL that TLS listeners need, loaded when the first of them is made.
 *
 * Not linked: libssl and libcrypto would cost a program 1.8 MB resident at rest, TLS or not (measured on the
 * agent). Source: OpenSSL 3's manual pages, section 3; SONAMEs libssl.so.3 and libcrypto.so.3. What is a
 * macro there is here the _ctrl call that it stands for. Main thread only.
 */
#ifndef BASE_OPENSSL_H
#define BASE_OPENSSL_H

#include <openssl/err.h>
#include <openssl/ssl.h>

#define OPENSSL_SSL_FUNCTIONS(X)                                                                             \
    X(TLS_server_method)                                                                                     \
    X(SSL_CTX_new)                                                                                           \
    X(SSL_CTX_free)                                                                                          \
    X(SSL_CTX_ctrl)                                                                                          \
    X(SSL_CTX_set_options)                                                                                   \
    X(SSL_CTX_set_num_tickets)                                                                               \
    X(SSL_CTX_use_certificate_chain_file)                                                                    \
    X(SSL_CTX_use_PrivateKey_file)                                                                           \
    X(SSL_CTX_check_private_key)                                                                             \
    X(SSL_CTX_load_verify_locations)                                                                         \
    X(SSL_CTX_set_client_CA_list)                                                                            \
    X(SSL_CTX_set_verify)                                                                                    \
    X(SSL_CTX_set_alpn_select_cb)                                                                            \
    X(SSL_load_client_CA_file)                                                                               \
    X(SSL_select_next_proto)                                                                                 \
    X(SSL_new)                                                                                               \
    X(SSL_free)                                                                                              \
    X(SSL_set_bio)                                                                                           \
    X(SSL_set_accept_state)                                                                                  \
    X(SSL_do_handshake)                                                                                      \
    X(SSL_is_init_finished)                                                                                  \
    X(SSL_get0_alpn_selected)                                                                                \
    X(SSL_get_verify_result)                                                                                 \
    X(SSL_get_error)                                                                                         \
    X(SSL_read)                                                                                              \
    X(SSL_write)                                                                                             \
    X(SSL_shutdown)

#define OPENSSL_CRYPTO_FUNCTIONS(X)                                                                          \
    X(ERR_get_error)                                                                                         \
    X(ERR_clear_error)                                                                                       \
    X(ERR_reason_error_string)                                                                               \
    X(X509_verify_cert_error_string)                                                                         \
    X(BIO_meth_new)                                                                                          \
    X(BIO_meth_free)                                                                                         \
    X(BIO_meth_set_read)                                                                                     \
    X(BIO_meth_set_write)                                                                                    \
    X(BIO_meth_set_ctrl)                                                                                     \
    X(BIO_new)                                                                                               \
    X(BIO_set_data)                                                                                          \
    X(BIO_get_data)                                                                                          \
    X(BIO_set_init)                                                                                          \
    X(BIO_set_flags)                                                                                         \
    X(BIO_clear_flags)

/* Each function under its own name: openssl.SSL_new(...). */
struct openssl {
#define X(name) __typeof__(&name) name;
    OPENSSL_SSL_FUNCTIONS(X) OPENSSL_CRYPTO_FUNCTIONS(X)
#undef X
};

extern struct openssl openssl;

/* openssl_load: fills openssl; nothing to do the second time. 0, or -ENOENT: the libraries are not there, or
 * miss a function. They stay loaded. */
int openssl_load(void);

#endif
