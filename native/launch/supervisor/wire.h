/* The protocol on DIR/sock, version 1; protocol.ts has the diagram and the words. All numbers are in the processor's (little-endian) order. */
#pragma once
#include "kernel.h"

enum { WIRE_VERSION = 1 };
enum { FRAME_BYTES_MAX = 8 << 20, OUTPUT_BYTES_MAX = 16 << 10, STREAM_WINDOW = 128 << 10, ID_BYTES = 64 };

enum { /* from the agent */
	MSG_LAUNCH = 1, MSG_KILL, MSG_ATTACH, MSG_DETACH, MSG_STDIN, MSG_STDIN_CLOSE, MSG_CREDIT, MSG_RESIZE, MSG_REOPEN_LOG, MSG_LIST, MSG_STOP,
};
enum { /* from the supervisor */
	MSG_HELLO = 64, MSG_REPLY, MSG_RUNNING, MSG_EXIT, MSG_OUTPUT, MSG_OUTPUT_END, MSG_STDIN_CREDIT, MSG_DETACHED,
};

struct frame { /* before every message; length counts it too */
	u32 length;
	u8 version, type;
	u16 stream; /* OUTPUT, OUTPUT_END, CREDIT: 0 stdout, 1 stderr */
	u32 tag;    /* a request's number, or the handle of a process for streams */
};

enum { /* launch flags */
	LAUNCH_STDIN = 1, LAUNCH_STDIN_ONCE = 2, LAUNCH_TTY = 4, LAUNCH_ATTACH = 8, LAUNCH_EXEC = 16, LAUNCH_POD_PID = 32, LAUNCH_HOST_PID = 64,
	LAUNCH_TARGET_PID = LAUNCH_POD_PID | LAUNCH_HOST_PID, /* that of target_pid */
	LAUNCH_BY_PROGRAM = 128, /* a program of the host's makes the process and says whose number it has: the launch joins nothing itself */
};
struct launch { /* then: log path, cgroup path (each with its NUL, or of length 0), padding to 8, program */
	char id[ID_BYTES];
	u32 flags, target_pid;
	u64 clone_flags;
	u32 log_length, cgroup_length, program_length, reserved;
};

enum { /* failure stages that are not an op of the program */
	STAGE_NONE = -1, STAGE_REQUEST = -2, STAGE_LIMIT = -3, STAGE_LOG = -4, STAGE_PIPE = -5, STAGE_TARGET = -6, STAGE_CGROUP = -7,
	STAGE_CLONE = -8, STAGE_PID_NAMESPACE = -9, STAGE_DUPLICATE = -10, STAGE_NO_PROCESS = -11, STAGE_KILLED = -12, STAGE_NOT_OURS = -13,
	STAGE_BORN = -100, /* of a child to the supervisor only: it is where others see it */
	STAGE_MADE = -101, /* likewise: a program has made the process whose number is in the place of an errno */
};
struct reply {
	i32 index, error; /* index STAGE_NONE and error 0: done */
	u32 pid, handle;
	u64 started_ns;
	u32 flags, reserved; /* of the process's launch */
};
enum { HELLO_POD_PID = 1, HELLO_LARGE_FRAMES = 2, HELLO_BY_PROGRAM = 4 };
struct hello {
	u32 pid, flags; /* there is a pod-wide pid namespace; frames of FRAME_BYTES_MAX are taken, which was 1 MiB once; LAUNCH_BY_PROGRAM is known */
	u64 log_bytes_dropped;
};
struct kill { char id[ID_BYTES]; i32 signal; u32 all; };
struct resize { u16 columns, rows; u32 reserved; };
struct credit { u32 bytes, reserved; };
struct running { char id[ID_BYTES]; u32 pid, handle; u64 started_ns; };
struct exit_record { /* also the record of DIR/exits */
	char id[ID_BYTES];
	u32 pid;
	i32 status; /* as wait4(2) gives it */
	u64 started_ns, finished_ns, reserved;
};
