/*
 * The syscall program: what a child does between clone and execve, compiled in TypeScript (program.ts).
 *
 *   header | ops[op_count] | relocations[relocation_count] (u32, padded to 8) | data
 *
 * A relocation is the offset in data of a u64 that holds an offset in data; it becomes an address before the first op (argv, filters).
 */
#pragma once
#include "kernel.h"

enum { PROGRAM_MAGIC = 0x50535750 /* "PWSP" */, PROGRAM_VERSION = 2, REGISTERS = 16, NO_REGISTER = 0xff };
enum { ARGUMENT_NUMBER, ARGUMENT_DATA, ARGUMENT_REGISTER };

/* Operations that one system call cannot express; numbers above any system call's. */
enum {
	OP_MAKE_PATH = 0xff01,    /* (root fd, path, is file, mode): an O_PATH descriptor of path inside root, made where missing */
	OP_MASK_PATH = 0xff02,    /* (root fd, path, fd of an empty directory): covers path inside root, a file by /dev/null; nothing where there is none */
	OP_WRITE_FILE = 0xff03,   /* (path, data, length) */
	OP_KEEP_CAPS = 0xff04,    /* (low mask, high mask): keeps these of the permitted capabilities, effective and permitted */
	OP_OPEN_TTY = 0xff05,     /* (uid): a pty of /dev/pts becomes the controlling terminal and 0, 1, 2; its master goes to the supervisor */
	OP_EXECVE_PATH = 0xff06,  /* (candidates, each ended by NUL, the last by two; argv; envp) */
	OP_MAKE_MOUNT = 0xff07,   /* (type; "key" and "key=value", each ended by NUL, the last by two; MOUNT_ATTR_*): a detached mount */
	OP_SEAL_PATH = 0xff08,    /* (root fd, path): path inside root and all below read-only; nothing where there is none */
	OP_DROP_BOUNDING = 0xff09, /* (low mask, high mask): takes every other capability that the kernel has from the bounding set */
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

enum { REPORT_FD = 3, TARGET_FD = 4 }; /* in the child: the supervisor's ear, and the pidfd of an exec's target */

/* 0, or EINVAL where the program does not keep within its `length` bytes. */
int check_program(const struct program *program, size_t length);
/* Runs the ops in this process; comes back only with a failure (or at the end of a program without execve, index -1). */
struct failure run_program(struct program *program);
