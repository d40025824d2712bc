#include "gateway/ask/control_client.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>

#include "base/program.h"
#include "gateway/config.h"

enum { ERRORS_MAX = 65536 };

struct answer {
    const struct control_question *question;
    CURL *curl;
    bool is_closed; /* nobody reads it any more */
};

int control_client_url(struct buf *url, const char *path)
{
    buf_init(url, CONTROL_CLIENT_MAX_URL);
    return buf_printf(url, "http://gateway%s", path);
}

int control_client_add(struct buf *url, const char *name, const char *value)
{
    char *escaped = curl_easy_escape(NULL, value, 0);
    const char *separator = memchr(url->ptr, '?', url->len) ? "&" : "?";
    int err = escaped ? buf_printf(url, "%s%s=%s", separator, name, escaped) : -ENOMEM;
    curl_free(escaped);
    return err;
}

static bool print(const char *text, size_t len)
{
    return fwrite(text, 1, len, stdout) == len && fflush(stdout) == 0;
}

static long status_of(CURL *curl)
{
    long status = 0;
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    return status;
}

static size_t on_body(char *text, size_t size, size_t count, void *ctx)
{
    struct answer *answer = ctx;
    const struct control_question *question = answer->question;
    long status = status_of(answer->curl);
    if (status != 200 && status != 409)
        fprintf(stderr, "%.*s", (int)(size * count), text);
    else if (question->take)
        answer->is_closed = !question->take(question->ctx, text, size * count);
    else
        answer->is_closed = !print(text, size * count);
    return answer->is_closed ? 0 : size * count;
}

static void tell_error(CURLcode code, const char *socket)
{
    if (code == CURLE_COULDNT_CONNECT)
        fprintf(stderr, "no gateway answers at %s\n", socket);
    else if (code == CURLE_PARTIAL_FILE || code == CURLE_GOT_NOTHING || code == CURLE_RECV_ERROR)
        fprintf(stderr, "the gateway at %s ended before this was done\n", socket);
    else
        fprintf(stderr, "%s: %s\n", socket, curl_easy_strerror(code));
}

static int ask(const struct control_question *question, const char *socket)
{
    struct answer answer = {.question = question, .curl = curl_easy_init()};
    char url[CONTROL_CLIENT_MAX_URL + 1];
    if (!answer.curl)
        return -EIO;
    snprintf(url, sizeof url, "%.*s", (int)question->url->len, (const char *)question->url->ptr);
    curl_easy_setopt(answer.curl, CURLOPT_URL, url);
    curl_easy_setopt(answer.curl, CURLOPT_UNIX_SOCKET_PATH, socket);
    curl_easy_setopt(answer.curl, CURLOPT_PROXY, "");
    curl_easy_setopt(answer.curl, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(answer.curl, CURLOPT_WRITEDATA, &answer);
    if (strcmp(question->method, "POST") == 0)
        curl_easy_setopt(answer.curl, CURLOPT_POSTFIELDS, "");
    CURLcode code = curl_easy_perform(answer.curl);
    long status = status_of(answer.curl);
    if (code != CURLE_OK && !answer.is_closed)
        tell_error(code, socket);
    curl_easy_cleanup(answer.curl);
    bool is_whole = code == CURLE_OK || answer.is_closed;
    return is_whole && (status == 200 || status == 409) ? (int)status : -EIO;
}

/* The socket that the gateway's configuration names. */
static int ask_configured(const struct control_question *question)
{
    struct gateway_config config;
    struct conf_memory *memory;
    struct buf errors;
    buf_init(&errors, ERRORS_MAX);
    int err = gateway_config_load(question->config, &config, &memory, &errors);
    program_tell_errors(&errors);
    buf_fini(&errors);
    if (err < 0)
        return -EIO;
    int status = ask(question, config.control_socket);
    conf_free(memory);
    return status;
}

int control_client_ask(const struct control_question *question)
{
    curl_global_init(CURL_GLOBAL_DEFAULT);
    int status = question->socket ? ask(question, question->socket) : ask_configured(question);
    curl_global_cleanup();
    return status;
}
