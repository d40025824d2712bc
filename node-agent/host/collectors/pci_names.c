#include "node-agent/host/collectors/pci_names.h"

#include <stdio.h>
#include <stdlib.h>

#include "node-agent/host/procfile.h"
#include "node-agent/host/text.h"

struct pci_names {
    struct procfile *file; /* owned */
    struct bytes text;     /* borrowed from file */
};

struct pci_names *pci_names_load(const char *path)
{
    static const char *const defaults[] = {"/usr/share/misc/pci.ids", "/usr/share/hwdata/pci.ids", NULL};
    const char *const given[] = {path, NULL};
    struct pci_names *names = calloc(1, sizeof *names);
    for (const char *const *p = *path ? given : defaults; names && *p; p++) {
        names->file = procfile_new_long(**p == '/' ? "" : ".", **p == '/' ? *p + 1 : *p);
        if (names->file && procfile_read(names->file, &names->text) == 0)
            return names;
        procfile_free(names->file);
        names->file = NULL;
    }
    free(names);
    return NULL;
}

void pci_names_free(struct pci_names *names)
{
    if (names)
        procfile_free(names->file);
    free(names);
}

static size_t depth_of(struct bytes line)
{
    size_t depth = 0;
    while (depth < line.len && line.ptr[depth] == '\t')
        depth++;
    return depth;
}

/* Finds "KEY  NAME" at that depth of tabs among the lines below the one before *rest, and leaves *rest behind
 * it. */
static bool find(struct bytes *rest, size_t depth, const char *key, struct bytes *ret_name)
{
    struct bytes line;
    size_t len = strlen(key);
    while (text_line(rest, &line)) {
        size_t tabs = depth_of(line);
        if (line.len == 0 || *line.ptr == '#')
            continue;
        if (tabs < depth)
            return false;
        line = bytes_skip(line, tabs);
        if (tabs == depth && line.len > len + 2 && memcmp(line.ptr, key, len) == 0 &&
            memcmp(line.ptr + len, "  ", 2) == 0) {
            *ret_name = bytes_skip(line, len + 2);
            return true;
        }
    }
    return false;
}

static struct bytes all_of(const struct pci_names *names)
{
    return names ? names->text : (struct bytes){0};
}

/* The name below keys, one a depth; NULL ends. */
static void put_name(const struct pci_names *names, const char *const *keys, const char *fallback, char *name,
                     size_t size)
{
    struct bytes rest = all_of(names), found = bytes_of_string(fallback);
    struct bytes at = found;
    for (size_t depth = 0; keys[depth]; depth++)
        if (!find(&rest, depth, keys[depth], &at)) {
            at = found;
            break;
        }
    while (at.len && (at.ptr[at.len - 1] == ' ' || at.ptr[at.len - 1] == '\r'))
        at.len--;
    text_copy(at, name, size);
}

void pci_names_vendor(const struct pci_names *names, const char *vendor, char *name, size_t size)
{
    put_name(names, (const char *const[]){vendor, NULL}, vendor, name, size);
}

void pci_names_device(const struct pci_names *names, const char *vendor, const char *device, char *name,
                      size_t size)
{
    put_name(names, (const char *const[]){vendor, device, NULL}, device, name, size);
}

void pci_names_subsystem(const struct pci_names *names, const char *vendor, const char *device,
                         const char *sub_vendor, const char *sub_device, char *name, size_t size)
{
    char key[64];
    snprintf(key, sizeof key, "%s %s", sub_vendor, sub_device);
    put_name(names, (const char *const[]){vendor, device, key, NULL}, sub_device, name, size);
}

/* The most of "C CC", "SS" and "PP" that has a name. */
void pci_names_class(const struct pci_names *names, const char *class, char *name, size_t size)
{
    char base[8], sub[4], interface[4], unknown[64];
    snprintf(base, sizeof base, "C %.2s", class);
    snprintf(sub, sizeof sub, "%.2s", strlen(class) >= 4 ? class + 2 : "");
    snprintf(interface, sizeof interface, "%.2s", strlen(class) >= 6 ? class + 4 : "");
    snprintf(unknown, sizeof unknown, "Unknown class (%s)", class);
    put_name(names, (const char *const[]){base, NULL}, unknown, name, size);
    char more[256];
    put_name(names, (const char *const[]){base, sub, NULL}, name, more, sizeof more);
    put_name(names, (const char *const[]){base, sub, interface, NULL}, more, name, size);
}
