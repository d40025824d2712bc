#include "base/http/openssl.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>

struct openssl openssl;

static const struct {
    const char *name;
    void *at;
} ssl_functions[] =
    {
#define X(name) {#name, &openssl.name},
        OPENSSL_SSL_FUNCTIONS(X)
#undef X
},
  crypto_functions[] = {
#define X(name) {#name, &openssl.name},
      OPENSSL_CRYPTO_FUNCTIONS(X)
#undef X
};

static bool find(void *library, const char *name, void *at)
{
    void *found = library ? dlsym(library, name) : NULL;
    if (found)
        memcpy(at, &found, sizeof found); /* POSIX: a function's address fits */
    return found;
}

int openssl_load(void)
{
    if (openssl.SSL_new)
        return 0;
    void *crypto = dlopen("libcrypto.so.3", RTLD_LAZY | RTLD_LOCAL);
    void *ssl = dlopen("libssl.so.3", RTLD_LAZY | RTLD_LOCAL);
    bool is_whole = true;
    for (size_t i = 0; i < sizeof crypto_functions / sizeof *crypto_functions; i++)
        is_whole &= find(crypto, crypto_functions[i].name, crypto_functions[i].at);
    for (size_t i = 0; i < sizeof ssl_functions / sizeof *ssl_functions; i++)
        is_whole &= find(ssl, ssl_functions[i].name, ssl_functions[i].at);
    if (is_whole)
        return 0;
    openssl = (struct openssl){0};
    return -ENOENT;
}
