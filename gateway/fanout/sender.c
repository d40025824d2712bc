/* What knows curl, but for the lists of request_headers and what grpc_connection does with a connection. */
#include "gateway/fanout/sender.h"

#include <curl/curl.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/clock.h"
#include "gateway/fanout/bearer.h"
#include "gateway/fanout/grpc_connection.h"
#include "gateway/fanout/request_headers.h"

enum { MOST_ANSWER = 8 * 1024, CONNECT_MS = 10 * 1000, IDLE_CONNECTION_S = 60 };

struct sender {
    const struct gateway_backend_config *config; /* borrowed */
    enum backend_kind kind;
    CURLM *multi;
    struct exchange *idle; /* owned; easy handles for the next posts */
    struct bearer bearer;
    char *url; /* owned; the one curl gets */
    struct curl_slist
        *connect_to;              /* owned; where the URL's host really is, when it names the certificate's */
    char *host;                   /* owned; then the Host header; else NULL */
    char *authority;              /* owned; host:port of the URL */
    struct grpc_connection *grpc; /* owned; of a gRPC backend */
};

struct exchange {
    struct exchange *next;
    struct sender *sender;
    struct sender_post *post;
    CURL *easy;
    struct curl_slist *headers;
    struct buf answer;
    unsigned tries; /* how often a request was begun on a connection */
    int64_t started_ns;
    char error[CURL_ERROR_SIZE];
};

/* ---- what curl calls */

static size_t on_body(char *from, size_t size, size_t count, void *ctx)
{
    struct exchange *x = ctx;
    size_t len = size * count, room = MOST_ANSWER - x->answer.len;
    if (room > 0 && buf_append(&x->answer, from, len < room ? len : room) < 0)
        return 0;
    return len;
}

/* Called before a request goes out on a connection, whether it is the first or curl's silent second try. */
static int on_connected(void *ctx, char *remote, char *local, int remote_port, int local_port)
{
    struct exchange *x = ctx;
    (void)remote;
    (void)local;
    (void)remote_port;
    (void)local_port;
    return ++x->tries == 1 ? CURL_PREREQFUNC_OK : CURL_PREREQFUNC_ABORT;
}

/* ---- an easy handle */

static void set_text(CURL *easy, CURLoption option, const char *text)
{
    if (text && text[0])
        curl_easy_setopt(easy, option, text);
}

static void set_tls(CURL *easy, const struct gateway_backend_tls *tls)
{
    set_text(easy, CURLOPT_CAINFO, tls->ca_file);
    set_text(easy, CURLOPT_SSLCERT, tls->cert_file);
    set_text(easy, CURLOPT_SSLKEY, tls->key_file);
    if (tls->insecure_skip_verify) {
        curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 0L);
        curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 0L);
    }
}

static void set_auth(CURL *easy, const struct gateway_backend_config *config)
{
    if (!config->basic_auth.username || !config->basic_auth.username[0])
        return;
    curl_easy_setopt(easy, CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC);
    curl_easy_setopt(easy, CURLOPT_USERNAME, config->basic_auth.username);
    set_text(easy, CURLOPT_PASSWORD, config->basic_auth.password);
}

static void set_connection(struct sender *sender, CURL *easy)
{
    const struct gateway_backend_config *config = sender->config;
    long timeout = config->timeout_ms > 0 ? (long)config->timeout_ms : CONNECT_MS;
    curl_easy_setopt(easy, CURLOPT_URL, sender->url);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, timeout);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, timeout < CONNECT_MS ? timeout : (long)CONNECT_MS);
    if (sender->connect_to)
        curl_easy_setopt(easy, CURLOPT_CONNECT_TO, sender->connect_to);
    set_tls(easy, &config->tls);
}

static void set_up(struct exchange *x)
{
    const struct gateway_backend_config *config = x->sender->config;
    set_connection(x->sender, x->easy);
    curl_easy_setopt(x->easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(x->easy, CURLOPT_POST, 1L);
    curl_easy_setopt(x->easy, CURLOPT_MAXAGE_CONN, (long)IDLE_CONNECTION_S);
    curl_easy_setopt(x->easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(x->easy, CURLOPT_WRITEDATA, x);
    curl_easy_setopt(x->easy, CURLOPT_PREREQFUNCTION, on_connected);
    curl_easy_setopt(x->easy, CURLOPT_PREREQDATA, x);
    curl_easy_setopt(x->easy, CURLOPT_ERRORBUFFER, x->error);
    curl_easy_setopt(x->easy, CURLOPT_PRIVATE, x);
    set_auth(x->easy, config);
}

static void exchange_free(struct exchange *x)
{
    if (x->easy)
        curl_easy_cleanup(x->easy);
    curl_slist_free_all(x->headers);
    buf_fini(&x->answer);
    free(x);
}

static struct exchange *exchange_new(struct sender *sender)
{
    struct exchange *x = sender->idle;
    if (x) {
        sender->idle = x->next;
        return x;
    }
    x = calloc(1, sizeof *x);
    if (!x)
        return NULL;
    x->sender = sender;
    buf_init(&x->answer, MOST_ANSWER);
    x->easy = curl_easy_init();
    if (!x->easy) {
        exchange_free(x);
        return NULL;
    }
    set_up(x);
    return x;
}

static int make_list(struct sender *sender, struct curl_slist **list)
{
    const char *token = bearer_get(&sender->bearer, clock_mono_ns());
    return request_headers_add(sender->config, sender->kind, sender->host, token, list);
}

/* ---- posting */

int sender_start(struct sender *sender, struct sender_post *post)
{
    if (sender->grpc)
        return grpc_connection_call(sender->grpc, post);
    struct exchange *x = exchange_new(sender);
    if (!x)
        return -ENOMEM;
    x->post = post;
    x->tries = 0;
    x->error[0] = 0;
    x->started_ns = clock_mono_ns();
    buf_clear(&x->answer);
    if (make_list(sender, &x->headers) < 0) {
        exchange_free(x);
        return -ENOMEM;
    }
    curl_easy_setopt(x->easy, CURLOPT_HTTPHEADER, x->headers);
    curl_easy_setopt(x->easy, CURLOPT_POSTFIELDS, post->body.ptr);
    curl_easy_setopt(x->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)post->body.len);
    if (curl_multi_add_handle(sender->multi, x->easy) != CURLM_OK) {
        exchange_free(x);
        return -ENOMEM;
    }
    post->exchange = x;
    return 0;
}

static void put_back(struct exchange *x)
{
    curl_multi_remove_handle(x->sender->multi, x->easy);
    curl_easy_setopt(x->easy, CURLOPT_HTTPHEADER, NULL);
    curl_slist_free_all(x->headers);
    x->headers = NULL;
    x->post->exchange = NULL;
    x->post = NULL;
    x->next = x->sender->idle;
    x->sender->idle = x;
}

void sender_abort(struct sender *sender, struct sender_post *post)
{
    if (sender->grpc)
        grpc_connection_abort(sender->grpc, post);
    else if (post->exchange)
        put_back(post->exchange);
}

static const char *words_of(const struct exchange *x, CURLcode code)
{
    if (x->tries > 1)
        return "the connection was lost before an answer";
    return x->error[0] ? x->error : curl_easy_strerror(code);
}

static int64_t date_of(const struct exchange *x)
{
    struct curl_header *date;
    if (curl_easy_header(x->easy, "Date", 0, CURLH_HEADER, -1, &date) != CURLHE_OK)
        return 0;
    time_t at = curl_getdate(date->value, NULL);
    return at > 0 ? (int64_t)at * 1000000000 : 0;
}

static void finish(struct exchange *x, CURLcode code)
{
    struct sender_post *post = x->post;
    struct sender_answer answer = {.error = "", .took_ns = clock_mono_ns() - x->started_ns};
    struct curl_header *after = NULL;
    char retry_after[128] = "", error[CURL_ERROR_SIZE] = "";
    long status = 0;
    if (code == CURLE_OK) {
        curl_easy_getinfo(x->easy, CURLINFO_RESPONSE_CODE, &status);
        if (curl_easy_header(x->easy, "Retry-After", 0, CURLH_HEADER, -1, &after) == CURLHE_OK)
            snprintf(retry_after, sizeof retry_after, "%s", after->value);
        answer.date_ns = date_of(x);
        answer.http = (struct verdict_answer){
            .status = (int)status, .retry_after = after ? retry_after : NULL, .body = buf_bytes(&x->answer)};
    } else {
        snprintf(error, sizeof error, "%s", words_of(x, code));
        answer.outcome = x->tries == 0 ? SENDER_NOT_SENT : SENDER_NO_ANSWER;
        answer.error = error;
        answer.timed_out = code == CURLE_OPERATION_TIMEDOUT;
    }
    put_back(x); /* its answer buffer is untouched until the next post */
    post->done(post, &answer);
}

void sender_run(struct sender *sender)
{
    CURLMsg *message;
    int running, left;
    curl_multi_perform(sender->multi, &running);
    while ((message = curl_multi_info_read(sender->multi, &left))) {
        char *x = NULL;
        if (message->msg != CURLMSG_DONE)
            continue;
        CURLcode code = message->data.result;
        if (sender->grpc && grpc_connection_take(sender->grpc, message->easy_handle, code))
            continue;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &x);
        finish((struct exchange *)(void *)x, code);
    }
    if (sender->grpc)
        grpc_connection_run(sender->grpc);
}

void sender_wait(struct sender *sender, int timeout_ms)
{
    struct curl_waitfd fd;
    unsigned fds = sender->grpc ? grpc_connection_wait(sender->grpc, &fd, &timeout_ms) : 0;
    curl_multi_poll(sender->multi, &fd, fds, timeout_ms, NULL);
}

void sender_wake(struct sender *sender)
{
    curl_multi_wakeup(sender->multi);
}

/* ---- other pages */

static size_t on_page(char *from, size_t size, size_t count, void *ctx)
{
    return buf_append(ctx, from, size * count) < 0 ? 0 : size * count;
}

static int get_page(struct exchange *x, const char *url, int timeout_ms, struct buf *answer,
                    char error[SENDER_MAX_ERROR])
{
    long status = 0;
    x->tries = 0;
    x->error[0] = 0;
    if (make_list(x->sender, &x->headers) < 0)
        return -ENOMEM;
    curl_easy_setopt(x->easy, CURLOPT_URL, url);
    curl_easy_setopt(x->easy, CURLOPT_HTTPGET, 1L);
    curl_easy_setopt(x->easy, CURLOPT_HTTPHEADER, x->headers);
    curl_easy_setopt(x->easy, CURLOPT_TIMEOUT_MS, (long)timeout_ms);
    curl_easy_setopt(x->easy, CURLOPT_WRITEFUNCTION, on_page);
    curl_easy_setopt(x->easy, CURLOPT_WRITEDATA, answer);
    CURLcode code = curl_easy_perform(x->easy);
    curl_easy_getinfo(x->easy, CURLINFO_RESPONSE_CODE, &status);
    if (code == CURLE_OK && status == 200)
        return 0;
    if (code == CURLE_OK)
        snprintf(error, SENDER_MAX_ERROR, "%.150s answered %ld", url, status);
    else
        snprintf(error, SENDER_MAX_ERROR, "%.100s: %.150s", url,
                 x->error[0] ? x->error : curl_easy_strerror(code));
    return code == CURLE_WRITE_ERROR ? -EMSGSIZE : -EIO;
}

int sender_get(struct sender *sender, const char *suffix, const char *path, int timeout_ms,
               struct buf *answer, char error[SENDER_MAX_ERROR])
{
    size_t len = strlen(sender->url), tail = strlen(suffix);
    char *url = NULL;
    if (len < tail || strcmp(sender->url + len - tail, suffix) != 0) {
        snprintf(error, SENDER_MAX_ERROR, "its URL does not end in %s", suffix);
        return -EINVAL;
    }
    struct exchange *x = exchange_new(sender);
    int err = -ENOMEM;
    if (x && asprintf(&url, "%.*s%s", (int)(len - tail), sender->url, path) >= 0)
        err = get_page(x, url, timeout_ms, answer, error);
    if (err == -ENOMEM)
        snprintf(error, SENDER_MAX_ERROR, "out of memory");
    if (x)
        exchange_free(x); /* a post is not done with it: its options are another's */
    free(url);
    return err;
}

/* ---- life */

static void init_curl(void)
{
    curl_global_init(CURL_GLOBAL_DEFAULT);
}

/* The certificate's name is not the URL's host: curl is given a URL with that name and told where it really
 * is. */
static int redirect_name(struct sender *sender, CURLU *parsed, const char *name)
{
    char *host = NULL, *port = NULL, text[1024];
    int err = -EINVAL;
    if (curl_url_get(parsed, CURLUPART_HOST, &host, 0) == CURLUE_OK &&
        curl_url_get(parsed, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) == CURLUE_OK &&
        curl_url_set(parsed, CURLUPART_HOST, name, 0) == CURLUE_OK) {
        snprintf(text, sizeof text, "%s:%s:%s:%s", name, port, host, port);
        sender->connect_to = curl_slist_append(NULL, text);
        snprintf(text, sizeof text, "%s:%s", host, port);
        sender->host = strdup(text);
        err = sender->connect_to && sender->host ? 0 : -ENOMEM;
    }
    curl_free(host);
    curl_free(port);
    return err;
}

/* To curl both are a plain connection; TLS is grpc_connection's. */
static int take_grpc(struct sender *sender, CURLU *parsed)
{
    char *host = NULL, *port = NULL, text[1024];
    int err = -EINVAL;
    if (curl_url_get(parsed, CURLUPART_HOST, &host, 0) == CURLUE_OK &&
        curl_url_get(parsed, CURLUPART_PORT, &port, 0) == CURLUE_OK &&
        curl_url_set(parsed, CURLUPART_SCHEME, "http", 0) == CURLUE_OK) {
        snprintf(text, sizeof text, "%s:%s", host, port);
        sender->authority = strdup(text);
        err = sender->authority ? 0 : -ENOMEM;
    }
    curl_free(host);
    curl_free(port);
    return err;
}

static int set_url(struct sender *sender)
{
    const struct gateway_backend_config *config = sender->config;
    CURLU *parsed = curl_url();
    char *url = NULL;
    if (!parsed)
        return -ENOMEM;
    int err =
        curl_url_set(parsed, CURLUPART_URL, config->url, CURLU_NON_SUPPORT_SCHEME) == CURLUE_OK ? 0 : -EINVAL;
    if (err == 0 && sender->kind == BACKEND_OTLP_GRPC)
        err = take_grpc(sender, parsed);
    if (err == 0 && !sender->authority && config->tls.server_name && config->tls.server_name[0])
        err = redirect_name(sender, parsed, config->tls.server_name);
    if (err == 0 && curl_url_get(parsed, CURLUPART_URL, &url, 0) != CURLUE_OK)
        err = -EINVAL;
    if (err == 0 && !(sender->url = strdup(url)))
        err = -ENOMEM;
    curl_free(url);
    curl_url_cleanup(parsed);
    return err;
}

static CURL *make_connection(void *ctx)
{
    CURL *easy = curl_easy_init();
    if (easy)
        set_connection(ctx, easy);
    return easy;
}

static struct curl_slist *make_headers(void *ctx)
{
    struct curl_slist *list = NULL;
    if (make_list(ctx, &list) < 0) { /* memory: the call goes without, and is answered */
        curl_slist_free_all(list);
        return NULL;
    }
    return list;
}

static int set_grpc(struct sender *sender, enum telemetry signal)
{
    static const char *const paths[TELEMETRY_COUNT] = {
        [TELEMETRY_METRICS] = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
        [TELEMETRY_LOGS] = "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
        [TELEMETRY_TRACES] = "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
    };
    const struct gateway_backend_config *config = sender->config;
    struct grpc_connection_options options = {
        .multi = sender->multi,
        .make = make_connection,
        .headers = make_headers,
        .ctx = sender,
        .authority = sender->authority,
        .tls = strncmp(config->url, "grpcs:", 6) == 0 ? &config->tls : NULL,
        .path = paths[signal],
        .timeout_ms = config->timeout_ms > 0 ? config->timeout_ms : CONNECT_MS,
    };
    sender->grpc = grpc_connection_new(&options);
    return sender->grpc ? 0 : -ENOMEM;
}

int sender_new(const struct gateway_backend_config *config, enum backend_kind kind, enum telemetry signal,
               struct sender **ret_sender)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, init_curl);
    struct sender *sender = calloc(1, sizeof *sender);
    if (!sender)
        return -ENOMEM;
    sender->config = config;
    sender->kind = kind;
    sender->bearer.path = config->bearer_token_file;
    sender->multi = curl_multi_init();
    int err = sender->multi ? set_url(sender) : -ENOMEM;
    if (err == 0 && kind == BACKEND_OTLP_GRPC)
        err = set_grpc(sender, signal);
    if (err < 0) {
        sender_free(sender);
        return err;
    }
    curl_multi_setopt(sender->multi, CURLMOPT_PIPELINING, (long)CURLPIPE_NOTHING);
    curl_multi_setopt(sender->multi, CURLMOPT_MAXCONNECTS, config->lanes > 0 ? (long)config->lanes : 1L);
    *ret_sender = sender;
    return 0;
}

void sender_free(struct sender *sender)
{
    if (!sender)
        return;
    grpc_connection_free(sender->grpc);
    while (sender->idle) {
        struct exchange *x = sender->idle;
        sender->idle = x->next;
        exchange_free(x);
    }
    if (sender->multi)
        curl_multi_cleanup(sender->multi);
    curl_slist_free_all(sender->connect_to);
    free(sender->host);
    free(sender->authority);
    free(sender->url);
    free(sender);
}
