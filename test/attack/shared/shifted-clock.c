/*
 * A wrong wall clock for one process: preloaded (ld.so(8), LD_PRELOAD), it adds to the real time what is in the file SHIFTED_CLOCK, a number
 * of milliseconds in 8 bytes, which may change at any time, as when somebody sets the clock. The monotonic clocks stay as they are.
 *
 *     gcc -O2 -shared -fPIC -o shifted-clock.so shifted-clock.c -ldl
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static int (*real_clock_gettime)(clockid_t, struct timespec *);
static const volatile long long *shift_ms;

__attribute__((constructor)) static void find_shift(void) {
  const char *path = getenv("SHIFTED_CLOCK");
  int fd = path == NULL ? -1 : open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return;
  void *map = mmap(NULL, sizeof *shift_ms, PROT_READ, MAP_SHARED, fd, 0);
  close(fd);
  if (map != MAP_FAILED) shift_ms = map;
}

int clock_gettime(clockid_t id, struct timespec *now) {
  if (real_clock_gettime == NULL) {
    real_clock_gettime = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
  }
  int result = real_clock_gettime(id, now);
  if (result != 0 || shift_ms == NULL || (id != CLOCK_REALTIME && id != CLOCK_REALTIME_COARSE)) return result;
  long long ns = now->tv_nsec + *shift_ms % 1000 * 1000000;
  now->tv_sec += *shift_ms / 1000 + (ns < 0 ? -1 : ns / 1000000000);
  now->tv_nsec = ns < 0 ? ns + 1000000000 : ns % 1000000000;
  return 0;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
  struct timespec time;
  (void)zone;
  clock_gettime(CLOCK_REALTIME, &time);
  now->tv_sec = time.tv_sec;
  now->tv_usec = time.tv_nsec / 1000;
  return 0;
}

time_t time(time_t *result) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  if (result != NULL) *result = now.tv_sec;
  return now.tv_sec;
}
