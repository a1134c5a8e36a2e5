/* The kernel's interface without a C library: types, constants and thin wrappers. A wrapper returns -errno where the call failed. */
#pragma once
#include <asm/ioctls.h>
#include <asm/unistd.h>
#include <linux/capability.h>
#include <linux/eventpoll.h>
#include <linux/fcntl.h>
#include <linux/limits.h>
#include <linux/mount.h>
#include <linux/openat2.h>
#include <linux/prctl.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <linux/stat.h>
#include <stddef.h>
#include <stdint.h>
#include "arch.h"

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int32_t i32;
typedef int64_t i64;

#define CALL(nr, a, b, c, d, e, f) \
	syscall6(__NR_##nr, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f))
#define CALL5(nr, a, b, c, d, e) CALL(nr, a, b, c, d, e, 0)
#define CALL4(nr, a, b, c, d) CALL(nr, a, b, c, d, 0, 0)
#define CALL3(nr, a, b, c) CALL(nr, a, b, c, 0, 0, 0)
#define CALL2(nr, a, b) CALL(nr, a, b, 0, 0, 0, 0)
#define CALL1(nr, a) CALL(nr, a, 0, 0, 0, 0, 0)
#define CALL0(nr) CALL(nr, 0, 0, 0, 0, 0, 0)

/* include/uapi/asm-generic/errno*.h; the same on every processor that we build for. */
enum {
	ENOENT = 2, ESRCH = 3, EINTR = 4, EIO = 5, E2BIG = 7, EBADF = 9, EAGAIN = 11, ENOMEM = 12, EACCES = 13,
	EBUSY = 16, EEXIST = 17, ENODEV = 19, ENOTDIR = 20, EINVAL = 22, EMFILE = 24, ENOSPC = 28, EPIPE = 32,
	ENAMETOOLONG = 36, ELOOP = 40, EPROTO = 71, ECANCELED = 125,
};
enum { SIGKILL = 9, SIGCHLD = 17, SIG_SETMASK = 2 };
enum { AF_UNIX = 1, SOCK_STREAM = 1, SOCK_SEQPACKET = 5, SOCK_CLOEXEC = 02000000, SOCK_NONBLOCK = 04000, SOL_SOCKET = 1, SCM_RIGHTS = 1, SCM_CREDENTIALS = 2, SO_PASSCRED = 16, SHUT_WR = 1 };
enum { MSG_DONTWAIT = 0x40, MSG_NOSIGNAL = 0x4000, MSG_CMSG_CLOEXEC = 0x40000000 };
enum { PROT_READ = 1, PROT_WRITE = 2, MAP_PRIVATE = 2, MAP_ANONYMOUS = 0x20, MAP_NORESERVE = 0x4000, MADV_DONTNEED = 4, MADV_DONTFORK = 10, MADV_DOFORK = 11 };
enum { MNT_DETACH = 2 };
enum { CLOCK_REALTIME = 0, WNOHANG = 1, WEXITED = 4, WNOWAIT = 0x1000000, P_ALL = 0, P_PID = 1, P_PIDFD = 3 };

struct message_header { /* struct msghdr */
	void *name; u32 name_length; void *iov; u64 iov_count; void *control; u64 control_length; u32 flags;
};
struct io_vector { const void *base; u64 length; };
struct rights { u64 length; i32 level, type, fd, pad; }; /* one SCM_RIGHTS control message with one descriptor */
struct credentials { u64 length; i32 level, type, pid; u32 uid, gid, pad; }; /* one SCM_CREDENTIALS control message */

static inline int is_error(long result) { return result < 0 && result > -4096; }
static inline void close_fd(int *fd)
{
	if (*fd >= 0) CALL1(close, *fd);
	*fd = -1;
}
static inline int open_file(const char *path, int flags, int mode)
{
	return (int)CALL4(openat, AT_FDCWD, path, flags | O_CLOEXEC, mode);
}
static inline size_t text_length(const char *text)
{
	size_t length = 0;
	while (text[length]) length++;
	return length;
}
static inline int text_equal(const char *a, const char *b)
{
	while (*a && *a == *b) a++, b++;
	return *a == *b;
}
/* Address space of which only touched pages cost memory; NULL when there is none. */
static inline void *map_memory(size_t length)
{
	long at = CALL(mmap, 0, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	return is_error(at) ? NULL : (void *)at;
}
/* The same, which no child has a copy of. */
static inline void *map_unforked(size_t length)
{
	void *at = map_memory(length);
	if (at) CALL3(madvise, at, length, MADV_DONTFORK);
	return at;
}
static inline u64 now_ns(void)
{
	i64 time[2];
	CALL2(clock_gettime, CLOCK_REALTIME, time);
	return (u64)time[0] * 1000000000u + (u64)time[1];
}
void *memcpy(void *to, const void *from, size_t length);
void *memmove(void *to, const void *from, size_t length);
void *memset(void *to, int byte, size_t length);
