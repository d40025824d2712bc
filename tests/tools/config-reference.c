/* config-reference.c - writes docs/agent-config.md and docs/gateway-config.md from the programs' tables.
 *
 *   config-reference agent > docs/agent-config.md
 *   config-reference gateway > docs/gateway-config.md
 *
 * ctest compares the committed files with what this prints.
 */
#include <stdio.h>
#include <string.h>

#include "gateway/config.h"
#include "node-agent/config.h"

static const struct {
    const char *name, *program, *smallest;
    const struct conf_option *options;
} programs[] = {
    {"agent", "tributary-agent", "gateway:\n  addresses: [\"tcp://tributary-gateway:9610\"]\n",
     agent_options},
    {"gateway", "tributary-gateway",
     "metrics:\n  backends:\n    - {name: prometheus, url: \"http://prometheus:9090/api/v1/write\"}\n"
     "logs:\n  backends:\n    - {name: loki, url: \"http://loki:3100/loki/api/v1/push\"}\n"
     "traces:\n  backends:\n    - {name: jaeger, url: \"http://jaeger:4318/v1/traces\"}\n",
     gateway_options},
};

static const char notation[] =
    "The file is one YAML mapping of at most 1 MiB, without anchors, aliases and tags. An unknown or "
    "repeated\n"
    "key, a wrong type or a value out of range is an error that names file, line, column and what would be\n"
    "right; `check FILE` prints all of them and starts nothing.\n\n"
    "- `${VAR}` in a value is replaced by the environment variable, `${VAR:-default}` by the default when "
    "VAR\n"
    "  is unset or empty, `$$` by a dollar sign. It happens after the YAML was read: what a variable holds\n"
    "  stays one value.\n"
    "- Durations: `500ms`, `15s`, `1m30s`, `2h`, `7d`. Sizes: `4096`, `64KiB`, `2MiB`, `1GiB`, or `KB`, "
    "`MB`,\n"
    "  `GB` as powers of 1000.\n"
    "- Keys are written with dots here and nest in the file; `[]` marks the elements of a sequence.\n\n";

static int write_reference(size_t i)
{
    struct buf out;
    buf_init(&out, 1 << 20);
    int err = buf_printf(&out,
                         "# Configuration of %s\n\n"
                         "<!-- written by tests/tools/config-reference.c; do not edit -->\n\n"
                         "A whole configuration, everything else by default:\n\n```yaml\n%s```\n\n%s",
                         programs[i].program, programs[i].smallest, notation);
    if (err == 0)
        err = conf_write_reference(programs[i].options, &out);
    if (err == 0)
        fwrite(out.ptr, 1, out.len, stdout);
    buf_fini(&out);
    return err < 0 || fflush(stdout) != 0;
}

int main(int argc, char **argv)
{
    for (size_t i = 0; argc == 2 && i < sizeof programs / sizeof programs[0]; i++) {
        if (strcmp(argv[1], programs[i].name) == 0)
            return write_reference(i);
    }
    fprintf(stderr, "usage: %s agent|gateway\n", argv[0]);
    return 2;
}
