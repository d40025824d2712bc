#include "proto/tls_files.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { MAX_PEM_BYTES = 1024 * 1024 };

/* The file's text with a NUL at its end. */
static int read_pem(const char *path, struct buf *text, struct buf *errors)
{
    char chunk[4096];
    size_t n;
    FILE *f = path[0] ? fopen(path, "rbe") : NULL;
    int err = f ? 0 : path[0] ? -errno : -EINVAL;
    while (err == 0 && (n = fread(chunk, 1, sizeof chunk, f)) > 0)
        err = buf_append(text, chunk, n);
    if (err == 0 && ferror(f))
        err = -EIO;
    if (err == 0)
        err = buf_append(text, "", 1);
    if (f)
        fclose(f);
    if (err < 0)
        buf_printf(errors, "tls: %s: %s\n", path[0] ? path : "a file is not named", strerror(-err));
    return err;
}

static int check(int nng_error, const char *path, struct buf *errors)
{
    if (nng_error == 0)
        return 0;
    buf_printf(errors, "tls: %s: %s\n", path, nng_strerror(nng_error));
    return nng_error == NNG_ENOMEM ? -ENOMEM : -EINVAL;
}

static int load_ca(const struct tls_files *files, nng_tls_config *config, struct buf *errors)
{
    struct buf pem;
    buf_init(&pem, MAX_PEM_BYTES);
    int err = read_pem(files->ca, &pem, errors);
    if (err == 0)
        err = check(nng_tls_config_ca_chain(config, (char *)pem.ptr, NULL), files->ca, errors);
    buf_fini(&pem);
    return err;
}

static int load_own(const struct tls_files *files, nng_tls_config *config, struct buf *errors)
{
    struct buf cert, key;
    buf_init(&cert, MAX_PEM_BYTES);
    buf_init(&key, MAX_PEM_BYTES);
    int err = read_pem(files->cert, &cert, errors);
    if (err == 0)
        err = read_pem(files->key, &key, errors);
    if (err == 0)
        err = check(nng_tls_config_own_cert(config, (char *)cert.ptr, (char *)key.ptr, NULL), files->cert,
                    errors);
    buf_fini(&cert);
    if (key.ptr)
        explicit_bzero(key.ptr, key.cap);
    buf_fini(&key);
    return err;
}

int tls_files_load(const struct tls_files *files, nng_tls_mode mode, const char *server_name,
                   nng_tls_config **ret_config, struct buf *errors)
{
    nng_tls_config *config;
    bool is_client = mode == NNG_TLS_MODE_CLIENT;
    if (is_client && (!server_name || !server_name[0])) {
        buf_printf(errors, "tls: no server name to check the certificate against\n");
        return -EINVAL;
    }
    int err = check(nng_tls_config_alloc(&config, mode), "tls", errors);
    if (err < 0)
        return err;
    err = check(nng_tls_config_auth_mode(config, NNG_TLS_AUTH_MODE_REQUIRED), "tls", errors);
    if (err == 0 && is_client)
        err = check(nng_tls_config_server_name(config, server_name), server_name, errors);
    if (err == 0)
        err = load_ca(files, config, errors);
    if (err == 0)
        err = load_own(files, config, errors);
    if (err < 0)
        nng_tls_config_free(config);
    else
        *ret_config = config;
    return err;
}
