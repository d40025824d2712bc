/* buffer_salvage.h - brings what can still be read of a damaged file, moved aside, into the new one. */
#ifndef BASE_BUFFER_SALVAGE_H
#define BASE_BUFFER_SALVAGE_H

#include "base/buffer/buffer_store.h"

/* buffer_salvage: every batch of the file aside that can be read and whose checksum is right comes into the
 * (opened, configured) buffer, as one handed over: with its number, so that repeats are recognised, and owed
 * to the backends that it was still owed to (where that cannot be read: to all). A first page that cannot be
 * read is replaced by one as every file of this version has it; the old one is kept beside as ASIDE.page1.
 * What was cut off a file is taken as empty pages. Rows that no sound page above leads to any more are found
 * by their leaves (buffer_leaves.h).
 * errors gets a line saying what came over, and one for each boot of an origin of which batches are missing,
 * with their numbers (buffer_missing.h). 0, also when nothing could be read; errors of
 * the new file. Before the writer starts. */
int buffer_salvage(struct buffer *buffer, const char *aside, struct buf *errors);

#endif
