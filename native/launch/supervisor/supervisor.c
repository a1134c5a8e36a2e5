/*
 * The pod supervisor: holds the pod's namespaces, is parent and reaper of its processes, writes their logs, and speaks wire.h on DIR/sock.
 * It has no policy: what a process is made of comes as a syscall program.
 *
 *   supervisor DIR [netns=PATH] [hostname=NAME] [ipc] [pid] [user="0 FIRST COUNT"] [cgroup=PATH] [sysctl=KEY=VALUE]...
 *
 * Goes into the background when the socket is there and every namespace is joined; until then an error is one line on stderr,
 * `what: errno`, and exit status 1.
 */
#include "supervisor.h"

START;

char scratch[READ_BYTES] __attribute__((aligned(4096)));
u8 buffers_touched;
int has_pod_pid, pod_init = -1, pod_proc = -1, pod_user = -1, exits_file = -1;
static int epoll = -1;
static const char title[] = "podwright-pod";

/* ---- the loop ---- */

static struct epoll_event event_of(u32 events, u32 kind, u32 index) { return (struct epoll_event){ events, (u64)kind << 32 | index }; }

int watch(int fd, u32 events, u32 kind, u32 index)
{
	struct epoll_event event = event_of(events, kind, index);
	return (int)-CALL4(epoll_ctl, epoll, EPOLL_CTL_ADD, fd, &event);
}

void rewatch(int fd, u32 events, u32 kind, u32 index)
{
	struct epoll_event event = event_of(events, kind, index);
	CALL4(epoll_ctl, epoll, EPOLL_CTL_MOD, fd, &event);
}

void unwatch(int fd) { CALL4(epoll_ctl, epoll, EPOLL_CTL_DEL, fd, 0); }

static void dispatch(int listener, int signals, const struct epoll_event *event)
{
	u32 index = (u32)event->data;
	switch ((u32)(event->data >> 32)) {
	case WATCH_LISTENER: accept_clients(listener); break;
	case WATCH_SIGNALS:
		CALL3(read, signals, scratch, sizeof scratch);
		reap_processes();
		break;
	case WATCH_CLIENT: on_client(index, event->events); break;
	case WATCH_REPORT: on_report(index); break;
	case WATCH_OUTPUT: on_output(index / 2, index % 2); break;
	case WATCH_STDIN: on_stdin(index); break;
	}
}

static void release_buffers(void)
{
	CALL3(madvise, scratch, sizeof scratch, MADV_DONTNEED);
	release_log_batch();
	release_nearby();
	release_client_buffers();
	buffers_touched = 0;
}

static void serve(int listener, int signals) __attribute__((noreturn));
static void serve(int listener, int signals)
{
	struct epoll_event events[16];
	for (;;) {
		/* After a quiet second the pages of the buffers go back: most pods are idle most of the time. */
		long count = CALL(epoll_pwait, epoll, events, 16, buffers_touched ? 1000 : -1, 0, 8);
		if (count == 0) release_buffers();
		for (long i = 0; i < count; i++) dispatch(listener, signals, events + i);
		sweep_clients();
		resume_output();
	}
}

/* ---- start ---- */

static void say(const char *text) { CALL3(write, 2, text, text_length(text)); }

void die(const char *what, long error)
{
	char digits[8];
	int at = sizeof digits - 1;
	u32 number = (u32)(error < 0 ? -error : error);
	digits[at] = 0;
	do digits[--at] = (char)('0' + number % 10), number /= 10;
	while (number && at > 0);
	say(what);
	say(": ");
	say(digits + at);
	say("\n");
	for (;;) CALL1(exit_group, 1);
}

static long check(long result, const char *what)
{
	if (is_error(result)) die(what, result);
	return result;
}

static const char *value_of(const char *argument, const char *name)
{
	while (*name && *argument == *name) argument++, name++;
	return *name || *argument != '=' ? NULL : argument + 1;
}

static void write_sysctl(char *assignment)
{
	char path[256] = "/proc/sys/";
	u32 at = 10;
	char *value = assignment;
	for (; *value && *value != '=' && at < sizeof path - 1; value++) path[at++] = *value == '.' ? '/' : *value;
	path[at] = 0;
	if (*value++ != '=') die(assignment, EINVAL);
	int fd = (int)check(open_file(path, O_WRONLY, 0), path);
	check(CALL3(write, fd, value, text_length(value)), path);
	close_fd(&fd);
}

/*
 * The first process of the pod's pid namespace: reaps what is left to it, ends with the supervisor. The containers see it, and it stays:
 * so it has nothing of the host's. Before it lets go of its rights it makes the namespace's proc, alone in a mount namespace that the
 * supervisor keeps (`to` gets it), since nobody who is born later may be seen with the right to.
 */
static void run_pod_init(int to) __attribute__((noreturn));
static void run_pod_init(int to)
{
	enum { NOBODY = 65535 };
	const u32 sealed = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
	struct { u64 handler, flags, restorer, mask; } ignore = { 1 /* SIG_IGN: children vanish without wait */, 0, 0, 0 };
	struct mount_attr slave = { .propagation = MS_SLAVE };
	CALL4(rt_sigaction, SIGCHLD, &ignore, 0, 8);
	CALL5(prctl, PR_SET_NAME, "pause", 0, 0, 0);
	check(CALL5(mount_setattr, AT_FDCWD, "/", AT_RECURSIVE, &slave, sizeof slave), "leave the host's mounts");
	int proc = (int)check(make_mount("proc", "source=proc\0", 0), "make the pod's proc");
	check(become_root(proc, "."), "make the pod's proc a mount namespace");
	int namespace = (int)check(open_file("/self/ns/mnt", O_RDONLY, 0), "open the mount namespace of the pod's proc");
	check(send_fd(to, namespace), "hand over the mount namespace of the pod's proc");
	check(CALL1(unshare, CLONE_NEWNS), "unshare mounts");
	int empty = (int)check(make_mount("tmpfs", "source=tmpfs\0mode=555\0nr_inodes=1\0", sealed), "make an empty root");
	check(become_root(empty, "/sys"), "enter the empty root");
	check(drop_bounding(0, 0), "drop capabilities");
	check(CALL2(setgroups, 0, 0), "drop groups");
	check(CALL3(setresgid, NOBODY, NOBODY, NOBODY), "become nobody");
	check(CALL3(setresuid, NOBODY, NOBODY, NOBODY), "become nobody");
	CALL5(prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	CALL5(prctl, PR_SET_DUMPABLE, 0, 0, 0, 0); /* 0 anyway but where fs.suid_dumpable says otherwise */
	check(CALL5(prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0), "ask to end with the supervisor");
	for (u64 i = text_length(arguments_start); i < arguments_length; i++) arguments_start[i] = 0;
	CALL3(dup3, to, REPORT_FD, O_CLOEXEC);
	CALL3(write, REPORT_FD, "", 1); /* Now containers may come: after what follows, as they take longer. */
	CALL2(shutdown, REPORT_FD, SHUT_WR);
	CALL3(close_range, 0, REPORT_FD - 1, 0);
	CALL3(close_range, REPORT_FD + 1, ~0u, 0);
	CALL5(prctl, PR_SET_SECCOMP, SECCOMP_MODE_STRICT, 0, 0, 0); /* read and exit, whoever may trace it */
	for (char byte; CALL3(read, REPORT_FD, &byte, 1) == -EINTR;) continue;
	for (;;) CALL1(exit, 0);
}

/* With "wait" the network namespace is still being made: a byte says that it is there, an end that it will not be. */
static void wait_for_launcher(char **arguments)
{
	char byte;
	for (; *arguments; arguments++) {
		if (text_equal(*arguments, "wait") && CALL3(read, 2, &byte, 1) != 1) CALL1(exit_group, 1);
	}
}

/* Out of the way of what a child puts at the numbers up to USER_FD. */
static int move_up(int fd)
{
	int moved = (int)check(CALL3(fcntl, fd, F_DUPFD_CLOEXEC, USER_FD + 1), "duplicate a descriptor");
	close_fd(&fd);
	return moved;
}

static const char *argument_named(char **arguments, const char *name)
{
	const char *value = NULL;
	for (; *arguments && !value; arguments++) value = value_of(*arguments, name);
	return value;
}

static void write_sysctls(char **arguments)
{
	for (; *arguments; arguments++) {
		if (value_of(*arguments, "sysctl")) write_sysctl((char *)value_of(*arguments, "sysctl"));
	}
}

/* "/proc/PID/NAME" */
static const char *proc_path(long pid, const char *name)
{
	static char path[48];
	char digits[12];
	u32 at = sizeof digits, length = 6;
	memcpy(path, "/proc/", 6);
	do digits[--at] = (char)('0' + pid % 10), pid /= 10;
	while (pid && at > 0);
	memcpy(path + length, digits + at, sizeof digits - at);
	length += sizeof digits - at;
	path[length++] = '/';
	memcpy(path + length, name, text_length(name) + 1);
	return path;
}

static void write_map(long pid, const char *name, const char *map)
{
	const char *path = proc_path(pid, name);
	int fd = (int)check(open_file(path, O_WRONLY, 0), path);
	check(CALL3(write, fd, map, text_length(map)), name);
	close_fd(&fd);
}

static int open_namespace(long pid, const char *name)
{
	const char *path = proc_path(pid, name);
	return (int)check(open_file(path, O_RDONLY, 0), path);
}

static void join_namespace_of(long pid, const char *name, u64 kind)
{
	int fd = open_namespace(pid, name);
	check(CALL2(setns, fd, kind), name);
	close_fd(&fd);
}

/*
 * The pod's user namespace and those that it owns (`fresh`) are made by a child that ends: whoever joins a user namespace has no rights
 * outside of it any more, and we go on having ours. Parameters of the kernel are set by the child, as root of the namespace: those of ipc ask
 * for its uid. The network namespace is bound at `netns`, for the pod's network.
 */
static void make_user_namespace(const char *map, u64 fresh, const char *netns, char **arguments)
{
	int pair[2];
	char byte;
	check(CALL4(socketpair, AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), "socketpair");
	struct clone_args child = { .flags = CLONE_NEWUSER | fresh, .exit_signal = SIGCHLD };
	long pid = check(CALL2(clone3, &child, sizeof child), "clone into a user namespace");
	if (pid == 0) {
		CALL1(close, pair[0]);
		if (CALL3(read, pair[1], &byte, 1) != 1) CALL1(exit_group, 1);
		check(CALL3(setresgid, 0, 0, 0), "become root of the user namespace");
		check(CALL3(setresuid, 0, 0, 0), "become root of the user namespace");
		write_sysctls(arguments);
		CALL3(write, pair[1], "", 1);
		CALL3(read, pair[1], &byte, 1); /* until we are known by descriptors */
		for (;;) CALL1(exit_group, 0);
	}
	CALL1(close, pair[1]);
	write_map(pid, "uid_map", map);
	write_map(pid, "gid_map", map);
	CALL3(write, pair[0], "", 1);
	if (CALL3(read, pair[0], &byte, 1) != 1) CALL1(exit_group, 1); /* It has said why. */
	pod_user = open_namespace(pid, "ns/user");
	if (fresh & CLONE_NEWUTS) join_namespace_of(pid, "ns/uts", CLONE_NEWUTS);
	if (fresh & CLONE_NEWIPC) join_namespace_of(pid, "ns/ipc", CLONE_NEWIPC);
	if (fresh & CLONE_NEWNET) {
		int place = (int)check(open_file(netns, O_CREAT | O_EXCL, 0), netns);
		close_fd(&place);
		check(CALL5(mount, proc_path(pid, "ns/net"), netns, 0, MS_BIND, 0), netns);
		join_namespace_of(pid, "ns/net", CLONE_NEWNET);
	}
	CALL1(close, pair[0]);
	CALL4(wait4, pid, 0, 0, 0);
}

static void join_namespaces(char **arguments, int is_in_cgroup)
{
	u64 fresh = 0;
	const char *hostname = NULL, *ids = argument_named(arguments, "user"), *netns = NULL, *value;
	for (char **argument = arguments; *argument; argument++) {
		if (ids && (value = value_of(*argument, "netns"))) {
			netns = value;
			fresh |= CLONE_NEWNET;
		} else if ((value = value_of(*argument, "netns"))) {
			int fd = (int)check(open_file(value, O_RDONLY, 0), value);
			check(CALL2(setns, fd, CLONE_NEWNET), value);
			close_fd(&fd);
		} else if ((value = value_of(*argument, "hostname"))) {
			hostname = value;
			fresh |= CLONE_NEWUTS;
		} else if (text_equal(*argument, "ipc")) {
			fresh |= CLONE_NEWIPC;
		} else if (text_equal(*argument, "pid")) {
			has_pod_pid = 1;
		} else if ((value = value_of(*argument, "cgroup"))) {
			if (is_in_cgroup) continue;
			check(CALL1(chdir, value), value);
			int fd = (int)check(open_file("cgroup.procs", O_WRONLY, 0), value);
			check(CALL3(write, fd, "0", 1), value);
			close_fd(&fd);
		} else if (!value_of(*argument, "sysctl") && !value_of(*argument, "user") && !text_equal(*argument, "wait")) {
			die(*argument, EINVAL);
		}
	}
	if (ids) make_user_namespace(ids, fresh, netns, arguments);
	else if (fresh) check(CALL1(unshare, fresh), "unshare ipc and uts");
	if (hostname) check(CALL2(sethostname, hostname, text_length(hostname)), "sethostname");
	if (ids) pod_user = move_up(pod_user);
	else write_sysctls(arguments);
}

/* Where a word of it is missing, the first process has ended and said of what. */
static void start_pod_pid(void)
{
	int pair[2];
	char byte;
	if (!has_pod_pid) return;
	check(CALL4(socketpair, AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), "socketpair");
	struct clone_args arguments = { .flags = CLONE_NEWPID | CLONE_NEWNS, .exit_signal = SIGCHLD };
	long pid = check(CALL2(clone3, &arguments, sizeof arguments), "clone the pod's init");
	if (pid == 0) run_pod_init(pair[1]);
	CALL1(close, pair[1]);
	pod_proc = receive_message(pair[0], &byte, 1, 0).fd;
	if (pod_proc < 0 || CALL3(read, pair[0], &byte, 1) != 1) CALL1(exit_group, 1);
	move_up(pair[0]); /* as long as we live it reads from there */
	pod_proc = move_up(pod_proc);
	pod_init = move_up((int)check(CALL2(pidfd_open, pid, 0), "open the pod's init"));
}

static int listen_here(void)
{
	struct { u16 family; char path[14]; } address = { AF_UNIX, "sock" };
	CALL3(unlinkat, AT_FDCWD, "sock", 0);
	int fd = (int)check(CALL3(socket, AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), "socket");
	check(CALL3(bind, fd, &address, sizeof address), "bind sock");
	check(CALL2(listen, fd, CLIENTS_MAX), "listen");
	return fd;
}

/*
 * The launcher waits for the first process: it ends when the second says that it is ready (an end of file is a failure, already told).
 * The second is born in its cgroup, as moving there waits for an RCU grace period (13 to 19 ms on 6.18). Where that is refused, or the
 * kernel kills it at birth because the kill counts of the two cgroups differ (see cgroup.kill), it is made again and moves by itself.
 */
static int go_background(const char *cgroup, int *ready)
{
	int directory = cgroup ? (int)check(open_file(cgroup, O_DIRECTORY, 0), cgroup) : -1;
	for (;;) {
		int pipe[2];
		i32 status = 0;
		char byte = 0;
		check(CALL2(pipe2, pipe, O_CLOEXEC), "pipe");
		struct clone_args arguments = { .exit_signal = SIGCHLD };
		if (directory >= 0) arguments.flags = CLONE_INTO_CGROUP, arguments.cgroup = (u64)directory;
		long pid = CALL2(clone3, &arguments, sizeof arguments);
		if (directory < 0) check(pid, "clone");
		if (pid == 0) {
			int is_in_cgroup = directory >= 0;
			close_fd(&directory);
			CALL1(close, pipe[0]);
			*ready = pipe[1];
			return is_in_cgroup;
		}
		CALL1(close, pipe[1]);
		if (!is_error(pid)) {
			if (CALL3(read, pipe[0], &byte, 1) == 1) CALL1(exit_group, 0);
			CALL4(wait4, pid, &status, 0, 0);
			if (directory < 0 || (status & 0x7f) != SIGKILL) CALL1(exit_group, 1);
		}
		CALL1(close, pipe[0]);
		close_fd(&directory);
	}
}

__attribute__((used, noreturn)) void start(long *stack)
{
	char **argv = (char **)(stack + 1);
	int ready;
	u64 all_signals = ~0ull, child_signal = 1ull << (SIGCHLD - 1);
	for (u64 i = 0; i < (u64)stack[0]; i++) arguments_length = (u64)(argv[i] + text_length(argv[i]) + 1 - argv[0]);
	arguments_start = argv[0];
	if (stack[0] < 2) die("supervisor DIR [netns=] [hostname=] [ipc] [pid] [cgroup=] [sysctl=] [wait]", EINVAL);
	CALL3(close_range, 3, ~0u, 0);
	const char *problem;
	long sealed = run_sealed(title, argv, argv + stack[0] + 1, &problem);
	check(sealed, problem);
	int is_in_cgroup = go_background(argument_named(argv + 2, "cgroup"), &ready);
	CALL0(setsid);
	CALL1(umask, 077);
	CALL5(prctl, PR_SET_NAME, title, 0, 0, 0);
	CALL5(prctl, PR_SET_DUMPABLE, 0, 0, 0, 0);
	check(CALL5(prctl, PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), "become subreaper");
	check(CALL4(rt_sigprocmask, SIG_SETMASK, &all_signals, 0, 8), "block signals");
	wait_for_launcher(argv + 2);
	join_namespaces(argv + 2, is_in_cgroup);
	check(CALL1(chdir, argv[1]), argv[1]);
	start_pod_pid();
	for (u32 i = 0; i < CLIENTS_MAX; i++) clients[i].fd = -1;
	epoll = (int)check(CALL1(epoll_create1, EPOLL_CLOEXEC), "epoll_create1");
	int signals = (int)check(CALL4(signalfd4, -1, &child_signal, 8, SOCK_CLOEXEC | SOCK_NONBLOCK), "signalfd");
	exits_file = (int)check(open_file("exits", O_WRONLY | O_CREAT | O_APPEND, 0600), "open exits");
	int listener = listen_here();
	watch(listener, EPOLLIN, WATCH_LISTENER, 0);
	watch(signals, EPOLLIN, WATCH_SIGNALS, 0);
	int null = (int)check(open_file("/dev/null", O_RDWR, 0), "open /dev/null");
	int first = (int)check(CALL3(fcntl, 2, F_DUPFD_CLOEXEC, USER_FD + 1), "keep the launcher's socket");
	for (int fd = 0; fd < 3; fd++) CALL3(dup3, null, fd, 0);
	close_fd(&null);
	CALL3(write, ready, "", 1);
	close_fd(&ready);
	/* What a child puts at these numbers must not be where an end of its streams is (place_ends). */
	int spare;
	while ((spare = (int)check(CALL3(fcntl, 0, F_DUPFD_CLOEXEC, REPORT_FD), "fill descriptors")) <= USER_FD) continue;
	close_fd(&spare);
	/* What was stderr until now is the launcher's connection: it need not wait for our start before it connects. */
	CALL3(fcntl, first, F_SETFL, O_NONBLOCK);
	take_client(first);
	serve(listener, signals);
}
