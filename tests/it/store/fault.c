/* Loaded before libc into a child process: makes the disk fail on demand. What fails is the word in
 * the file named by GREENROOM_FAULT, read again at every call, so that a test turns it on and off:
 *   sync      syncing the write-ahead log fails, and what it held since the last sync is lost
 *   write     writing the write-ahead log fails
 *   full      the write-ahead log gets half of a write, then there is no space
 *   sync-back syncing the database itself fails, as when the log is copied back
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

static int is(int fd, const char *suffix) {
  char link[64], path[512];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t got = readlink(link, path, sizeof path - 1);
  size_t tail = strlen(suffix);
  if (got < (ssize_t)tail) return 0;
  path[got] = 0;
  return strcmp(path + got - tail, suffix) == 0;
}

static int told(const char *fault) {
  char word[32] = {0};
  const char *control = getenv("GREENROOM_FAULT");
  int fd = control ? open(control, O_RDONLY) : -1;
  if (fd < 0) return 0;
  ssize_t got = read(fd, word, sizeof word - 1);
  close(fd);
  return got > 0 && strcmp(word, fault) == 0;
}

static ssize_t put(int fd, const void *from, size_t size, off_t at, int positioned) {
  if (is(fd, ".db-wal")) {
    if (told("write")) { errno = EIO; return -1; }
    if (told("full")) {
      if (size < 2048) { errno = ENOSPC; return -1; }
      size /= 2;
    }
  }
  return positioned ? syscall(SYS_pwrite64, fd, from, size, at) : syscall(SYS_write, fd, from, size);
}

ssize_t write(int fd, const void *from, size_t size) { return put(fd, from, size, 0, 0); }
ssize_t pwrite(int fd, const void *from, size_t size, off_t at) { return put(fd, from, size, at, 1); }
ssize_t pwrite64(int fd, const void *from, size_t size, off_t at) { return put(fd, from, size, at, 1); }

static int sync_with(long call, int fd) {
  static off_t synced = 0;
  if (is(fd, ".db") && told("sync-back")) { errno = EIO; return -1; }
  if (is(fd, ".db-wal")) {
    if (told("sync")) {
      if (ftruncate(fd, synced) != 0) abort();
      errno = EIO;
      return -1;
    }
    synced = lseek(fd, 0, SEEK_END);
  }
  return (int)syscall(call, fd);
}

int fsync(int fd) { return sync_with(SYS_fsync, fd); }
int fdatasync(int fd) { return sync_with(SYS_fdatasync, fd); }
