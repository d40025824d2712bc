/* pci_names.h - the names of vendors, devices and classes of the file pci.ids (pci.ids(5) of pciutils).
 *
 * The file is kept as it is and searched for every name. One thread at a time.
 */
#ifndef NODE_AGENT_COLLECTORS_PCI_NAMES_H
#define NODE_AGENT_COLLECTORS_PCI_NAMES_H

#include <stddef.h>

struct pci_names;

/* pci_names_load: path "" is where distributions have the file. NULL where it cannot be read; then every name
 * is its number. */
struct pci_names *pci_names_load(const char *path);
void pci_names_free(struct pci_names *names); /* NULL is fine */

/* Into name, cut to size; numbers are hexadecimal in small letters without 0x. What has no name is called by
 * its number, a class "Unknown class (NUMBER)". */
void pci_names_vendor(const struct pci_names *names, const char *vendor, char *name, size_t size);
void pci_names_device(const struct pci_names *names, const char *vendor, const char *device, char *name,
                      size_t size);
void pci_names_subsystem(const struct pci_names *names, const char *vendor, const char *device,
                         const char *sub_vendor, const char *sub_device, char *name, size_t size);
void pci_names_class(const struct pci_names *names, const char *class, char *name, size_t size);

#endif
