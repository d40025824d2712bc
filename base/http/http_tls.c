#include "base/http/http_tls.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/http/openssl.h"

enum { LOOK_MS = 1000, FILES = 3, OUT_MAX = 64 * 1024 * 1024, OUT_KEPT = 64 * 1024 };

/* What a file is known by. */
struct mark {
    dev_t device;
    ino_t inode;
    off_t size;
    struct timespec changed;
};

struct http_tls {
    struct http_tls_files files; /* borrowed */
    struct mark marks[FILES];
    int64_t looked_ms;
    SSL_CTX *context;  /* owned; streams hold it as well */
    BIO_METHOD *bytes; /* owned: the socket's side of OpenSSL */
    struct bytes in;   /* of the call under way: not taken yet */
    struct buf out;    /* to be sent */
    uint8_t plain[HTTP_TLS_GIVE_BYTES];
};

/* A stream is OpenSSL's object. */
static SSL *ssl_of(const struct http_tls_stream *stream)
{
    return (SSL *)(uintptr_t)stream;
}

static int tell(const char *what, char *words, size_t size)
{
    unsigned long code = openssl.ERR_get_error();
    const char *reason = code ? openssl.ERR_reason_error_string(code) : NULL;
    snprintf(words, size, "%s%s%s", what, reason ? ": " : "", reason ? reason : "");
    openssl.ERR_clear_error();
    return -EINVAL;
}

/* The bytes below TLS */

static int read_bytes(BIO *bio, char *to, int room)
{
    struct http_tls *tls = openssl.BIO_get_data(bio);
    size_t n = tls->in.len < (size_t)room ? tls->in.len : (size_t)room;
    openssl.BIO_clear_flags(bio, BIO_FLAGS_RWS | BIO_FLAGS_SHOULD_RETRY);
    if (n == 0) {
        openssl.BIO_set_flags(bio, BIO_FLAGS_READ | BIO_FLAGS_SHOULD_RETRY);
        return -1;
    }
    memcpy(to, tls->in.ptr, n);
    tls->in = bytes_skip(tls->in, n);
    return (int)n;
}

static int write_bytes(BIO *bio, const char *from, int len)
{
    struct http_tls *tls = openssl.BIO_get_data(bio);
    openssl.BIO_clear_flags(bio, BIO_FLAGS_RWS | BIO_FLAGS_SHOULD_RETRY);
    return buf_append(&tls->out, from, (size_t)len) < 0 ? -1 : len;
}

static long answer_ctrl(BIO *bio, int command, long number, void *pointer)
{
    (void)bio, (void)number, (void)pointer;
    return command == BIO_CTRL_FLUSH; /* what is written is always out */
}

static BIO_METHOD *make_method(void)
{
    BIO_METHOD *method = openssl.BIO_meth_new(BIO_TYPE_SOURCE_SINK, "connection");
    if (!method || openssl.BIO_meth_set_read(method, read_bytes) != 1 ||
        openssl.BIO_meth_set_write(method, write_bytes) != 1 ||
        openssl.BIO_meth_set_ctrl(method, answer_ctrl) != 1) {
        openssl.BIO_meth_free(method);
        return NULL;
    }
    return method;
}

/* The context: certificate, key, clients' authority */

static bool is_set(const char *path)
{
    return path && path[0];
}

static int select_protocol(SSL *ssl, const unsigned char **ret_name, unsigned char *ret_len,
                           const unsigned char *offered, unsigned offered_len, void *ctx)
{
    static const unsigned char known[] = {2, 'h', '2', 8, 'h', 't', 't', 'p', '/', '1', '.', '1'};
    unsigned char *name;
    (void)ssl, (void)ctx;
    if (openssl.SSL_select_next_proto(&name, ret_len, known, sizeof known, offered, offered_len) !=
        OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *ret_name = name;
    return SSL_TLSEXT_ERR_OK;
}

static int load_client_ca(SSL_CTX *context, const char *path, char *words, size_t size)
{
    STACK_OF(X509_NAME) * names;
    if (openssl.SSL_CTX_load_verify_locations(context, path, NULL) != 1 ||
        !(names = openssl.SSL_load_client_CA_file(path)))
        return tell("client_ca_file", words, size);
    openssl.SSL_CTX_set_client_CA_list(context, names);
    openssl.SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    return 0;
}

static int load_files(SSL_CTX *context, const struct http_tls_files *files, char *words, size_t size)
{
    if (openssl.SSL_CTX_use_certificate_chain_file(context, files->cert_file) != 1)
        return tell("cert_file", words, size);
    if (openssl.SSL_CTX_use_PrivateKey_file(context, files->key_file, SSL_FILETYPE_PEM) != 1 ||
        openssl.SSL_CTX_check_private_key(context) != 1)
        return tell("key_file", words, size);
    return is_set(files->client_ca_file) ? load_client_ca(context, files->client_ca_file, words, size) : 0;
}

static void set_up(SSL_CTX *context)
{
    long mode = SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE;
    openssl.SSL_CTX_ctrl(context, SSL_CTRL_SET_MIN_PROTO_VERSION, TLS1_2_VERSION, NULL);
    openssl.SSL_CTX_ctrl(context, SSL_CTRL_MODE, mode, NULL);
    openssl.SSL_CTX_ctrl(context, SSL_CTRL_SET_SESS_CACHE_MODE, SSL_SESS_CACHE_OFF, NULL);
    openssl.SSL_CTX_set_num_tickets(context, 0);
    openssl.SSL_CTX_set_options(context, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                             SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_IGNORE_UNEXPECTED_EOF);
    openssl.SSL_CTX_set_alpn_select_cb(context, select_protocol, NULL);
}

static int make_context(const struct http_tls_files *files, SSL_CTX **ret_context, char *words, size_t size)
{
    openssl.ERR_clear_error();
    SSL_CTX *context = openssl.SSL_CTX_new(openssl.TLS_server_method());
    if (!context)
        return -ENOMEM;
    set_up(context);
    int err = load_files(context, files, words, size);
    if (err < 0)
        openssl.SSL_CTX_free(context);
    else
        *ret_context = context;
    return err;
}

/* Files that change */

static struct mark look_at(const char *path)
{
    struct stat found;
    if (!is_set(path) || stat(path, &found) < 0)
        return (struct mark){0};
    return (struct mark){found.st_dev, found.st_ino, found.st_size, found.st_mtim};
}

static bool is_equal(const struct mark *a, const struct mark *b)
{
    return a->device == b->device && a->inode == b->inode && a->size == b->size &&
           a->changed.tv_sec == b->changed.tv_sec && a->changed.tv_nsec == b->changed.tv_nsec;
}

/* Whether one of the files is another one than at the last look. */
static bool have_changed(struct http_tls *tls)
{
    const char *const paths[FILES] = {tls->files.cert_file, tls->files.key_file, tls->files.client_ca_file};
    bool changed = false;
    for (int i = 0; i < FILES; i++) {
        struct mark mark = look_at(paths[i]);
        changed |= !is_equal(&mark, &tls->marks[i]);
        tls->marks[i] = mark;
    }
    return changed;
}

int http_tls_renew(struct http_tls *tls, int64_t now_ms, char *words, size_t words_size)
{
    SSL_CTX *context;
    if (now_ms - tls->looked_ms < LOOK_MS)
        return 0;
    tls->looked_ms = now_ms;
    if (!have_changed(tls))
        return 0;
    int err = make_context(&tls->files, &context, words, words_size);
    if (err < 0)
        return err;
    openssl.SSL_CTX_free(tls->context);
    tls->context = context;
    return 1;
}

int http_tls_new(const struct http_tls_files *files, struct http_tls **ret_tls, char *words,
                 size_t words_size)
{
    int err = openssl_load();
    if (err < 0) {
        snprintf(words, words_size, "OpenSSL (libssl.so.3) cannot be loaded");
        return err;
    }
    struct http_tls *tls = calloc(1, sizeof *tls);
    if (!tls)
        return -ENOMEM;
    tls->files = *files;
    buf_init(&tls->out, OUT_MAX);
    have_changed(tls);
    err = make_context(files, &tls->context, words, words_size);
    if (err == 0 && !(tls->bytes = make_method()))
        err = -ENOMEM;
    if (err < 0) {
        http_tls_free(tls);
        return err;
    }
    *ret_tls = tls;
    return 0;
}

void http_tls_free(struct http_tls *tls)
{
    if (!tls)
        return;
    openssl.SSL_CTX_free(tls->context);
    openssl.BIO_meth_free(tls->bytes);
    buf_fini(&tls->out);
    free(tls);
}

/* Streams */

struct http_tls_stream *http_tls_open(struct http_tls *tls)
{
    SSL *ssl = openssl.SSL_new(tls->context);
    BIO *bio = openssl.BIO_new(tls->bytes);
    if (!ssl || !bio) {
        openssl.SSL_free(ssl);
        return NULL; /* without memory: a lone BIO is the lesser evil */
    }
    openssl.BIO_set_data(bio, tls);
    openssl.BIO_set_init(bio, 1);
    openssl.SSL_set_bio(ssl, bio, bio);
    openssl.SSL_set_accept_state(ssl);
    return (struct http_tls_stream *)ssl;
}

void http_tls_close(struct http_tls_stream *stream)
{
    if (stream)
        openssl.SSL_free(ssl_of(stream));
}

bool http_tls_is_open(const struct http_tls_stream *stream)
{
    return openssl.SSL_is_init_finished(ssl_of(stream));
}

bool http_tls_is_http2(const struct http_tls_stream *stream)
{
    const unsigned char *name;
    unsigned len;
    openssl.SSL_get0_alpn_selected(ssl_of(stream), &name, &len);
    return len == 2 && memcmp(name, "h2", 2) == 0;
}

/* What a call's result means that gave no bytes. */
static enum http_tls_event judge(SSL *ssl, int result, char *words, size_t size)
{
    int error = openssl.SSL_get_error(ssl, result);
    if (error == SSL_ERROR_WANT_READ)
        return HTTP_TLS_MORE;
    if (error == SSL_ERROR_ZERO_RETURN)
        return HTTP_TLS_ENDED;
    long verified = openssl.SSL_get_verify_result(ssl);
    tell(verified == X509_V_OK ? "TLS" : openssl.X509_verify_cert_error_string(verified), words, size);
    return HTTP_TLS_FAILED;
}

enum http_tls_event http_tls_take(struct http_tls *tls, struct http_tls_stream *stream, struct bytes bytes,
                                  struct bytes *ret_plain, char *words, size_t words_size)
{
    SSL *ssl = ssl_of(stream);
    size_t len = 0;
    int n = 1;
    tls->in = bytes;
    openssl.ERR_clear_error();
    while (n > 0 && len < sizeof tls->plain) {
        n = openssl.SSL_read(ssl, tls->plain + len, (int)(sizeof tls->plain - len)); /* handshakes, too */
        len += n > 0 ? (size_t)n : 0;
    }
    *ret_plain = (struct bytes){tls->plain, len};
    tls->in = (struct bytes){0};
    return judge(ssl, n, words, words_size);
}

int http_tls_give(struct http_tls_stream *stream, struct bytes plain)
{
    openssl.ERR_clear_error();
    while (plain.len) {
        int most = plain.len < INT_MAX ? (int)plain.len : INT_MAX;
        int n = openssl.SSL_write(ssl_of(stream), plain.ptr, most);
        if (n <= 0)
            return -EIO;
        plain = bytes_skip(plain, (size_t)n);
    }
    return 0;
}

void http_tls_end(struct http_tls_stream *stream)
{
    openssl.ERR_clear_error();
    openssl.SSL_shutdown(ssl_of(stream));
    openssl.ERR_clear_error();
}

struct bytes http_tls_out(struct http_tls *tls)
{
    return buf_bytes(&tls->out);
}

void http_tls_sent(struct http_tls *tls)
{
    buf_clear(&tls->out);
    if (tls->out.cap > OUT_KEPT)
        buf_release(&tls->out, 0);
}
