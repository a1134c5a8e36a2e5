/*
 * Starting a process: streams, clone into the cgroup, and in the child the program. The child is a copy (it shares no memory), so the
 * supervisor goes on with logs and requests while it mounts; its report socket ends at execve or brings the failed op.
 *
 * A child that other containers' processes would see (an exec, one of several in a pid namespace) is not born among them: whoever has
 * CAP_SYS_PTRACE there would reach the host's files through it. It stays in our pid namespace, takes off all that is ours, becomes what
 * the process may be, and then forks into theirs (OP_FORK); that second child is ours too, and only calls execve.
 */
#include "supervisor.h"

struct ends { /* what a child gets, and -1 for what it does not */
	int stdin_end, output_ends[2], report_end, target, proc, cgroup;
	const char *cgroup_path;
};

static void close_ends(struct ends *ends)
{
	close_fd(&ends->stdin_end);
	close_fd(&ends->output_ends[0]);
	close_fd(&ends->output_ends[1]);
	close_fd(&ends->report_end);
	if (ends->target != pod_init) close_fd(&ends->target);
	close_fd(&ends->cgroup);
}

static void set_nonblocking(int fd) { CALL3(fcntl, fd, F_SETFL, O_NONBLOCK); }

static int open_pipes(struct process *process, struct ends *ends)
{
	int pair[2];
	long result = CALL4(socketpair, AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair);
	if (is_error(result)) return (int)-result;
	process->report = pair[0];
	ends->report_end = pair[1];
	int on = 1;
	if (process->birth == UNBORN && is_error(result = CALL5(setsockopt, pair[0], SOL_SOCKET, SO_PASSCRED, &on, sizeof on))) return (int)-result;
	if (process->flags & LAUNCH_TTY) return 0;
	for (int i = 0; i < 2; i++) {
		if (is_error(result = CALL2(pipe2, pair, O_CLOEXEC))) return (int)-result;
		process->output[i].fd = pair[0];
		ends->output_ends[i] = pair[1];
		set_nonblocking(pair[0]);
	}
	if (!(process->flags & LAUNCH_STDIN)) return 0;
	if (is_error(result = CALL2(pipe2, pair, O_CLOEXEC))) return (int)-result;
	ends->stdin_end = pair[0];
	process->stdin_fd = pair[1];
	set_nonblocking(pair[1]);
	return 0;
}

static void fail_child(i32 index, long result)
{
	struct failure failure = { index, (i32)-result };
	CALL3(write, REPORT_FD, &failure, sizeof failure);
	CALL1(exit_group, 127);
}

/* The supervisor's own descriptors fill 0 to USER_FD, so no end is overwritten before it is in its place. */
static void place_ends(const struct process *process, const struct ends *ends)
{
	CALL3(dup3, ends->report_end, REPORT_FD, O_CLOEXEC);
	if (ends->target >= 0) CALL3(dup3, ends->target, TARGET_FD, O_CLOEXEC);
	else CALL1(close, TARGET_FD);
	if (ends->proc >= 0) CALL3(dup3, ends->proc, PROC_FD, O_CLOEXEC);
	else CALL1(close, PROC_FD);
	if (pod_user >= 0) CALL3(dup3, pod_user, USER_FD, O_CLOEXEC);
	else CALL1(close, USER_FD);
	if (ends->stdin_end >= 0) CALL3(dup3, ends->stdin_end, 0, 0);
	for (int i = 0; i < 2 && !(process->flags & LAUNCH_TTY); i++) CALL3(dup3, ends->output_ends[i], i + 1, 0);
	CALL3(close_range, USER_FD + 1, ~0u, 0);
}

static void write_own_cgroup(const char *directory)
{
	long fd = CALL4(openat, AT_FDCWD, directory, O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
	long procs = is_error(fd) ? fd : CALL4(openat, fd, "cgroup.procs", O_WRONLY | O_CLOEXEC, 0);
	long written = is_error(procs) ? procs : CALL3(write, procs, "0", 1);
	if (is_error(written)) fail_child(STAGE_CGROUP, written);
	CALL1(close, procs);
	CALL1(close, fd);
}

static void run_child(const struct process *process, const struct ends *ends, u32 program_length, struct program *program) __attribute__((noreturn));
static void run_child(const struct process *process, const struct ends *ends, u32 program_length, struct program *program)
{
	u64 none = 0;
	size_t mapped = 0;
	CALL4(rt_sigprocmask, SIG_SETMASK, &none, 0, sizeof none);
	place_ends(process, ends);
	if (process->birth == BORN_HERE) CALL0(setsid); /* else the one that is born later does */
	if (ends->cgroup_path) write_own_cgroup(ends->cgroup_path);
	if (process->birth == UNBORN && !(program = own_program(program, program_length, &mapped))) fail_child(STAGE_CLONE, -ENOMEM);
	struct failure failure = run_program(program, mapped);
	CALL3(write, REPORT_FD, &failure, sizeof failure);
	for (;;) CALL1(exit_group, 127);
}

static long clone_child(const struct process *process, const struct ends *ends, const struct launch *launch, struct program *program)
{
	struct clone_args arguments = { .flags = launch->clone_flags | CLONE_CLEAR_SIGHAND, .exit_signal = SIGCHLD };
	if (ends->cgroup >= 0) {
		arguments.flags |= CLONE_INTO_CGROUP;
		arguments.cgroup = (u64)ends->cgroup;
	}
	u32 program_length = launch->program_length; /* the child has no copy of the message */
	long pid = CALL2(clone3, &arguments, sizeof arguments);
	if (pid == 0) run_child(process, ends, program_length, program);
	return pid;
}

/* CLONE_INTO_CGROUP is refused for some cgroups (another hierarchy, a domain with children); then the child writes itself into it. */
static long clone_into_cgroup(const struct process *process, struct ends *ends, const struct launch *launch, struct program *program, const char *cgroup)
{
	long pid = clone_child(process, ends, launch, program);
	if (!is_error(pid) || ends->cgroup < 0) return pid;
	static char path[PATH_MAX + 1]; /* likewise */
	memcpy(path, cgroup, text_length(cgroup) + 1);
	close_fd(&ends->cgroup);
	ends->cgroup_path = path;
	return clone_child(process, ends, launch, program);
}

/* A program that is too large to lie nearby is read where it came in. */
static long start_child(const struct client *client, const struct process *process, struct ends *ends, const struct launch *launch,
			struct program *program, const char *cgroup)
{
	u32 length = launch->program_length;
	if (length <= NEARBY_BYTES) return clone_into_cgroup(process, ends, launch, copy_nearby(program, length), cgroup);
	CALL3(madvise, client->input, FRAME_BYTES_MAX, MADV_DOFORK);
	long pid = clone_into_cgroup(process, ends, launch, program, cgroup);
	CALL3(madvise, client->input, FRAME_BYTES_MAX, MADV_DONTFORK);
	return pid;
}

static int has_target(const struct launch *launch)
{
	if (launch->flags & LAUNCH_BY_PROGRAM) return 0;
	return launch->flags & LAUNCH_EXEC || (launch->flags & LAUNCH_TARGET_PID) == LAUNCH_TARGET_PID;
}

/* Also of a process that has not been reaped yet: in the pid namespace of one that was its first nothing can start any more. */
static int has_ended(int target)
{
	i32 info[32] = { 0 }; /* siginfo_t; its first field is the signal, 0 as long as the process lives */
	return is_error(CALL5(waitid, P_PIDFD, target, info, WEXITED | WNOHANG | WNOWAIT, 0)) || info[0];
}

/* The pod-wide namespace is for all containers of its pod; neither the host's nor one of its own is for any of them. */
static int is_pid_namespace_there(u32 flags)
{
	if (flags & LAUNCH_BY_PROGRAM) return 1;
	switch (flags & LAUNCH_TARGET_PID) {
	case LAUNCH_POD_PID: return has_pod_pid;
	case LAUNCH_HOST_PID: return !has_pod_pid;
	case 0: return !has_pod_pid || flags & LAUNCH_EXEC;
	default: return 1;
	}
}

static struct failure failed(i32 stage, long error) { return (struct failure){ stage, (i32)(error < 0 ? -error : error) }; }

static struct failure prepare(struct process *process, struct ends *ends, const struct launch *launch, const char *cgroup)
{
	if (process->log_path[0]) {
		process->log.fd = open_log(process);
		if (process->log.fd < 0) return failed(STAGE_LOG, process->log.fd);
	}
	int error = open_pipes(process, ends);
	if (error) return failed(STAGE_PIPE, error);
	if (has_target(launch)) {
		int is_child = 0;
		for (u32 i = 0; i < process_limit; i++)
			is_child |= processes[i].state == RUNNING && processes[i].pid == (i32)launch->target_pid;
		if (!is_child) return failed(STAGE_TARGET, ESRCH);
		ends->target = (int)CALL2(pidfd_open, launch->target_pid, 0);
		if (ends->target < 0) return failed(STAGE_TARGET, ends->target);
		if (has_ended(ends->target)) return failed(STAGE_TARGET, ESRCH);
	} else if (process->birth == UNBORN && !(launch->flags & LAUNCH_BY_PROGRAM)) {
		ends->target = pod_init;
		ends->proc = pod_proc;
	}
	if (*cgroup) {
		ends->cgroup = open_file(cgroup, O_DIRECTORY, 0);
		if (ends->cgroup < 0) return failed(STAGE_CGROUP, ends->cgroup);
	}
	return failed(STAGE_NONE, 0);
}

static void close_streams(struct process *process)
{
	close_fd(&process->report);
	close_fd(&process->output[0].fd);
	close_fd(&process->output[1].fd);
	close_fd(&process->stdin_fd);
	close_fd(&process->log.fd);
}

static struct process *take_slot(void)
{
	for (u32 i = 0; i < PROCESSES_MAX; i++) {
		struct process *process = processes + i;
		if (process->state != FREE) continue;
		u32 handle = process->handle ? process->handle + PROCESSES_MAX : PROCESSES_MAX + i;
		memset(process, 0, sizeof *process);
		process->handle = handle;
		process->report = process->stdin_fd = process->log.fd = -1;
		process->output[0].fd = process->output[1].fd = -1;
		return process;
	}
	return NULL;
}

static int is_id(const char *id)
{
	u32 length = 0;
	for (; length < ID_BYTES && id[length]; length++) {
		char c = id[length];
		int is_word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
		if (!is_word && c != '.' && c != '_' && c != '-') return 0;
	}
	for (u32 i = length; i < ID_BYTES; i++) {
		if (id[i]) return 0;
	}
	return length > 0;
}

/* A child may have namespaces of its own; what else clone3 knows would share with it what is ours: memory, descriptors, our parent. */
static const u64 clone_flags_allowed = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWNET;

/* The parts of a launch message; 0 where it does not hold together. */
static int split_launch(const struct launch *launch, u32 length, const char **log, const char **cgroup, struct program **program)
{
	if (length < sizeof *launch || launch->log_length > LOG_PATH_MAX || launch->cgroup_length > PATH_MAX) return 0;
	u32 strings = (launch->log_length + launch->cgroup_length + 7) & ~7u;
	if (launch->program_length > length || sizeof *launch + strings + launch->program_length != length) return 0;
	*log = launch->log_length ? (const char *)(launch + 1) : "";
	*cgroup = launch->cgroup_length ? (const char *)(launch + 1) + launch->log_length : "";
	*program = (struct program *)((char *)(launch + 1) + strings);
	if (launch->log_length && (*log)[launch->log_length - 1]) return 0;
	if (launch->cgroup_length && (*cgroup)[launch->cgroup_length - 1]) return 0;
	return is_id(launch->id) && !(launch->clone_flags & ~clone_flags_allowed) && !check_program(*program, launch->program_length);
}

struct failure launch_process(struct client *client, u32 request, const struct launch *launch, u32 length)
{
	const char *log, *cgroup;
	struct program *program;
	if (!split_launch(launch, length, &log, &cgroup, &program)) return failed(STAGE_REQUEST, EINVAL);
	if (!is_pid_namespace_there(launch->flags)) return failed(STAGE_PID_NAMESPACE, EINVAL);
	if (find_process(launch->id)) return failed(STAGE_DUPLICATE, EEXIST);
	struct process *process = take_slot();
	if (!process) return failed(STAGE_LIMIT, EMFILE);
	process->flags = launch->flags;
	int is_made = (launch->flags & LAUNCH_BY_PROGRAM) != 0;
	if (is_made) begin_making();
	if (is_made || has_target(launch) || (launch->flags & LAUNCH_TARGET_PID) == LAUNCH_POD_PID) process->birth = UNBORN;
	memcpy(process->id, launch->id, ID_BYTES);
	memcpy(process->log_path, log, launch->log_length);
	process->request = request;
	process->client = (u32)(client - clients);
	process->generation = client->generation;

	struct ends ends = { -1, { -1, -1 }, -1, -1, -1, -1, NULL };
	struct failure failure = prepare(process, &ends, launch, cgroup);
	if (failure.index == STAGE_NONE) {
		long pid = start_child(client, process, &ends, launch, program, cgroup);
		if (is_error(pid)) failure = failed(STAGE_CLONE, pid);
		process->pid = (i32)pid;
	}
	close_ends(&ends);
	if (failure.index == STAGE_NONE && (launch->flags & LAUNCH_ATTACH)) attach(process, client);
	if (failure.index == STAGE_NONE && watch(process->report, 0, WATCH_REPORT, (u32)(process - processes))) {
		CALL2(kill, process->pid, SIGKILL);
		failure = failed(STAGE_LIMIT, ENOMEM);
	}
	if (failure.index != STAGE_NONE) close_streams(process);
	else process->state = STARTING;
	u32 slot = (u32)(process - processes);
	if (failure.index == STAGE_NONE && slot >= process_limit) process_limit = slot + 1;
	return failure;
}
