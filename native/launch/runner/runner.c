/*
 * Starts one process for an OCI runtime: what the supervisor does for a pod's, for a caller that ends when the process is there. The
 * process then belongs to whoever adopts the caller's orphans (containerd's shim, conmon), and its streams are the caller's own.
 *
 *   runner < descriptor 3: a stream socket to the caller; runner.ts has the words
 *
 * The caller's end of the socket is the process's life until it is there: whoever kills the caller kills it too.
 */
#include "../supervisor/kernel.h"
#include "../supervisor/arch.h"
#include "../supervisor/wire.h"
#include "../supervisor/program.h"
#include "../supervisor/base.c"
#include "../supervisor/program.c"

START;

static const char title[] = "podwright-oci";

enum { CONTROL_FD = 3, HIGH_FD = 64, REQUEST_MAGIC = 0x504f4349, REQUEST_BYTES_MAX = FRAME_BYTES_MAX, FIFO_FD = PROC_FD, FIFO_MODE = 0010600 };
enum { RUN_WAIT = 1, RUN_USER = 2, RUN_FORK = 4, RUN_TARGET = 8 };
enum { RECORD_CLONED = 1, RECORD_REPORT, RECORD_FAILED, RECORD_EXECUTED, RECORD_DIED, RECORD_EXITED, RECORD_STAGE };
/* Words of the process to the caller, by its program (runner.ts). */
enum { REPORT_PAUSED = -101, REPORT_READY = -102, REPORT_EXECUTING = -103 };
enum { STEP_REQUEST, STEP_SEAL, STEP_USER, STEP_MAP, STEP_NAMESPACES, STEP_CGROUP, STEP_CONSOLE, STEP_FIFO, STEP_TARGET, STEP_PROLOGUE, STEP_CLONE };

struct request { /* then cgroup, console, fifo (which it makes), user, uid map, gid map, each with its NUL, padding to 8; prologue; program */
	u32 magic, length, flags, target_pid;
	u64 clone_flags, user_flags;
	u32 string_lengths[6];
	u32 prologue_length, program_length;
};
struct record { u32 kind; i32 index, error; u32 pid; };

static int control = -1;

static void tell(u32 kind, i32 index, long error, long pid)
{
	struct record record = { kind, index, (i32)(error < 0 ? -error : error), (u32)pid };
	CALL(sendto, control, &record, sizeof record, MSG_NOSIGNAL, 0, 0);
}

static void fail(i32 step, long error) __attribute__((noreturn));
static void fail(i32 step, long error)
{
	tell(RECORD_STAGE, step, error, 0);
	for (;;) CALL1(exit_group, 1);
}

static long need(long result, i32 step)
{
	if (is_error(result)) fail(step, result);
	return result;
}

static int high(long fd, i32 step)
{
	int moved = (int)need(CALL3(fcntl, need(fd, step), F_DUPFD_CLOEXEC, HIGH_FD), step);
	CALL1(close, fd);
	return moved;
}

static void read_whole(void *to, size_t length)
{
	for (size_t at = 0; at < length;) {
		long got = CALL3(read, control, (char *)to + at, length - at);
		if (got == -EINTR) continue;
		if (got <= 0) fail(STEP_REQUEST, got ? got : -EPIPE);
		at += (size_t)got;
	}
}

static struct request *read_request(const char *strings[6], struct program **prologue, struct program **program)
{
	struct request head;
	read_whole(&head, sizeof head);
	if (head.magic != REQUEST_MAGIC || head.length < sizeof head || head.length > REQUEST_BYTES_MAX) fail(STEP_REQUEST, -EINVAL);
	char *all = map_memory(head.length);
	if (!all) fail(STEP_REQUEST, -ENOMEM);
	memcpy(all, &head, sizeof head);
	read_whole(all + sizeof head, head.length - sizeof head);
	u64 at = sizeof head;
	for (int i = 0; i < 6; i++) {
		strings[i] = head.string_lengths[i] ? all + at : NULL;
		if (head.string_lengths[i] > head.length || (at += head.string_lengths[i]) > head.length) fail(STEP_REQUEST, -EINVAL);
		if (strings[i] && all[at - 1]) fail(STEP_REQUEST, -EINVAL);
	}
	at = (at + 7) & ~7ull;
	if (at + (u64)head.prologue_length + head.program_length != head.length) fail(STEP_REQUEST, -EINVAL);
	*prologue = (struct program *)(all + at);
	*program = (struct program *)(all + at + head.prologue_length);
	if (check_program(*prologue, head.prologue_length) || check_program(*program, head.program_length)) fail(STEP_REQUEST, -EINVAL);
	return (struct request *)all;
}

static char *append(char *at, const char *text)
{
	size_t length = text_length(text);
	memcpy(at, text, length + 1);
	return at + length;
}

static void of_process(char path[64], long pid, const char *file)
{
	char digits[16];
	int at = sizeof digits - 1;
	digits[at] = 0;
	do digits[--at] = (char)('0' + pid % 10);
	while (pid /= 10);
	append(append(append(path, "/proc/"), digits + at), file);
}

static void write_map(long pid, const char *file, const char *map)
{
	char path[64];
	of_process(path, pid, file);
	need(write_file(path, map, text_length(map)), STEP_MAP);
}

/*
 * A user namespace, and those that it owns, are made by a child that only waits: we stay root of the host, who puts the root together
 * (compile-user-namespace.ts), and enter what the child made.
 */
static int make_user(const struct request *request, const char *uids, const char *gids)
{
	int pair[2];
	char byte, path[64];
	need(CALL2(pipe2, pair, O_CLOEXEC), STEP_USER);
	struct clone_args arguments = { .flags = CLONE_NEWUSER | request->user_flags, .exit_signal = SIGCHLD };
	long pid = need(CALL2(clone3, &arguments, sizeof arguments), STEP_USER);
	if (pid == 0) {
		CALL1(close, pair[1]);
		CALL3(read, pair[0], &byte, 1);
		for (;;) CALL1(exit_group, 0);
	}
	if (uids) write_map(pid, "/uid_map", uids);
	if (gids) write_map(pid, "/gid_map", gids);
	of_process(path, pid, "/ns/user");
	int user = high(open_file(path, O_RDONLY, 0), STEP_USER);
	if (request->user_flags) {
		int process = (int)need(CALL2(pidfd_open, pid, 0), STEP_NAMESPACES);
		need(CALL2(setns, process, request->user_flags), STEP_NAMESPACES);
		CALL1(close, process);
	}
	CALL1(close, pair[0]);
	CALL1(close, pair[1]);
	CALL4(wait4, pid, 0, 0, 0);
	return user;
}

static int connect_console(const char *path)
{
	struct { u16 family; char path[108]; } address = { AF_UNIX, { 0 } };
	size_t length = text_length(path);
	if (length >= sizeof address.path) fail(STEP_CONSOLE, -ENAMETOOLONG);
	memcpy(address.path, path, length + 1);
	int fd = high(CALL3(socket, AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), STEP_CONSOLE);
	need(CALL3(connect, fd, &address, sizeof address.family + length + 1), STEP_CONSOLE);
	return fd;
}

/* A terminal is handed on as the console socket's protocol has it: its name, and with that its descriptor. */
static void hand_over(int console, int terminal)
{
	static const char name[] = "/dev/ptmx";
	struct io_vector vector = { name, sizeof name - 1 };
	struct rights rights = { 20, SOL_SOCKET, SCM_RIGHTS, terminal, 0 };
	struct message_header message = { .iov = &vector, .iov_count = 1, .control = &rights, .control_length = sizeof rights };
	if (console < 0) fail(STEP_CONSOLE, -EBADF);
	need(CALL3(sendmsg, console, &message, MSG_NOSIGNAL), STEP_CONSOLE);
	CALL1(close, terminal);
}

struct ends { int report, target, fifo, user, cgroup; };

static void place(int fd, int at)
{
	if (fd >= 0) CALL3(dup3, fd, at, O_CLOEXEC);
	else CALL1(close, at);
}

static void run_child(const struct request *request, const struct ends *ends, struct program *program) __attribute__((noreturn));
static void run_child(const struct request *request, const struct ends *ends, struct program *program)
{
	u64 none = 0;
	size_t mapped = 0;
	struct failure failure = { STAGE_CGROUP, 0 };
	CALL5(prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	CALL4(rt_sigprocmask, SIG_SETMASK, &none, 0, sizeof none);
	long written = ends->cgroup >= 0 ? CALL3(write, ends->cgroup, "0", 1) : 0;
	place(ends->report, REPORT_FD);
	place(ends->target, TARGET_FD);
	place(ends->fifo, FIFO_FD);
	place(ends->user, USER_FD);
	CALL3(close_range, USER_FD + 1, ~0u, 0);
	if (!(request->flags & RUN_FORK)) CALL0(setsid);
	if (is_error(written)) {
		failure.error = (i32)-written;
	} else if (request->flags & RUN_FORK && !(program = own_program(program, request->program_length, &mapped))) {
		failure = (struct failure){ STAGE_CLONE, ENOMEM };
	} else {
		failure = run_program(program, mapped);
	}
	CALL(sendto, REPORT_FD, &failure, sizeof failure, MSG_NOSIGNAL, 0, 0);
	for (;;) CALL1(exit_group, 127);
}

static void end_with(long pid) __attribute__((noreturn));
static void end_with(long pid)
{
	i32 status = 0;
	long got = -EINTR;
	while (pid > 0 && got == -EINTR) got = CALL4(wait4, pid, &status, 0, 0);
	if (got > 0) tell(RECORD_EXITED, 0, status, pid);
	for (;;) CALL1(exit_group, 0);
}

struct pollfd { i32 fd; int16_t events, revents; };

/* From its birth until it is there (or, where it is waited for, to its end). */
static void follow(const struct request *request, int report, int console, long pid) __attribute__((noreturn));
static void follow(const struct request *request, int report, int console, long pid)
{
	enum { POLLIN = 1, POLLERR = 8, POLLHUP = 16 };
	int has_begun = 0, is_executing = 0;
	for (;;) {
		struct pollfd polled[2] = { { report, POLLIN, 0 }, { control, POLLIN, 0 } };
		long ready = CALL5(ppoll, polled, 2, 0, 0, 8);
		if (ready == -EINTR) continue;
		if (polled[0].revents) {
			struct failure word = { 0, 0 };
			struct received got = receive_message(report, &word, sizeof word, 0);
			if (got.length <= 0) {
				int is_there = is_executing || has_begun;
				tell(is_there ? RECORD_EXECUTED : RECORD_DIED, 0, 0, pid);
				if (request->flags & RUN_WAIT || !is_there) end_with(pid);
				for (;;) CALL1(exit_group, 0);
			}
			if (got.fd >= 0) {
				hand_over(console, got.fd);
			} else if (word.index == STAGE_BORN) {
				CALL4(wait4, pid, 0, 0, 0); /* it ends by itself */
				tell(RECORD_CLONED, 0, 0, pid = got.pid);
			} else if (word.index == REPORT_PAUSED || word.index == REPORT_READY) {
				tell(RECORD_REPORT, word.index, 0, pid);
				has_begun |= word.index == REPORT_READY;
				if (has_begun && !(request->flags & RUN_WAIT)) CALL1(exit_group, 0);
			} else if (word.index == REPORT_EXECUTING) {
				is_executing = 1;
			} else {
				tell(RECORD_FAILED, word.index, word.error, pid);
				end_with(pid);
			}
		} else if (polled[1].revents) {
			char byte;
			long got = CALL3(read, control, &byte, 1);
			if (got == 1) {
				CALL3(write, report, &byte, 1);
			} else if (got != -EINTR && got != -EAGAIN) {
				if (!has_begun) CALL2(kill, pid, SIGKILL);
				for (;;) CALL1(exit_group, 1);
			}
		}
	}
}

__attribute__((used, noreturn)) void start(long *stack)
{
	char **argv = (char **)(stack + 1);
	const char *strings[6], *problem = NULL;
	struct program *prologue, *program;
	int pair[2], on = 1;
	for (u64 i = 0; i < (u64)stack[0]; i++) arguments_length = (u64)(argv[i] + text_length(argv[i]) + 1 - argv[0]);
	arguments_start = argv[0];
	CALL3(close_range, CONTROL_FD + 1, ~0u, 0);
	control = CONTROL_FD;
	need(run_sealed(title, argv, argv + stack[0] + 1, &problem), STEP_SEAL);
	control = high(CONTROL_FD, STEP_REQUEST);
	CALL5(prctl, PR_SET_DUMPABLE, 0, 0, 0, 0);
	struct request *request = read_request(strings, &prologue, &program);
	const char *cgroup = strings[0], *console_path = strings[1], *fifo = strings[2], *user = strings[3];
	struct ends ends = { -1, -1, -1, -1, -1 };
	int console = console_path ? connect_console(console_path) : -1;
	if (cgroup) ends.cgroup = high(open_file(cgroup, O_WRONLY, 0), STEP_CGROUP);
	if (fifo) need(CALL4(mknodat, AT_FDCWD, fifo, FIFO_MODE, 0), STEP_FIFO);
	if (fifo) ends.fifo = high(open_file(fifo, O_RDWR, 0), STEP_FIFO);
	if (user) ends.user = high(open_file(user, O_RDONLY, 0), STEP_USER);
	if (request->flags & RUN_USER) ends.user = make_user(request, strings[4], strings[5]);
	if (request->flags & RUN_TARGET) ends.target = high(CALL2(pidfd_open, request->target_pid, 0), STEP_TARGET);
	struct failure early = run_program(prologue, 0);
	if (early.index >= 0) {
		tell(RECORD_STAGE, STEP_PROLOGUE + ((early.index + 1) << 8), early.error, 0);
		CALL1(exit_group, 1);
	}
	need(CALL4(socketpair, AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), STEP_CLONE);
	int report = high(pair[0], STEP_CLONE);
	ends.report = high(pair[1], STEP_CLONE);
	if (request->flags & RUN_FORK) need(CALL5(setsockopt, report, SOL_SOCKET, SO_PASSCRED, &on, sizeof on), STEP_CLONE);
	struct clone_args arguments = { .flags = request->clone_flags | CLONE_CLEAR_SIGHAND, .exit_signal = SIGCHLD };
	long pid = need(CALL2(clone3, &arguments, sizeof arguments), STEP_CLONE);
	if (pid == 0) run_child(request, &ends, program);
	close_fd(&ends.report);
	tell(RECORD_CLONED, 0, 0, pid);
	follow(request, report, console, pid);
}
