/* A process from its first report to the last byte of its output: logs, attached clients with flow control, stdin, exit. */
#include "supervisor.h"

struct process processes[PROCESSES_MAX];
u32 process_limit;

static u32 slot_of(const struct process *process) { return (u32)(process - processes); }

struct process *find_process(const char *id)
{
	char text[ID_BYTES + 1] = { 0 };
	memcpy(text, id, ID_BYTES);
	for (u32 i = 0; i < process_limit; i++) {
		if (processes[i].state != FREE && text_equal(processes[i].id, text)) return processes + i;
	}
	return NULL;
}

struct process *find_handle(u32 handle)
{
	struct process *process = processes + handle % PROCESSES_MAX;
	return process->state != FREE && process->handle == handle ? process : NULL;
}

int count_processes(void)
{
	int count = 0;
	for (u32 i = 0; i < process_limit; i++) count += processes[i].state == STARTING || processes[i].state == RUNNING;
	return count;
}

/* ---- attachments ---- */

static struct client *client_of(const struct attachment *attachment)
{
	struct client *client = clients + attachment->client;
	return client->fd >= 0 && client->generation == attachment->generation && !client->is_doomed ? client : NULL;
}

struct attachment *attachment_of(struct process *process, const struct client *client)
{
	for (int i = 0; i < ATTACHMENTS_MAX; i++) {
		struct attachment *attachment = process->attachments + i;
		if (attachment->is_used && client_of(attachment) == client) return attachment;
	}
	return NULL;
}

static int is_attached(const struct process *process)
{
	for (int i = 0; i < ATTACHMENTS_MAX; i++) {
		if (process->attachments[i].is_used) return 1;
	}
	return 0;
}

struct attachment *attach(struct process *process, struct client *client)
{
	for (int i = 0; i < ATTACHMENTS_MAX; i++) {
		struct attachment *attachment = process->attachments + i;
		if (attachment->is_used) continue;
		*attachment = (struct attachment){ 1, (u32)(client - clients), client->generation, { STREAM_WINDOW, STREAM_WINDOW }, 0 };
		return attachment;
	}
	return NULL;
}

/* ---- output ---- */

static void close_stream(struct process *process, u32 index)
{
	struct stream *stream = process->output + index;
	if (stream->fd < 0) return;
	if (stream->is_watched) unwatch(stream->fd);
	stream->is_watched = 0;
	close_fd(&stream->fd);
	log_finish(&process->log, &stream->partial, (int)index);
	for (int i = 0; i < ATTACHMENTS_MAX; i++) {
		struct client *client = process->attachments[i].is_used ? client_of(process->attachments + i) : NULL;
		if (client) send_message(client, MSG_OUTPUT_END, (u16)index, process->handle, NULL, 0);
	}
}

/* An exited process keeps its slot until its streams have ended: a child of it may still be writing. */
static void free_if_done(struct process *process)
{
	if (process->state != EXITED && (process->state != FAILED || process->pid)) return;
	/* Nobody can attach to an exited exec any more, so nobody would ever read on. */
	if ((process->flags & LAUNCH_EXEC) && !is_attached(process)) close_stream(process, 0), close_stream(process, 1);
	if (process->output[0].fd >= 0 || process->output[1].fd >= 0) return;
	close_stdin(process);
	close_fd(&process->log.fd);
	process->state = FREE;
	while (process_limit > 0 && processes[process_limit - 1].state == FREE) process_limit--;
}

/* How many bytes may be read now: an exec waits for its client (its output is never lost), a container with a slow client does not. */
static u32 readable_bytes(const struct process *process, u32 index)
{
	u32 bytes = READ_BYTES;
	if (!(process->flags & LAUNCH_EXEC)) return bytes;
	for (int i = 0; i < ATTACHMENTS_MAX; i++) {
		const struct attachment *attachment = process->attachments + i;
		const struct client *client = attachment->is_used ? client_of(attachment) : NULL;
		if (!client) continue;
		u32 room = room_for_output(client);
		if (attachment->credit[index] < bytes) bytes = attachment->credit[index];
		if (room < bytes) bytes = room;
	}
	return bytes;
}

static void pass_output(struct process *process, u32 index, const char *data, u32 length)
{
	for (int i = 0; i < ATTACHMENTS_MAX; i++) {
		struct attachment *attachment = process->attachments + i;
		struct client *client = attachment->is_used ? client_of(attachment) : NULL;
		if (!client) continue;
		if (attachment->credit[index] < length || room_for_output(client) < length) {
			attachment->is_used = 0;
			send_message(client, MSG_DETACHED, 0, process->handle, NULL, 0);
			continue;
		}
		attachment->credit[index] -= length;
		send_message(client, MSG_OUTPUT, (u16)index, process->handle, data, length);
	}
	log_write(&process->log, &process->output[index].partial, (int)index, data, length);
}

enum read_result { READ_SOME, READ_NOTHING, READ_PAUSED, READ_END };

/* Bytes of output read so far, of all processes. */
static u64 output_bytes_read;

static enum read_result read_output(struct process *process, u32 index)
{
	struct stream *stream = process->output + index;
	if (stream->fd < 0) return READ_END;
	u32 bytes = readable_bytes(process, index);
	if (bytes == 0) {
		/* A hang-up cannot be masked, so a stream that must wait leaves the epoll set. */
		if (stream->is_watched) unwatch(stream->fd);
		stream->is_watched = 0;
		return READ_PAUSED;
	}
	buffers_touched = 1;
	long got = CALL3(read, stream->fd, scratch, bytes);
	if (got > 0) {
		output_bytes_read += (u64)got;
		pass_output(process, index, scratch, (u32)got);
		return READ_SOME;
	}
	if (got == -EAGAIN || got == -EINTR) return READ_NOTHING;
	close_stream(process, index); /* end of file; of a pty, EIO */
	return READ_END;
}

/* Reads what is there now, and the end if that follows: not what is being written meanwhile, of which there may be no end. */
static void drain_output(struct process *process, u32 index)
{
	i32 waiting = 0;
	int fd = process->output[index].fd;
	if (fd < 0 || is_error(CALL3(ioctl, fd, FIONREAD, &waiting))) return;
	u64 enough = output_bytes_read + (u64)waiting;
	while (output_bytes_read < enough && read_output(process, index) == READ_SOME) continue;
	if (output_bytes_read >= enough) read_output(process, index);
}

void on_output(u32 slot, u32 index)
{
	struct process *process = processes + slot;
	if (!process->output[index].is_watched) return; /* an event of what was here before */
	read_output(process, index);
	free_if_done(process);
}

static void watch_output(struct process *process)
{
	for (u32 i = 0; i < 2; i++) {
		struct stream *stream = process->output + i;
		if (stream->fd < 0 || stream->is_watched || readable_bytes(process, i) == 0) continue;
		if (watch(stream->fd, EPOLLIN, WATCH_OUTPUT, slot_of(process) * 2 + i)) close_stream(process, i);
		else stream->is_watched = 1;
	}
}

void resume_output(void)
{
	for (u32 i = 0; i < process_limit; i++) {
		if (processes[i].state != RUNNING && processes[i].state != EXITED) continue;
		watch_output(processes + i);
		free_if_done(processes + i);
	}
}

/* ---- stdin ---- */

void close_stdin(struct process *process)
{
	if (process->stdin_fd >= 0 && process->stdin_watched) unwatch(process->stdin_fd);
	process->stdin_watched = 0;
	close_fd(&process->stdin_fd);
	if (process->stdin_data) CALL2(munmap, process->stdin_data, STDIN_BYTES_MAX);
	process->stdin_data = NULL;
	process->stdin_start = process->stdin_end = 0;
}

static void return_stdin_credit(struct process *process)
{
	for (int i = 0; i < ATTACHMENTS_MAX; i++) {
		struct attachment *attachment = process->attachments + i;
		struct client *client = attachment->is_used ? client_of(attachment) : NULL;
		if (!client || attachment->stdin_used == 0) continue;
		struct credit credit = { attachment->stdin_used, 0 };
		attachment->stdin_used = 0;
		send_message(client, MSG_STDIN_CREDIT, 0, process->handle, &credit, sizeof credit);
	}
}

static void flush_stdin(struct process *process)
{
	while (process->stdin_start < process->stdin_end) {
		u32 length = process->stdin_end - process->stdin_start;
		long written = CALL3(write, process->stdin_fd, process->stdin_data + process->stdin_start, length);
		if (written == -EAGAIN) {
			if (!process->stdin_watched) process->stdin_watched = !watch(process->stdin_fd, EPOLLOUT, WATCH_STDIN, slot_of(process));
			return;
		}
		if (written <= 0) { /* nobody reads any more */
			close_stdin(process);
			break;
		}
		process->stdin_start += (u32)written;
	}
	if (process->stdin_watched) unwatch(process->stdin_fd);
	process->stdin_watched = 0;
	process->stdin_start = process->stdin_end = 0;
	return_stdin_credit(process);
	if (process->stdin_closing) close_stdin(process);
}

void on_stdin(u32 slot)
{
	if (processes[slot].state != FREE && processes[slot].stdin_fd >= 0) flush_stdin(processes + slot);
}

/* EPROTO: the client sent more than it had credit for. */
int feed_stdin(struct process *process, struct attachment *from, const char *data, u32 length)
{
	if (length > STREAM_WINDOW - from->stdin_used) return EPROTO;
	from->stdin_used += length;
	if (process->stdin_fd < 0 || process->stdin_closing) {
		return_stdin_credit(process);
		return 0;
	}
	if (!process->stdin_data) process->stdin_data = map_memory(STDIN_BYTES_MAX);
	if (!process->stdin_data) return ENOMEM;
	if (process->stdin_end + length > STDIN_BYTES_MAX) {
		memmove(process->stdin_data, process->stdin_data + process->stdin_start, process->stdin_end - process->stdin_start);
		process->stdin_end -= process->stdin_start;
		process->stdin_start = 0;
	}
	if (length > STDIN_BYTES_MAX - process->stdin_end) return EPROTO;
	memcpy(process->stdin_data + process->stdin_end, data, length);
	process->stdin_end += length;
	if (!process->stdin_watched) flush_stdin(process);
	return 0;
}

void finish_stdin(struct process *process)
{
	process->stdin_closing = 1;
	if (process->stdin_fd >= 0 && process->stdin_start == process->stdin_end) close_stdin(process);
}

void detach(struct process *process, struct attachment *attachment)
{
	attachment->is_used = 0;
	/* An exec belongs to its client: without it nobody types, and a terminal hangs up. */
	if (!(process->flags & LAUNCH_EXEC) || is_attached(process)) return;
	finish_stdin(process);
	if (process->flags & LAUNCH_TTY) close_stdin(process), close_stream(process, 0);
}

void forget_client(const struct client *client)
{
	for (u32 i = 0; i < process_limit; i++) {
		struct process *process = processes + i;
		if (process->state == FREE) continue;
		for (int k = 0; k < ATTACHMENTS_MAX; k++) {
			struct attachment *attachment = process->attachments + k;
			if (attachment->is_used && attachment->client == (u32)(client - clients)) detach(process, attachment);
		}
	}
}

int resize_tty(struct process *process, u16 columns, u16 rows)
{
	u16 size[4] = { rows, columns, 0, 0 };
	if (!(process->flags & LAUNCH_TTY) || process->output[0].fd < 0) return 0;
	long result = CALL3(ioctl, process->output[0].fd, TIOCSWINSZ, size);
	return is_error(result) ? (int)-result : 0;
}

/* A descriptor of the log, or -errno. Directories that are missing on the way are made, for all to search as a node's logs are. */
int open_log(struct process *process)
{
	char *path = process->log_path;
	int fd = open_file(path, O_WRONLY | O_CREAT | O_APPEND, 0640);
	if (fd != -ENOENT) return fd;
	for (char *at = path + 1; *at; at++) {
		if (*at != '/') continue;
		*at = 0;
		if (!is_error(CALL3(mkdirat, AT_FDCWD, path, 0755))) CALL3(fchmodat, AT_FDCWD, path, 0755); /* despite the umask */
		*at = '/';
	}
	return open_file(path, O_WRONLY | O_CREAT | O_APPEND, 0640);
}

int reopen_log(struct process *process)
{
	if (process->log.fd < 0) return 0;
	int fd = open_log(process);
	if (fd < 0) return -fd;
	close_fd(&process->log.fd);
	process->log.fd = fd;
	process->log.is_torn = 0;
	return 0;
}

/* ---- start and end ---- */

static void reply_launch(struct process *process, struct failure failure)
{
	struct client *client = clients + process->client;
	struct reply reply = { failure.index, failure.error, (u32)process->pid, process->handle, process->started_ns, process->flags, 0 };
	if (client->fd < 0 || client->generation != process->generation) return;
	send_message(client, MSG_REPLY, 0, process->request, &reply, sizeof reply);
}

static void take_terminal(struct process *process, int master)
{
	CALL3(fcntl, master, F_SETFL, O_RDWR | O_NONBLOCK);
	process->output[0].fd = master;
	/* stdin has a descriptor of its own, so that both directions can be in the epoll set. */
	if (process->flags & LAUNCH_STDIN) process->stdin_fd = (int)CALL3(fcntl, master, F_DUPFD_CLOEXEC, 0);
}

static void end_process(struct process *process, i32 pid, i32 status);

static void finish_start(struct process *process, struct failure failure)
{
	unwatch(process->report);
	close_fd(&process->report);
	if (process->early_pid) process->pid = process->early_pid;
	process->started_ns = now_ns();
	process->state = failure.index == STAGE_NONE ? RUNNING : FAILED;
	reply_launch(process, failure);
	if (process->state == RUNNING && process->early_pid) {
		end_process(process, process->pid, process->early_status);
	} else if (process->state == RUNNING) {
		watch_output(process);
	} else {
		if (process->early_pid) process->pid = 0;
		process->id[0] = 0; /* the id was not used: the next launch may have it before this child is reaped */
		for (int i = 0; i < ATTACHMENTS_MAX; i++) process->attachments[i].is_used = 0;
		close_stream(process, 0);
		close_stream(process, 1);
		close_stdin(process);
		close_fd(&process->log.fd);
		/* It ends by itself, unless others have it in their power. */
		if (process->pid) CALL2(kill, process->pid, SIGKILL);
	}
}

/*
 * Who makes processes by programs (LAUNCH_BY_PROGRAM) learns their numbers when those may have ended: what came to us meanwhile is kept, as
 * long as a program is at it. Of more than fit the oldest go: an exec among so many is told as one that did not start.
 */
enum { ORPHANS_MAX = 64 };
static struct orphan { i32 pid, status; } orphans[ORPHANS_MAX];
static u32 orphan_count;

static int is_made_by_program(const struct process *process)
{
	return process->state == STARTING && process->flags & LAUNCH_BY_PROGRAM;
}

void begin_making(void)
{
	for (u32 i = 0; i < process_limit; i++) {
		if (is_made_by_program(processes + i)) return;
	}
	if (orphan_count) memset(orphans, 0, sizeof orphans), orphan_count = 0; /* numbers come again */
}

static void keep_orphan(i32 pid, i32 status)
{
	int is_awaited = 0;
	for (u32 i = 0; i < process_limit; i++) is_awaited |= is_made_by_program(processes + i) && processes[i].birth == UNBORN;
	if (is_awaited) orphans[orphan_count++ % ORPHANS_MAX] = (struct orphan){ pid, status };
}

static struct orphan *find_orphan(i32 pid)
{
	for (u32 i = 0; i < ORPHANS_MAX; i++) {
		if (pid > 0 && orphans[i].pid == pid) return orphans + i;
	}
	return NULL;
}

static int is_free_child(i32 pid)
{
	i32 info[32];
	for (u32 i = 0; i < process_limit; i++) {
		if (processes[i].state != FREE && processes[i].pid == pid) return 0;
	}
	return pid > 0 && !is_error(CALL5(waitid, P_PID, pid, info, WEXITED | WNOHANG | WNOWAIT, 0));
}

/* Only what we made says it: no program has the report's socket. */
static void take_made(struct process *process, i32 pid)
{
	struct orphan *orphan = find_orphan(pid);
	if (orphan) {
		process->early_pid = orphan->pid;
		process->early_status = orphan->status;
		orphan->pid = 0;
	} else if (!is_free_child(pid)) {
		finish_start(process, (struct failure){ STAGE_NOT_OURS, ESRCH });
		return;
	}
	process->pid = orphan ? 0 : pid;
	process->birth = BORN_THERE;
}

/*
 * The next message of the child: its terminal, STAGE_BORN, STAGE_MADE, its failure, or the end of the socket, which is execve; 0 where none is there.
 * Once it is born, others may have it in their power (CAP_SYS_PTRACE): then a descriptor is thrown away, and a number that is not that of
 * a child of ours is none. Before, only what we made can say anything.
 */
static int read_report(struct process *process)
{
	struct failure failure = { STAGE_NONE, 0 };
	struct received got = receive_message(process->report, &failure, sizeof failure, MSG_DONTWAIT);
	if (got.length == -EAGAIN || got.length == -EINTR) return 0;
	int is_whole = got.length == sizeof failure;
	int is_ours = process->birth == BORN_HERE || (process->birth == UNBORN && got.pid == process->pid);
	if (got.fd >= 0 && is_ours && process->flags & LAUNCH_TTY) {
		take_terminal(process, got.fd);
	} else if (got.fd >= 0) {
		close_fd(&got.fd);
	} else if (is_whole && process->birth == UNBORN && failure.index == STAGE_BORN) {
		if (!is_free_child(got.pid)) return 1;
		process->pid = got.pid;
		process->birth = BORN_THERE;
	} else if (is_whole && process->birth == UNBORN && failure.index == STAGE_MADE && got.pid == process->pid) {
		take_made(process, failure.error);
	} else if (is_whole) {
		finish_start(process, failure);
	} else {
		/* A program that has not said that all is done has not done it. */
		int is_cut = process->birth == UNBORN || process->flags & LAUNCH_BY_PROGRAM;
		finish_start(process, is_cut ? (struct failure){ STAGE_KILLED, ESRCH } : failure);
	}
	return 1;
}

/* All that a child says: a terminal, a birth, a failure, the end. Who sends without end does not keep us from the others. */
enum { REPORTS_MAX = 4 };

/* Once the socket has no other end: what was said before has waited, and woke nobody. */
void on_report(u32 slot)
{
	struct process *process = processes + slot;
	for (int i = 0; i < REPORTS_MAX && process->state == STARTING; i++) read_report(process);
	free_if_done(process);
}

static void end_process(struct process *process, i32 pid, i32 status)
{
	for (int i = 0; i < REPORTS_MAX && process->state == STARTING && process->pid == pid && read_report(process); i++) continue;
	if (process->pid != pid) return; /* it made the process ready that was born by now */
	if (is_made_by_program(process) && process->birth == BORN_THERE) {
		process->pid = 0;
		process->early_pid = pid;
		process->early_status = status;
		return;
	}
	if (process->state == STARTING && process->birth == UNBORN) {
		process->pid = 0; /* the same, but that one has not said so yet, or never will: the socket ends */
		return;
	}
	/* Also where the socket is in other hands. */
	if (process->state == STARTING) finish_start(process, (struct failure){ STAGE_NONE, 0 });
	if (process->state == RUNNING) {
		/* What it wrote is in the log before its exit is known. */
		for (u32 i = 0; i < 2; i++) drain_output(process, i);
		struct exit_record record = { .pid = (u32)process->pid, .status = status, .started_ns = process->started_ns, .finished_ns = now_ns() };
		memcpy(record.id, process->id, ID_BYTES);
		/* In the file first: an agent that was told of an exit and then died must find it again. */
		/* Not execs: nobody can ask for them after their client, and probes would make the file grow without end. */
		int is_kept = !(process->flags & LAUNCH_EXEC);
		if (is_kept && CALL3(write, exits_file, &record, sizeof record) != sizeof record) log_bytes_dropped += sizeof record;
		process->state = EXITED;
		send_all(MSG_EXIT, &record, sizeof record);
	}
	process->pid = 0;
	close_stdin(process);
	free_if_done(process);
}

static struct process *process_of(i32 pid)
{
	for (u32 i = 0; i < process_limit; i++) {
		struct process *process = processes + i;
		if (process->state != FREE && process->state != EXITED && process->pid == pid) return process;
	}
	return NULL;
}

static void learn_birth(struct process *process)
{
	while (process->state == STARTING && process->birth == UNBORN && read_report(process)) continue;
	free_if_done(process);
}

/*
 * Orphans that came to us as subreaper are reaped without a word, but see keep_orphan(). Who is dead has been born: it may have to be asked for who it is, which
 * it said before it could end, and is only looked at as long as it has not been.
 */
void reap_processes(void)
{
	for (;;) {
		i32 info[32] = { 0 }, status = 0; /* siginfo_t; its fifth word is the number */
		if (is_error(CALL5(waitid, P_ALL, 0, info, WEXITED | WNOHANG | WNOWAIT, 0)) || !info[4]) return;
		i32 pid = info[4];
		struct process *process = process_of(pid);
		for (u32 i = 0; i < process_limit && !process; i++) {
			learn_birth(processes + i);
			process = process_of(pid);
		}
		CALL4(wait4, pid, &status, WNOHANG, 0);
		if (process) end_process(process, pid, status);
		else keep_orphan(pid, status);
	}
}
