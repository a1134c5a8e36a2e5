/* The interpreter of syscall programs. Runs in a forked child: no memory is allocated, nothing is shared with the supervisor. */
#include "program.h"
#include "wire.h"

char *arguments_start;
u64 arguments_length;

static size_t relocations_size(const struct program *program)
{
	return (program->relocation_count * (size_t)4 + 7) & ~(size_t)7;
}

static u32 *relocations_of(struct program *program) { return (u32 *)(program->ops + program->op_count); }

int check_program(const struct program *program, size_t length)
{
	if (length < sizeof *program || program->magic != PROGRAM_MAGIC || program->version != PROGRAM_VERSION) return EINVAL;
	if (program->relocation_count > length || program->data_length > length) return EINVAL;
	size_t ops = program->op_count * sizeof(struct op);
	if (sizeof *program + ops + relocations_size(program) + program->data_length != length) return EINVAL;
	for (u32 i = 0; i < program->op_count; i++) {
		const struct op *op = program->ops + i;
		if (op->skip >= program->op_count - i || (op->save != NO_REGISTER && op->save >= REGISTERS)) return EINVAL;
		for (int k = 0; k < 6; k++) {
			u64 value = (u64)op->arguments[k];
			if (op->kinds[k] > ARGUMENT_REGISTER) return EINVAL;
			if (op->kinds[k] == ARGUMENT_DATA && value >= program->data_length) return EINVAL;
			if (op->kinds[k] == ARGUMENT_REGISTER && value >= REGISTERS) return EINVAL;
		}
	}
	const u32 *relocations = relocations_of((struct program *)program);
	const char *data = (const char *)relocations + relocations_size(program);
	for (u32 i = 0; i < program->relocation_count; i++) {
		if (program->data_length < 8 || relocations[i] > program->data_length - 8) return EINVAL;
		u64 target;
		memcpy(&target, data + relocations[i], 8);
		if (target >= program->data_length) return EINVAL;
	}
	return 0;
}

static long open_in_root(int root, const char *path)
{
	struct open_how how = { .flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS };
	return CALL4(openat2, root, path, &how, sizeof how);
}

static long make_entry(int parent, const char *name, int is_file, int mode)
{
	if (!is_file) return CALL3(mkdirat, parent, name, mode);
	long fd = CALL4(openat, parent, name, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC | O_NOFOLLOW, mode);
	return is_error(fd) ? fd : CALL1(close, fd);
}

/* path with the link at [start, end) replaced by what it names: a dangling link is resolved as the container would see it. */
static long follow_dangling(int parent, char *path, size_t start, size_t end)
{
	char target[PATH_MAX + 1], rest[PATH_MAX + 1];
	char kept = path[end];
	path[end] = 0;
	long length = CALL4(readlinkat, parent, path + start, target, PATH_MAX);
	path[end] = kept;
	if (length <= 0) return length ? length : -ENOENT;
	size_t rest_length = text_length(path + end);
	size_t at = target[0] == '/' ? 0 : start;
	if (at + (size_t)length + rest_length >= PATH_MAX) return -ENAMETOOLONG;
	memcpy(rest, path + end, rest_length + 1);
	memcpy(path + at, target, (size_t)length);
	memcpy(path + at + length, rest, rest_length + 1);
	return 0;
}

/*
 * Every component is looked up by the kernel from the root's descriptor (RESOLVE_IN_ROOT), so that no symbolic link, and nobody who
 * swaps one in meanwhile, leads out of it. Directories on the way get mode 0755.
 */
static long make_path(int root, const char *wanted, int is_file, int mode)
{
	enum { LINKS_MAX = 16 };
	char path[PATH_MAX + 1];
	size_t length = text_length(wanted);
	if (length >= PATH_MAX) return -ENAMETOOLONG;
	long found = open_in_root(root, wanted); /* most are there */
	if (found != -ENOENT) return found;
	memcpy(path, wanted, length + 1);
	for (int links = 0; links < LINKS_MAX; links++) {
		long parent = open_in_root(root, "/");
		size_t start = 0, end = 0;
		for (;;) {
			if (is_error(parent)) return parent;
			while (path[end] == '/') end++;
			if (!path[end]) return parent;
			start = end;
			while (path[end] && path[end] != '/') end++;
			char kept = path[end];
			int is_last = text_length(path + end + (kept == '/')) == 0;
			path[end] = 0;
			long next = open_in_root(root, path);
			if (next == -ENOENT) {
				int as_file = is_last && is_file;
				long made = make_entry((int)parent, path + start, as_file, is_last ? mode : 0755);
				next = made == -EEXIST || !is_error(made) ? open_in_root(root, path) : made;
			}
			path[end] = kept;
			if (next == -ENOENT) break; /* a dangling link */
			CALL1(close, parent);
			parent = next;
		}
		long followed = follow_dangling((int)parent, path, start, end);
		CALL1(close, parent);
		if (is_error(followed)) return followed;
	}
	return -ELOOP;
}

static long is_directory(int fd)
{
	struct statx status;
	long result = CALL5(statx, fd, "", AT_EMPTY_PATH, STATX_TYPE, &status);
	if (is_error(result)) return result;
	return (status.stx_mode & S_IFMT) == S_IFDIR ? 0 : -ENOTDIR;
}

static long move_tree(long tree, long target)
{
	return CALL5(move_mount, tree, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH);
}

/*
 * Nothing that a container has, and nothing of the host's, covers a path: who may chmod the cover would do it to that (CVE-2025-31133).
 * The clone is of the one thing that is mounted: closing one that is not waits for an RCU grace period
 * (docs/kernel-notes.md#unused-clone). Descriptors stay open here and below: the program closes all of them at once.
 */
static long mask_path(int root, const char *path, int covers)
{
	long target = open_in_root(root, path);
	if (target == -ENOENT || target == -ENOTDIR) return 0;
	if (is_error(target)) return target;
	long directory = is_directory((int)target);
	if (is_error(directory) && directory != -ENOTDIR) return directory;
	long tree = CALL3(open_tree, covers, directory == 0 ? COVER_DIRECTORY : COVER_FILE, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	if (is_error(tree)) return tree;
	return move_tree(tree, target);
}

static long seal_path(int root, const char *path)
{
	struct mount_attr attributes = { .attr_set = MOUNT_ATTR_RDONLY };
	long target = open_in_root(root, path);
	if (target == -ENOENT || target == -ENOTDIR) return 0;
	if (is_error(target)) return target;
	long tree = CALL3(open_tree, target, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | AT_RECURSIVE);
	if (is_error(tree)) return tree;
	long result = CALL5(mount_setattr, tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &attributes, sizeof attributes);
	return is_error(result) ? result : move_tree(tree, target);
}

static long configure(long context, const char *setting)
{
	char key[256]; /* as long as the kernel takes one */
	size_t length = 0;
	for (; setting[length] && setting[length] != '='; length++) {
		if (length == sizeof key - 1) return -EINVAL;
		key[length] = setting[length];
	}
	key[length] = 0;
	if (!setting[length]) return CALL5(fsconfig, context, FSCONFIG_SET_FLAG, key, 0, 0);
	return CALL5(fsconfig, context, FSCONFIG_SET_STRING, key, setting + length + 1, 0);
}

long make_mount(const char *type, const char *settings, u32 attributes)
{
	long context = CALL2(fsopen, type, FSOPEN_CLOEXEC), result = 0;
	if (is_error(context)) return context;
	for (const char *setting = settings; *setting && !is_error(result); setting += text_length(setting) + 1)
		result = configure(context, setting);
	if (!is_error(result)) result = CALL5(fsconfig, context, FSCONFIG_CMD_CREATE, 0, 0, 0);
	return is_error(result) ? result : CALL3(fsmount, context, FSMOUNT_CLOEXEC, attributes);
}

static long write_file(const char *path, const char *data, size_t length)
{
	int fd = open_file(path, O_WRONLY, 0);
	if (fd < 0) return fd;
	long written = CALL3(write, fd, data, length);
	CALL1(close, fd);
	return is_error(written) ? written : (size_t)written == length ? 0 : -EIO;
}

static long keep_caps(u32 low, u32 high)
{
	struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct caps[2];
	long result = CALL2(capget, &header, caps);
	if (is_error(result)) return result;
	u32 wanted[2] = { low, high };
	for (int i = 0; i < 2; i++) {
		caps[i].permitted &= wanted[i];
		caps[i].effective = caps[i].permitted;
		caps[i].inheritable = 0;
	}
	return CALL2(capset, &header, caps);
}

/* Up to the first number that the kernel has no capability for: also those that came after our headers go. */
long drop_bounding(u32 low, u32 high)
{
	u64 kept = (u64)high << 32 | low;
	for (int bit = 0; bit < 64; bit++) {
		if (kept >> bit & 1) continue;
		long result = CALL5(prctl, PR_CAPBSET_DROP, bit, 0, 0, 0);
		if (is_error(result)) return result == -EINVAL ? 0 : result;
	}
	return 0;
}

long send_fd(int to, int fd)
{
	struct failure none = { STAGE_NONE, 0 };
	struct io_vector vector = { &none, sizeof none };
	struct rights rights = { 20, SOL_SOCKET, SCM_RIGHTS, fd, 0 };
	struct message_header message = { .iov = &vector, .iov_count = 1, .control = &rights, .control_length = sizeof rights };
	return CALL3(sendmsg, to, &message, MSG_NOSIGNAL);
}

long become_root(int tree, const char *place)
{
	long result = CALL5(move_mount, tree, "", AT_FDCWD, place, MOVE_MOUNT_F_EMPTY_PATH);
	if (!is_error(result)) result = CALL1(fchdir, tree);
	if (!is_error(result)) result = CALL2(pivot_root, ".", ".");
	if (!is_error(result)) result = CALL2(umount2, ".", MNT_DETACH);
	return is_error(result) ? result : CALL1(chdir, "/");
}

/* ---- in a file system that a container writes, with rights that it does not have ---- */

static long open_unlinked(const char *path, int flags)
{
	struct open_how how = { .flags = (u64)flags | O_CLOEXEC, .resolve = RESOLVE_NO_MAGICLINKS };
	return CALL4(openat2, AT_FDCWD, path, &how, sizeof how);
}

static long check_device(long fd, u32 major, u32 minor)
{
	struct statx status;
	long result = CALL5(statx, fd, "", AT_EMPTY_PATH, STATX_TYPE, &status);
	if (is_error(result)) return result;
	int is_it = (status.stx_mode & S_IFMT) == S_IFCHR && status.stx_rdev_major == major && status.stx_rdev_minor == minor;
	return is_it ? 0 : -ENODEV;
}

/* A link to /proc/PID/root leads out of the container with our rights, where it would not with its own (as in CVE-2024-21626). */
static long enter_path(const char *path)
{
	long fd = open_unlinked(path, O_PATH | O_DIRECTORY);
	if (is_error(fd)) return fd;
	long result = CALL1(fchdir, fd);
	CALL1(close, fd);
	return result;
}

/* O_RDWR, so that a FIFO in its place does not make us wait. */
static long open_null(void)
{
	enum { MEMORY_MAJOR = 1, NULL_MINOR = 3 };
	int ends[2];
	long null = open_unlinked("/dev/null", O_RDWR | O_NOCTTY | O_NONBLOCK);
	if (!is_error(null) && check_device(null, MEMORY_MAJOR, NULL_MINOR) == 0) {
		CALL3(fcntl, null, F_SETFL, 0);
		return CALL3(dup3, null, 0, 0);
	}
	long result = CALL2(pipe2, ends, O_CLOEXEC);
	return is_error(result) ? result : CALL3(dup3, ends[0], 0, 0); /* the other end goes with the rest of the descriptors */
}

static long open_tty(int uid)
{
	enum { PTMX_MAJOR = 5, PTMX_MINOR = 2 };
	long master = open_unlinked("/dev/pts/ptmx", O_RDWR | O_NOCTTY | O_NONBLOCK);
	if (is_error(master)) return master;
	long result = check_device(master, PTMX_MAJOR, PTMX_MINOR);
	if (is_error(result)) return result;
	int unlock = 0;
	if (is_error(result = CALL3(ioctl, master, TIOCSPTLCK, &unlock))) return result;
	long slave = CALL3(ioctl, master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (is_error(slave)) return slave;
	if (is_error(result = CALL3(fchown, slave, uid, -1))) return result;
	for (int fd = 0; fd < 3; fd++) {
		if (is_error(result = CALL3(dup3, slave, fd, 0))) return result;
	}
	return send_fd(REPORT_FD, (int)master);
}

/* Is the proc `tree` that of the pid namespace that our children are born in? The first process of it says so. */
static long check_proc(long tree)
{
	enum { PROC_SUPER_MAGIC = 0x9fa0 };
	long file_system[16]; /* struct statfs, whose first field is the type */
	struct statx own, first;
	long result = CALL2(fstatfs, tree, file_system);
	if (is_error(result)) return result;
	if (file_system[0] != PROC_SUPER_MAGIC) return -ENODEV;
	if (is_error(result = CALL5(statx, tree, "1/ns/pid", 0, STATX_INO, &first))) return result;
	if (is_error(result = CALL5(statx, AT_FDCWD, "/proc/self/ns/pid_for_children", 0, STATX_INO, &own))) return result;
	return own.stx_ino == first.stx_ino ? 0 : -ENODEV;
}

/*
 * A proc can only be made by a process of its pid namespace, and whoever is seen there must not be one that may: so it is copied from
 * where it is mounted. ENODEV where there is another in its place. What was ours before is so again, / too.
 */
static long take_proc(int namespace, const char *path)
{
	long own = open_file("/proc/self/ns/mnt", O_RDONLY, 0);
	if (is_error(own)) return own;
	long root = open_file("/", O_PATH | O_DIRECTORY, 0);
	if (is_error(root)) return root;
	long result = CALL2(setns, namespace, CLONE_NEWNS);
	if (is_error(result)) return result;
	long tree = CALL3(open_tree, AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_SYMLINK_NOFOLLOW);
	if (is_error(result = CALL2(setns, own, CLONE_NEWNS))) return result;
	if (is_error(result = CALL1(fchdir, root)) || is_error(result = CALL1(chroot, "."))) return result;
	if (is_error(tree)) return tree;
	return is_error(result = check_proc(tree)) ? result : tree;
}

/* ---- being born where others see it ---- */

/* Beside the code: a page table is what making a process, and its end, cost most (docs/kernel-notes.md#page-tables). */
static char nearby[NEARBY_BYTES] __attribute__((aligned(PAGE_BYTES_MAX)));

static size_t whole_pages(size_t length) { return (length + PAGE_BYTES_MAX - 1) & ~(size_t)(PAGE_BYTES_MAX - 1); }

struct program *copy_nearby(const struct program *program, size_t length)
{
	memcpy(nearby, program, length);
	memset(nearby + length, 0, whole_pages(length) - length); /* what is left of others */
	return (struct program *)nearby;
}

void release_nearby(void) { CALL3(madvise, nearby, sizeof nearby, MADV_DONTNEED); }

struct program *own_program(struct program *program, size_t length, size_t *mapped)
{
	*mapped = whole_pages(length);
	if ((char *)program == nearby) return program;
	struct program *copy = map_memory(*mapped);
	if (copy) memcpy(copy, program, length);
	return copy;
}

/*
 * Takes from this process's memory what the supervisor knows: other containers' environment, output and input, paths of the host. What
 * is left is its code, the program and the frames of the stack that are in use. No global is read from here on.
 */
static void forget_supervisor(char *program, size_t mapped)
{
	extern char __bss_start[], _end[];
	enum { STACK_BYTES = 1 << 20, RED_ZONE = 128 };
	char *here;
	READ_STACK_POINTER(here);
	char *globals = (char *)((u64)__bss_start & ~(u64)(PAGE_BYTES_MAX - 1));
	char *end = (char *)(((u64)_end + PAGE_BYTES_MAX - 1) & ~(u64)(PAGE_BYTES_MAX - 1));
	char *stack = (char *)((u64)here & ~(u64)(PAGE_BYTES_MAX - 1));
	for (u64 i = text_length(arguments_start); i < arguments_length; i++) arguments_start[i] = 0;
	if (program == nearby) {
		CALL3(madvise, globals, program - globals, MADV_DONTNEED);
		globals = program + mapped;
		CALL2(munmap, end, stack - STACK_BYTES - end);
	} else {
		CALL2(munmap, end, program - end);
		CALL2(munmap, program + mapped, stack - STACK_BYTES - (program + mapped));
	}
	CALL3(madvise, globals, end - globals, MADV_DONTNEED);
	CALL3(madvise, stack - STACK_BYTES, STACK_BYTES, MADV_DONTNEED);
	for (volatile char *at = here - RED_ZONE - 1; at >= stack; at--) *at = 0;
}

/*
 * The child is the supervisor's (CLONE_PARENT), which learns its number from the credentials of its first message; this process ends.
 * The old clone: a seccomp filter that is on by now answers clone3 with ENOSYS.
 */
static long fork_seen(struct program *program, size_t mapped)
{
	struct failure born = { STAGE_BORN, 0 };
	if (!mapped) return -EINVAL;
	CALL3(close_range, REPORT_FD + 1, ~0u, 0);
	forget_supervisor((char *)program, mapped);
	long pid = CALL5(clone, CLONE_PARENT | SIGCHLD, 0, 0, 0, 0);
	if (is_error(pid)) return pid;
	if (pid) {
		CALL1(close, REPORT_FD); /* What the supervisor waits for is the child's execve, not our end. */
		CALL0(sched_yield); /* Nor does the child wait for it: an end takes longer than an execve. */
		for (;;) CALL1(exit_group, 0);
	}
	long told = CALL3(write, REPORT_FD, &born, sizeof born);
	return is_error(told) ? told : 0;
}

/* As execvp(3): EACCES of one candidate is remembered while the others are tried. */
static long execve_path(const char *candidates, char *const *argv, char *const *envp)
{
	long worst = -ENOENT;
	for (const char *path = candidates; *path; path += text_length(path) + 1) {
		long result = CALL3(execve, path, argv, envp);
		if (result == -EACCES) worst = result;
		else if (result != -ENOENT && result != -ENOTDIR) return result;
	}
	return worst;
}

/* The report's end is of whole messages: no byte is the end. */
static long await_word(void)
{
	char byte;
	long got = CALL3(read, REPORT_FD, &byte, 1);
	return is_error(got) ? got : got == 1 ? 0 : -ECANCELED;
}

static long check_program_file(const char *path)
{
	enum { X_OK = 1 };
	struct statx status;
	long result = CALL5(statx, AT_FDCWD, path, 0, STATX_TYPE, &status);
	if (is_error(result)) return result;
	if ((status.stx_mode & S_IFMT) != S_IFREG) return -EACCES;
	return CALL4(faccessat2, AT_FDCWD, path, X_OK, AT_EACCESS);
}

static long find_program(const char *candidates)
{
	long worst = -ENOENT;
	for (const char *path = candidates; *path; path += text_length(path) + 1) {
		long result = check_program_file(path);
		if (result == -EACCES) worst = result;
		else if (result != -ENOENT && result != -ENOTDIR) return result;
	}
	return worst;
}

/* ---- programs of the host's, which make the process ---- */

static long run_to_end(const char *path, char *const *argv, char *const *envp)
{
	i32 status = 0;
	struct clone_args arguments = { .exit_signal = SIGCHLD };
	long pid = CALL2(clone3, &arguments, sizeof arguments);
	if (pid == 0) {
		CALL3(execve, path, argv, envp);
		for (;;) CALL1(exit_group, 127);
	}
	if (is_error(pid)) return pid;
	long ended;
	do ended = CALL4(wait4, pid, &status, 0, 0);
	while (ended == -EINTR);
	return is_error(ended) ? ended : status ? -ECANCELED : 0;
}

/* It was sent before the program ended that made the terminal: nothing is waited for. */
static long take_tty(int listener)
{
	char bytes[PATH_MAX];
	long connection = CALL4(accept4, listener, 0, 0, SOCK_CLOEXEC);
	if (is_error(connection)) return connection;
	struct received got = receive_message((int)connection, bytes, sizeof bytes, MSG_DONTWAIT);
	CALL1(close, connection);
	if (is_error(got.length)) return got.length;
	if (got.fd < 0) return -EBADF;
	long sent = send_fd(REPORT_FD, got.fd);
	CALL1(close, got.fd);
	return is_error(sent) ? sent : 0;
}

static long tell_made(const char *path)
{
	char digits[16];
	i32 pid = 0;
	int fd = open_file(path, O_RDONLY, 0);
	if (fd < 0) return fd;
	long length = CALL3(read, fd, digits, sizeof digits);
	CALL1(close, fd);
	if (is_error(length)) return length;
	for (long i = 0; i < length && i < 9 && digits[i] >= '0' && digits[i] <= '9'; i++) pid = pid * 10 + digits[i] - '0';
	struct failure made = { STAGE_MADE, pid };
	long told = CALL3(write, REPORT_FD, &made, sizeof made);
	return is_error(told) ? told : 0;
}

static long run_op(const struct op *op, const i64 *a)
{
	switch (op->nr) {
	case OP_MAKE_PATH: return make_path((int)a[0], (const char *)a[1], (int)a[2], (int)a[3]);
	case OP_MASK_PATH: return mask_path((int)a[0], (const char *)a[1], (int)a[2]);
	case OP_WRITE_FILE: return write_file((const char *)a[0], (const char *)a[1], (size_t)a[2]);
	case OP_KEEP_CAPS: return keep_caps((u32)a[0], (u32)a[1]);
	case OP_OPEN_TTY: return open_tty((int)a[0]);
	case OP_EXECVE_PATH: return execve_path((const char *)a[0], (char *const *)a[1], (char *const *)a[2]);
	case OP_MAKE_MOUNT: return make_mount((const char *)a[0], (const char *)a[1], (u32)a[2]);
	case OP_SEAL_PATH: return seal_path((int)a[0], (const char *)a[1]);
	case OP_DROP_BOUNDING: return drop_bounding((u32)a[0], (u32)a[1]);
	case OP_TAKE_PROC: return take_proc((int)a[0], (const char *)a[1]);
	case OP_ENTER_PATH: return enter_path((const char *)a[0]);
	case OP_OPEN_NULL: return open_null();
	case OP_AWAIT: return await_word();
	case OP_FIND_PROGRAM: return find_program((const char *)a[0]);
	case OP_RUN: return run_to_end((const char *)a[0], (char *const *)a[1], (char *const *)a[2]);
	case OP_TAKE_TTY: return take_tty((int)a[0]);
	case OP_MADE: return tell_made((const char *)a[0]);
	default: return syscall6(op->nr, a[0], a[1], a[2], a[3], a[4], a[5]);
	}
}

static int is_tolerated(const struct op *op, long result)
{
	for (int i = 0; i < 3; i++) {
		if (op->tolerated[i] && result == -(long)op->tolerated[i]) return 1;
	}
	return 0;
}

struct failure run_program(struct program *program, size_t mapped)
{
	u32 *relocations = relocations_of(program);
	char *data = (char *)relocations + relocations_size(program);
	for (u32 i = 0; i < program->relocation_count; i++) {
		u64 value;
		memcpy(&value, data + relocations[i], 8);
		value += (u64)data;
		memcpy(data + relocations[i], &value, 8);
	}
	i64 registers[REGISTERS];
	for (int i = 0; i < REGISTERS; i++) registers[i] = -EBADF;
	for (u32 i = 0; i < program->op_count; i++) {
		const struct op *op = program->ops + i;
		i64 arguments[6];
		for (int k = 0; k < 6; k++) {
			i64 value = op->arguments[k];
			arguments[k] = op->kinds[k] == ARGUMENT_DATA	 ? (i64)(data + value)
				       : op->kinds[k] == ARGUMENT_REGISTER ? registers[value]
									 : value;
		}
		long result = op->nr == OP_FORK ? fork_seen(program, mapped) : run_op(op, arguments);
		/* Nothing is born any more in a pid namespace whose first process has ended (pid_namespaces(7)). */
		if (op->nr == OP_FORK && result == -ENOMEM) return (struct failure){ STAGE_TARGET, ESRCH };
		if (is_error(result)) {
			if (!is_tolerated(op, result)) return (struct failure){ (i32)i, (i32)-result };
			i += op->skip;
		} else if (op->save != NO_REGISTER) {
			registers[op->save] = result;
		}
	}
	return (struct failure){ -1, 0 };
}
