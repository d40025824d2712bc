/* start_probe.h - whether what a configuration names can be had: asked before a program that runs well is
 * stopped to be started with it.
 *
 * Each appends a line "KEY: what is wrong" to errors and returns a negative errno, or 0. What is probed is
 * let go again, so somebody else may take it meanwhile. Main thread only (names may be resolved).
 */
#ifndef BASE_START_PROBE_H
#define BASE_START_PROBE_H

#include "base/buf.h"

/* start_probe_listen: whether the address ("host:port", "[v6]:port", ":port", with tcp:// or tls+tcp:// or
 * without) can be listened on. in_use: NULL-terminated addresses that the program listens on itself; another
 * one with the port of one of them is tried with any port, so that only its host is judged. "" is fine. */
int start_probe_listen(const char *key, const char *address, const char *const *in_use, struct buf *errors);

/* start_probe_folder: whether the folder can be written to, or be made. "" is fine. */
int start_probe_folder(const char *key, const char *path, struct buf *errors);

/* start_probe_file: whether the file can be read. "" is fine. */
int start_probe_file(const char *key, const char *path, struct buf *errors);

#endif
