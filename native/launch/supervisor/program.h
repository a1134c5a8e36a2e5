/*
 * The syscall program: what a child does between clone and execve, compiled in TypeScript (program.ts).
 *
 *   header | ops[op_count] | relocations[relocation_count] (u32, padded to 8) | data
 *
 * A relocation is the offset in data of a u64 that holds an offset in data; it becomes an address before the first op (argv, filters).
 */
#pragma once
#include "kernel.h"

enum { PROGRAM_MAGIC = 0x50535750 /* "PWSP" */, PROGRAM_VERSION = 3, REGISTERS = 16, NO_REGISTER = 0xff };
enum { ARGUMENT_NUMBER, ARGUMENT_DATA, ARGUMENT_REGISTER };

/* Operations that one system call cannot express; numbers above any system call's. */
enum {
	OP_MAKE_PATH = 0xff01,    /* (root fd, path, is file, mode): an O_PATH descriptor of path inside root, made where missing */
	OP_MASK_PATH = 0xff02,    /* (root fd, path, covers fd): covers path inside root by COVER_DIRECTORY or COVER_FILE; nothing where there is none */
	OP_WRITE_FILE = 0xff03,   /* (path, data, length) */
	OP_KEEP_CAPS = 0xff04,    /* (low mask, high mask): keeps these of the permitted capabilities, effective and permitted */
	OP_OPEN_TTY = 0xff05,     /* (uid): a pty of /dev/pts becomes 0, 1, 2; its master goes to the supervisor */
	OP_EXECVE_PATH = 0xff06,  /* (candidates, each ended by NUL, the last by two; argv; envp) */
	OP_MAKE_MOUNT = 0xff07,   /* (type; "key" and "key=value", each ended by NUL, the last by two; MOUNT_ATTR_*): a detached mount */
	OP_SEAL_PATH = 0xff08,    /* (root fd, path): path inside root and all below read-only; nothing where there is none */
	OP_DROP_BOUNDING = 0xff09, /* (low mask, high mask): takes every other capability that the kernel has from the bounding set */
	OP_FORK = 0xff0a,         /* (): what follows runs in a child of the supervisor's that has nothing of the supervisor's but the report */
	OP_TAKE_PROC = 0xff0b,    /* (fd of a process or mount namespace, path): a detached copy of the proc that is mounted there */
	OP_ENTER_PATH = 0xff0c,   /* (path): chdir that follows no link of /proc to what is outside of the root */
	OP_OPEN_NULL = 0xff0d,    /* (): 0 becomes the root's own /dev/null, or where that is something else a stream that has ended */
	OP_AWAIT = 0xff0e,        /* (): waits for a byte of whoever listens to the report; ECANCELED where nobody does any more */
	OP_FIND_PROGRAM = 0xff0f, /* (candidates as of OP_EXECVE_PATH): fails as that would, where none can be executed */
	OP_RUN = 0xff10,          /* (path; argv; envp): runs a program of the host's to its end; ECANCELED where that is another than 0 */
	OP_TAKE_TTY = 0xff11,     /* (listening socket): the master of a terminal that somebody has sent there goes to the supervisor */
	OP_MADE = 0xff12,         /* (path): the process whose number is in the file is the one that the launch is for */
};

struct op {
	u16 nr;
	u8 kinds[6];
	u8 tolerated[3]; /* errnos that are no failure; 0: none */
	u8 skip;         /* how many ops to pass over when a tolerated error came */
	u8 save;         /* register for the result, or NO_REGISTER */
	u8 reserved[3];
	i64 arguments[6];
};

struct program {
	u32 magic;
	u16 version, op_count;
	u32 relocation_count, data_length;
	struct op ops[];
};

struct failure { i32 index, error; }; /* index -1: none */

/*
 * In the child: the supervisor's ear; the process or pid namespace that is joined; the mount namespace that holds the proc of the pod's;
 * the pod's user namespace.
 */
enum { REPORT_FD = 3, TARGET_FD = 4, PROC_FD = 5, USER_FD = 6 };
/* What covers masked paths, in a read-only file system of the container's own. */
#define COVER_DIRECTORY "directory"
#define COVER_FILE "null"

/* The strings of the supervisor's arguments, which every process can read of a child of it. */
extern char *arguments_start;
extern u64 arguments_length;

/* 0, or EINVAL where the program does not keep within its `length` bytes. */
int check_program(const struct program *program, size_t length);
/*
 * Runs the ops in this process, after OP_FORK in a child of it; comes back only with a failure (or at the end of a program without
 * execve, index -1). A program that forks has a mapping of its own, which is all that the child keeps: its length, or 0.
 */
struct failure run_program(struct program *program, size_t mapped);
/* The program in whole pages that hold nothing else, of this process's own; NULL where there is no memory. */
struct program *own_program(struct program *program, size_t length, size_t *mapped);
enum { NEARBY_BYTES = 1 << 16 };
/* Copies a program of at most NEARBY_BYTES to where every child has it, in place of the one before. */
struct program *copy_nearby(const struct program *program, size_t length);
void release_nearby(void);
/* Of this process. */
long drop_bounding(u32 low, u32 high);
long make_mount(const char *type, const char *settings, u32 attributes);
long send_fd(int to, int fd);
struct received { long length; int fd; i32 pid; }; /* pid: the sender's, where the socket asks for credentials */
struct received receive_message(int from, void *data, size_t length, int flags);
long run_sealed(const char *title, char **argv, char **envp, const char **problem);
/* Makes the mount `tree` this mount namespace's root, and nothing else is left in it; `place` is a directory to mount it on. */
long become_root(int tree, const char *place);
