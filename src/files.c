/* What R lacks of files: a checksum of their bytes, and that they are on the disk. */
#include <stdint.h>
#include "glue.h"
#ifndef _WIN32
#include <fcntl.h>
#include <unistd.h>
#endif

/* The hash FNV-1a of bytes that follow others, whose hash is `before`, or integer() for none: 64 bits as 8 bytes. */
SEXP C_checksum(SEXP bytes, SEXP before) {
  enum { N_BYTES = 8 };
  const unsigned char *x = RAW(typed(bytes, "bytes", RAWSXP, -1));
  const R_xlen_t n = Rf_xlength(bytes);
  uint64_t hash = 14695981039346656037u;
  if (TYPEOF(before) == RAWSXP) {
    const unsigned char *b = RAW(typed(before, "before", RAWSXP, N_BYTES));
    hash = 0;
    for (int i = 0; i < N_BYTES; i++) hash = hash << 8 | b[i];
  }
  for (R_xlen_t i = 0; i < n; i++) hash = (hash ^ x[i]) * 1099511628211u;
  SEXP out = Rf_allocVector(RAWSXP, N_BYTES);
  for (int i = 0; i < N_BYTES; i++) RAW(out)[i] = (unsigned char)(hash >> (56 - 8 * i));
  return out;
}

/* Waits until what was written to a file is on the disk, where the system can say so: whether that went well. */
SEXP C_sync(SEXP file) {
  int is_right = 1;
  const char *name = CHAR(STRING_ELT(typed(file, "file", STRSXP, 1), 0));
#ifndef _WIN32
  const int f = open(R_ExpandFileName(name), O_RDONLY);
  is_right = f >= 0 && fsync(f) == 0;
  if (f >= 0) close(f);
#else
  (void)name;
#endif
  return Rf_ScalarLogical(is_right);
}
