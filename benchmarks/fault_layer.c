/* Counts the writes of a process to files below a folder, and fails one of them.
 *
 *     cc -shared -fPIC -o fault_layer.so fault_layer.c -ldl
 *     FAULT_DIR=/tmp/x FAULT_AT=7 FAULT_ERRNO=28 FAULT_LOG=/tmp/n LD_PRELOAD=./fault_layer.so …
 *
 * FAULT_AT is the number of the write that fails, from 1, and all behind it fail as well, as on a
 * full disk; 0 = none. The number of writes is appended to FAULT_LOG when the process ends. A write
 * is write, pwrite, writev, fsync or rename, whatever library of the process calls it.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

static long writes = 0;

static int is_ours(const char *path) {
  const char *folder = getenv("FAULT_DIR");
  return folder && path && strncmp(path, folder, strlen(folder)) == 0;
}

static int fails(void) {
  const char *at = getenv("FAULT_AT"), *number = getenv("FAULT_ERRNO");
  long failing = at ? atol(at) : 0;
  long count = __sync_add_and_fetch(&writes, 1);
  if (failing == 0 || count < failing) return 0;
  errno = number ? atoi(number) : ENOSPC;
  return 1;
}

static int fails_at(int file) {
  char link[64], path[PATH_MAX];
  snprintf(link, sizeof link, "/proc/self/fd/%d", file);
  ssize_t length = readlink(link, path, sizeof path - 1);
  if (length < 0) return 0;
  path[length] = 0;
  return is_ours(path) && fails();
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

ssize_t write(int file, const void *bytes, size_t size) {
  return fails_at(file) ? -1 : REAL(write)(file, bytes, size);
}

ssize_t pwrite(int file, const void *bytes, size_t size, off_t at) {
  return fails_at(file) ? -1 : REAL(pwrite)(file, bytes, size, at);
}

ssize_t pwrite64(int file, const void *bytes, size_t size, off64_t at) {
  return fails_at(file) ? -1 : REAL(pwrite64)(file, bytes, size, at);
}

ssize_t writev(int file, const struct iovec *parts, int count) {
  return fails_at(file) ? -1 : REAL(writev)(file, parts, count);
}

int fsync(int file) { return fails_at(file) ? -1 : REAL(fsync)(file); }

int rename(const char *from, const char *to) {
  char full[PATH_MAX];
  const char *path = to;
  if (to[0] != '/' && getcwd(full, sizeof full - 1)) {
    strncat(full, "/", sizeof full - strlen(full) - 1);
    strncat(full, to, sizeof full - strlen(full) - 1);
    path = full;
  }
  return is_ours(path) && fails() ? -1 : REAL(rename)(from, to);
}

__attribute__((destructor)) static void report(void) {
  const char *log = getenv("FAULT_LOG");
  FILE *file = log && writes ? fopen(log, "a") : NULL;
  if (!file) return;
  fprintf(file, "%ld\n", writes);
  fclose(file);
}
