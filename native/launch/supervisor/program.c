/* The interpreter of syscall programs. Runs in a forked child: no memory is allocated, nothing is shared with the supervisor. */
#include "program.h"

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
 * The clone is of the one thing that is mounted: closing one that is not waits for an RCU grace period
 * (docs/kernel-notes.md#unused-clone). Descriptors stay open here and below: the program closes all of them at once.
 */
static long mask_path(int root, const char *path, int empty)
{
	long target = open_in_root(root, path);
	if (target == -ENOENT || target == -ENOTDIR) return 0;
	if (is_error(target)) return target;
	long directory = is_directory((int)target);
	if (is_error(directory) && directory != -ENOTDIR) return directory;
	long tree = directory == 0 ? CALL3(open_tree, empty, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH)
				   : CALL3(open_tree, AT_FDCWD, "/dev/null", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
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

static long make_mount(const char *type, const char *settings, u32 attributes)
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
static long drop_bounding(u32 low, u32 high)
{
	u64 kept = (u64)high << 32 | low;
	for (int bit = 0; bit < 64; bit++) {
		if (kept >> bit & 1) continue;
		long result = CALL5(prctl, PR_CAPBSET_DROP, bit, 0, 0, 0);
		if (is_error(result)) return result == -EINVAL ? 0 : result;
	}
	return 0;
}

static long send_fd(int fd)
{
	struct failure none = { -1, 0 };
	struct io_vector vector = { &none, sizeof none };
	struct rights rights = { 20, SOL_SOCKET, SCM_RIGHTS, fd, 0 };
	struct message_header message = { .iov = &vector, .iov_count = 1, .control = &rights, .control_length = sizeof rights };
	return CALL3(sendmsg, REPORT_FD, &message, MSG_NOSIGNAL);
}

static long open_tty(int uid)
{
	enum { PTMX_MAJOR = 5, PTMX_MINOR = 2 };
	int master = open_file("/dev/pts/ptmx", O_RDWR | O_NOCTTY, 0);
	if (master < 0) return master;
	struct statx status;
	long result = CALL5(statx, master, "", AT_EMPTY_PATH, STATX_TYPE, &status);
	if (is_error(result)) return result;
	if (status.stx_rdev_major != PTMX_MAJOR || status.stx_rdev_minor != PTMX_MINOR) return -ENODEV;
	int unlock = 0;
	if (is_error(result = CALL3(ioctl, master, TIOCSPTLCK, &unlock))) return result;
	long slave = CALL3(ioctl, master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (is_error(slave)) return slave;
	if (is_error(result = CALL3(fchown, slave, uid, -1))) return result;
	if (is_error(result = CALL3(ioctl, slave, TIOCSCTTY, 0))) return result;
	for (int fd = 0; fd < 3; fd++) {
		if (is_error(result = CALL3(dup3, slave, fd, 0))) return result;
	}
	return send_fd(master);
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

struct failure run_program(struct program *program)
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
		long result = run_op(op, arguments);
		if (is_error(result)) {
			if (!is_tolerated(op, result)) return (struct failure){ (i32)i, (i32)-result };
			i += op->skip;
		} else if (op->save != NO_REGISTER) {
			registers[op->save] = result;
		}
	}
	return (struct failure){ -1, 0 };
}
