/* The parts of the supervisor and what they own: clients (client.c), processes (process.c), log lines (log.c), the loop (supervisor.c). */
#pragma once
#include "kernel.h"
#include "program.h"
#include "wire.h"

enum {
	CLIENTS_MAX = 16,
	PROCESSES_MAX = 128,
	ATTACHMENTS_MAX = 4,	       /* per process */
	CLIENT_OUTPUT_MAX = 1 << 20,   /* bytes that wait for a client, before it is dropped */
	CLIENT_OUTPUT_STREAMS = 1 << 19, /* of these, at most so many by output of processes */
	STDIN_BYTES_MAX = ATTACHMENTS_MAX * STREAM_WINDOW,
	LOG_PATH_MAX = 1024,
	LOG_LINE_MAX = 16384,
	READ_BYTES = OUTPUT_BYTES_MAX,
};

/* ---- the loop ---- */
enum { WATCH_LISTENER, WATCH_SIGNALS, WATCH_CLIENT, WATCH_REPORT, WATCH_OUTPUT, WATCH_STDIN };
int watch(int fd, u32 events, u32 kind, u32 index);
void rewatch(int fd, u32 events, u32 kind, u32 index);
void unwatch(int fd);
/* Ends the supervisor where it cannot go on. */
void die(const char *what, long error) __attribute__((noreturn));
extern int has_pod_pid;	      /* a pod-wide pid namespace exists */
extern int pod_init;	      /* the pidfd of its first process */
extern int pod_proc;	      /* a mount namespace in which there is nothing but the proc of the pod-wide pid namespace */
extern int pod_user;	      /* the pod's user namespace, where it has one */
extern int exits_file;
extern char scratch[READ_BYTES];
extern u8 buffers_touched; /* there is memory to give back when it is quiet */

/* ---- log lines ---- */
struct log_file {
	int fd; /* -1: no log */
	u8 is_torn; /* the last write was cut short: the next begins on a line of its own */
};
struct partial { /* what a stream said since its last newline */
	char *text; /* mapped only while there is something */
	u32 length;
};
extern u64 log_bytes_dropped;
void release_log_batch(void);
void log_write(struct log_file *log, struct partial *partial, int is_stderr, const char *data, u32 length);
/* At the end of a stream: a line without an end is a part. */
void log_finish(struct log_file *log, struct partial *partial, int is_stderr);

/* ---- clients ---- */
struct client {
	int fd; /* -1: free */
	u32 generation;
	char *input, *output; /* mapped for the client's life; touched only as needed */
	u32 input_length, output_start, output_end;
	u8 wants_write, is_doomed;
};
extern struct client clients[CLIENTS_MAX];
void accept_clients(int listener);
/* A connection from now on; one that is no stream socket is dropped when its hello cannot be sent. */
void take_client(int fd);
void on_client(u32 index, u32 events);
/* Queues a message; a client that has no room for it is dropped. */
void send_message(struct client *client, u8 type, u16 stream, u32 tag, const void *body, u32 length);
void send_all(u8 type, const void *body, u32 length);
u32 room_for_output(const struct client *client);
void sweep_clients(void);
void release_client_buffers(void);

/* ---- processes ---- */
struct attachment {
	u8 is_used;
	u32 client, generation;
	u32 credit[2];	/* bytes of output that the client has room for */
	u32 stdin_used; /* bytes of stdin not yet given back to the client */
};
struct stream {
	int fd;
	u8 is_watched;
	struct partial partial;
};
/* UNBORN: pid is that of the child that makes it ready, as long as that is there; the process's own comes with STAGE_BORN or STAGE_MADE. */
enum birth { BORN_HERE, UNBORN, BORN_THERE };
enum process_state { FREE, STARTING, RUNNING, FAILED, EXITED };
struct process {
	enum process_state state;
	u32 handle; /* generation * PROCESSES_MAX + slot */
	u32 flags;
	i32 pid;      /* 0: none (any more), or not known yet */
	enum birth birth;
	i32 early_pid, early_status; /* it ended before the program that makes it had: told when that has; 0: it has not */
	char id[ID_BYTES + 1];
	u64 started_ns;
	int report; /* the child's messages until execve */
	u32 request, client, generation; /* who waits for the reply */
	struct stream output[2];
	int stdin_fd;
	char *stdin_data;
	u32 stdin_start, stdin_end;
	u8 stdin_watched, stdin_closing;
	struct log_file log;
	struct attachment attachments[ATTACHMENTS_MAX];
	char log_path[LOG_PATH_MAX];
};
extern struct process processes[PROCESSES_MAX];
extern u32 process_limit; /* slots from here on are free */
struct failure launch_process(struct client *client, u32 request, const struct launch *launch, u32 length);
void on_report(u32 slot);
/* Before a process is made by a program. */
void begin_making(void);
void on_output(u32 slot, u32 stream);
void on_stdin(u32 slot);
void reap_processes(void);
struct process *find_process(const char *id);
struct process *find_handle(u32 handle);
struct attachment *attach(struct process *process, struct client *client);
void detach(struct process *process, struct attachment *attachment);
struct attachment *attachment_of(struct process *process, const struct client *client);
/* Lets go of everything of a client that is gone. */
void forget_client(const struct client *client);
/* Reads on where credit or room had run out. */
void resume_output(void);
int feed_stdin(struct process *process, struct attachment *from, const char *data, u32 length);
void close_stdin(struct process *process);
/* Closes it when what is queued has been written. */
void finish_stdin(struct process *process);
int resize_tty(struct process *process, u16 columns, u16 rows);
int open_log(struct process *process);
int reopen_log(struct process *process);
int count_processes(void);
