/* What the programs share that a C library would have, and how they protect their own files. */
#include "program.h"

/* Keeps the compiler from turning these loops into calls of themselves. */
#define NO_LOOP_IDIOM __asm__ volatile("")

void *memcpy(void *to, const void *from, size_t length)
{
	char *target = to;
	const char *source = from;
#if defined(__x86_64__)
	__asm__ volatile("rep movsb" : "+D"(target), "+S"(source), "+c"(length) : : "memory");
#else
	while (length--) {
		*target++ = *source++;
		NO_LOOP_IDIOM;
	}
#endif
	return to;
}

void *memmove(void *to, const void *from, size_t length)
{
	char *target = to;
	const char *source = from;
	if (target <= source || target >= source + length) return memcpy(to, from, length);
	while (length--) {
		target[length] = source[length];
		NO_LOOP_IDIOM;
	}
	return to;
}

void *memset(void *to, int byte, size_t length)
{
	char *target = to;
	while (length--) {
		*target++ = (char)byte;
		NO_LOOP_IDIOM;
	}
	return to;
}

struct received receive_message(int from, void *data, size_t length, int flags)
{
	/* No more than the kernel puts there for credentials, where they are asked for, and one descriptor. */
	char control[sizeof(struct credentials) + sizeof(struct rights)] __attribute__((aligned(8)));
	struct received received = { 0, -1, 0 };
	struct io_vector vector = { data, length };
	struct message_header message = { .iov = &vector, .iov_count = 1, .control = control, .control_length = sizeof control };
	received.length = CALL3(recvmsg, from, &message, flags | MSG_CMSG_CLOEXEC);
	if (is_error(received.length)) return received;
	for (u64 at = 0; at + 16 < message.control_length;) {
		const struct rights *part = (const struct rights *)(control + at);
		if (part->level == SOL_SOCKET && part->type == SCM_CREDENTIALS) received.pid = ((const struct credentials *)part)->pid;
		for (u64 i = 0; part->type == SCM_RIGHTS && i < (part->length - 16) / 4; i++) {
			int fd = (&part->fd)[i];
			if (received.fd < 0) received.fd = fd;
			else CALL1(close, fd);
		}
		at += (part->length + 7) & ~7ull;
	}
	return received;
}

/*
 * A container that gets hold of /proc/PID/exe of a child before its execve could overwrite the file for every later pod
 * (CVE-2019-5736). The program therefore runs from a mount of itself that is read-only and in no mount namespace: comes back with 0
 * where it is that already, which its name says, or with an error and at what.
 */
long run_sealed(const char *title, char **argv, char **envp, const char **problem)
{
	struct mount_attr attributes = { .attr_set = MOUNT_ATTR_RDONLY };
	if (text_equal(argv[0], title)) return 0;
	*problem = "clone the mount of the program";
	long tree = CALL3(open_tree, AT_FDCWD, "/proc/self/exe", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	if (is_error(tree)) return tree;
	*problem = "make the program read-only";
	long result = CALL5(mount_setattr, tree, "", AT_EMPTY_PATH, &attributes, sizeof attributes);
	if (is_error(result)) return result;
	*problem = "execute the sealed program";
	argv[0] = (char *)title;
	return CALL5(execveat, tree, "", argv, envp, AT_EMPTY_PATH);
}
