/* A clock that can be stepped: by as many microseconds as a file says. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>

int gettimeofday(struct timeval *tv, void *tz) {
  static int (*real)(struct timeval *, void *);
  static volatile int64_t *by;
  if (!real) {
    const char *path = getenv("TASKLOCK_CLOCK_FILE");
    int fd = path ? open(path, O_RDONLY) : -1;
    void *map = fd < 0 ? MAP_FAILED : mmap(0, 8, PROT_READ, MAP_SHARED, fd, 0);
    if (map != MAP_FAILED) by = map;
    *(void **)&real = dlsym(RTLD_NEXT, "gettimeofday");
  }
  int failed = real(tv, tz);
  if (!failed && by) {
    int64_t us = (int64_t)tv->tv_sec * 1000000 + tv->tv_usec + *by;
    tv->tv_sec = us / 1000000;
    tv->tv_usec = us % 1000000;
  }
  return failed;
}
