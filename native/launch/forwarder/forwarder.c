/*
 * A program that hands its call (its path, the environment's CNI_ variables, standard input) to a resident over a Unix socket, prints what
 * comes back, and runs the call by itself where no resident takes it. What it forwards to is written into its own file, at CONFIG_MARK, by
 * who installs it (forwarder.ts, which has the protocol's diagram). One file under many names: links to it are one program.
 */
#include <linux/memfd.h>
#include <linux/poll.h>
#include "../supervisor/arch.h"
#include "../supervisor/kernel.h"

enum { PATH_BYTES_MAX = 4096, INPUT_BYTES_MAX = 16 << 20, HEAD_BYTES_MAX = 1 << 20, ARGUMENTS_MAX = 16, SOCKETS = 2 };
enum { SO_PEERCRED = 17, MESSAGE_TAKEN = 1, MESSAGE_DECLINED = 2, MESSAGE_ANSWER = 3 };
enum { TAKE_MS_MAX = 5000, ANSWER_MS_MAX = 120000 };
enum outcome { ANSWERED, NOT_TAKEN, LOST };

/* SOCKETS paths and then an argument vector, each ended by a zero, the last by two. Volatile: the compiler's value is not the installed one. */
volatile char config[2048] = "podwright-forwarder-config:";
enum { CONFIG_MARK_BYTES = 27 };

struct message { u32 type, length; };
struct peer { i32 pid; u32 uid, gid; };
struct unix_address { uint16_t family; char path[108]; };

static char *head, *input;
static size_t head_length, input_length;

void *memcpy(void *to, const void *from, size_t length)
{
	char *at = to;
	for (const char *source = from; length--;) *at++ = *source++;
	return to;
}

void *memset(void *to, int byte, size_t length)
{
	for (char *at = to; length--;) *at++ = (char)byte;
	return to;
}

static int write_whole(int fd, const char *data, size_t length)
{
	while (length > 0) {
		long written = CALL3(write, fd, data, length);
		if (written == -EINTR) continue;
		if (written <= 0) return -1;
		data += written;
		length -= (size_t)written;
	}
	return 0;
}

static void end(int code) { for (;;) CALL1(exit_group, code); }

/* A document as the specification wants it; the text has no character that JSON escapes. */
static void fail(const char *code, const char *text)
{
	const char *parts[] = { "{\"cniVersion\":\"1.1.0\",\"code\":", code, ",\"msg\":\"", text, "\"}\n" };
	for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) write_whole(1, parts[i], text_length(parts[i]));
	end(1);
}

/* Until end of file. */
static void read_input(void)
{
	while (input_length < INPUT_BYTES_MAX) {
		long got = CALL3(read, 0, input + input_length, INPUT_BYTES_MAX - input_length);
		if (got == -EINTR) continue;
		if (got <= 0) return;
		input_length += (size_t)got;
	}
	fail("6", "standard input has more than 16 MiB");
}

static void add_text(const char *text, size_t length)
{
	if (head_length + length + 1 > HEAD_BYTES_MAX) fail("4", "the environment has more than 1 MiB");
	memcpy(head + head_length, text, length);
	head_length += length;
	head[head_length++] = 0;
}

/* `net:[4026531840]`: whose namespace it is. */
static void add_link(const char *path)
{
	char target[PATH_BYTES_MAX];
	long length = CALL4(readlinkat, AT_FDCWD, path, target, sizeof target);
	add_text(target, length > 0 ? (size_t)length : 0);
}

static void make_head(char **environment)
{
	add_link("/proc/self/exe");
	add_link("/proc/self/ns/net");
	add_link("/proc/self/ns/mnt");
	for (; *environment; environment++) {
		const char *each = *environment;
		if (each[0] == 'C' && each[1] == 'N' && each[2] == 'I' && each[3] == '_') add_text(each, text_length(each));
	}
	add_text("", 0);
}

static int send_whole(int fd, const char *data, size_t length)
{
	while (length > 0) {
		long sent = CALL(sendto, fd, data, length, MSG_NOSIGNAL, 0, 0);
		if (sent == -EINTR) continue;
		if (sent <= 0) return -1;
		data += sent;
		length -= (size_t)sent;
	}
	return 0;
}

/* Exactly so many bytes, none of them later than that. */
static int receive_whole(int fd, char *data, size_t length, int wait_ms)
{
	while (length > 0) {
		struct pollfd wanted = { fd, POLLIN, 0 };
		i64 wait[2] = { wait_ms / 1000, 0 };
		long ready = CALL5(ppoll, &wanted, 1, wait, 0, 0);
		if (ready == -EINTR) continue;
		if (ready <= 0) return -1;
		long got = CALL3(read, fd, data, length);
		if (got == -EINTR) continue;
		if (got <= 0) return -1;
		data += got;
		length -= (size_t)got;
	}
	return 0;
}

/* Whoever may write to this socket decides over the network of containers: root, or who runs this. */
static int is_trusted(int fd)
{
	struct peer peer = { 0, ~0u, ~0u };
	u32 size = sizeof peer;
	if (CALL5(getsockopt, fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0) return 0;
	return peer.uid == 0 || peer.uid == (u32)CALL0(geteuid);
}

/* Nothing of a message but its answer is printed: NOT_TAKEN leaves all to do, LOST leaves what nobody knows. */
static enum outcome converse(int fd, u32 *exit_code)
{
	struct message request = { (u32)head_length, (u32)input_length }, reply;
	if (send_whole(fd, (char *)&request, sizeof request) < 0) return NOT_TAKEN;
	if (send_whole(fd, head, head_length) < 0 || send_whole(fd, input, input_length) < 0) return NOT_TAKEN;
	if (receive_whole(fd, (char *)&reply, sizeof reply, TAKE_MS_MAX) < 0 || reply.type != MESSAGE_TAKEN) return NOT_TAKEN;
	if (receive_whole(fd, (char *)&reply, sizeof reply, ANSWER_MS_MAX) < 0 || reply.type != MESSAGE_ANSWER) return LOST;
	if (receive_whole(fd, (char *)exit_code, sizeof *exit_code, TAKE_MS_MAX) < 0) return LOST;
	if (reply.length < sizeof *exit_code || reply.length - sizeof *exit_code > INPUT_BYTES_MAX) return LOST;
	size_t length = reply.length - sizeof *exit_code;
	char *output = map_memory(length + 1);
	if (!output || receive_whole(fd, output, length, TAKE_MS_MAX) < 0) return LOST;
	write_whole(1, output, length);
	return ANSWERED;
}

static void forward(const char *path)
{
	struct unix_address address = { AF_UNIX, { 0 } };
	size_t length = text_length(path);
	if (length == 0 || length >= sizeof address.path) return;
	memcpy(address.path, path, length);
	int fd = (int)CALL3(socket, AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0) return;
	if (CALL3(connect, fd, &address, sizeof address) == 0 && is_trusted(fd)) {
		u32 exit_code = 1;
		enum outcome outcome = converse(fd, &exit_code);
		if (outcome == ANSWERED) end((int)exit_code);
		if (outcome == LOST) fail("11", "the resident that took this call went away before it answered; call again after DEL");
	}
	close_fd(&fd);
}

/* The input was read: it is given again. */
static void restore_input(void)
{
	int fd = (int)CALL2(memfd_create, "cni-stdin", MFD_CLOEXEC);
	if (fd < 0 || write_whole(fd, input, input_length) < 0) fail("5", "no memory for standard input");
	CALL3(lseek, fd, 0, 0);
	CALL3(dup3, fd, 0, 0);
}

__attribute__((used)) void start(long *stack)
{
	char **arguments = (char **)(stack + 1), **environment = arguments + stack[0] + 1;
	head = map_memory(HEAD_BYTES_MAX);
	input = map_memory(INPUT_BYTES_MAX);
	if (!head || !input) fail("5", "no memory");
	read_input();
	make_head(environment);
	char *next = (char *)config + CONFIG_MARK_BYTES;
	for (int i = 0; i < SOCKETS; i++) {
		forward(next);
		next += text_length(next) + 1;
	}
	char *program[ARGUMENTS_MAX + 2];
	int count = 0;
	for (; *next && count < ARGUMENTS_MAX; next += text_length(next) + 1) program[count++] = next;
	program[count] = head; /* its first text is the path of this program */
	program[count + 1] = 0;
	if (count == 0) fail("5", "this program was not installed: podwright install cni");
	restore_input();
	CALL3(execve, program[0], program, environment);
	fail("5", "the program that this one was installed with cannot be run: podwright install cni");
}
START;
