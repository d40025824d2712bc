/* buffer_interior.h - whether the pages between a table's root and its leaves are sound, without reading the
 * leaves: a thousandth of the file.
 *
 * A damaged one would hide every row behind it, although they are all there: so it is looked for when the
 * file is opened, and then they are found by their leaves (buffer_leaves.h). Looked at are the kinds of the
 * pages, the order of their keys, and whether the pointer map names each child as that page's own. The format
 * is SQLite's (sqlite.org/fileformat2.html: b-tree pages, pointer map pages). Only what the file itself holds
 * is seen, not its WAL.
 */
#ifndef BASE_BUFFER_INTERIOR_H
#define BASE_BUFFER_INTERIOR_H

#include <sqlite3.h>

/* buffer_interior_check: of the rowid table `table`. What is in the WAL is written back first, as far as
 * readers let it; where some is left, or the file cannot be read, nothing is said against it. 0, or -EUCLEAN.
 * Thread of the connection, outside of a transaction. */
int buffer_interior_check(sqlite3 *db, const char *table);

#endif
