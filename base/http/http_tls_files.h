/* http_tls_files.h - what a TLS listener is configured with. Paths of PEM files, borrowed. */
#ifndef BASE_HTTP_TLS_FILES_H
#define BASE_HTTP_TLS_FILES_H

struct http_tls_files {
    const char *cert_file, *key_file; /* the certificate with its chain; NULL or "": plain text */
    const char *client_ca_file;       /* NULL or "": clients need no certificate */
};

#endif
