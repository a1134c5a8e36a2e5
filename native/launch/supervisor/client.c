/* Connections: frames in, bounded queues out. A client that breaks the protocol or does not read is dropped; nothing waits for it. */
#include "supervisor.h"

struct client clients[CLIENTS_MAX];

static void drop_client(struct client *client)
{
	unwatch(client->fd);
	close_fd(&client->fd);
	CALL2(munmap, client->input, FRAME_BYTES_MAX);
	CALL2(munmap, client->output, CLIENT_OUTPUT_MAX);
	client->generation++;
	forget_client(client);
}

/* Clients are doomed wherever it shows and dropped here, so that nobody holds one that goes. */
void sweep_clients(void)
{
	for (u32 i = 0; i < CLIENTS_MAX; i++) {
		if (clients[i].fd >= 0 && clients[i].is_doomed) drop_client(clients + i);
	}
}

static void flush_client(struct client *client)
{
	while (client->output_start < client->output_end) {
		long sent = CALL(sendto, client->fd, client->output + client->output_start, client->output_end - client->output_start,
				 MSG_NOSIGNAL | MSG_DONTWAIT, 0, 0);
		if (sent == -EAGAIN || sent == -EINTR) break;
		if (sent <= 0) {
			client->is_doomed = 1;
			return;
		}
		client->output_start += (u32)sent;
	}
	int is_empty = client->output_start == client->output_end;
	if (is_empty) {
		if (client->output_end > READ_BYTES) CALL3(madvise, client->output, CLIENT_OUTPUT_MAX, MADV_DONTNEED);
		client->output_start = client->output_end = 0;
	}
	if (client->wants_write == is_empty) {
		client->wants_write = !is_empty;
		rewatch(client->fd, is_empty ? EPOLLIN : EPOLLIN | EPOLLOUT, WATCH_CLIENT, (u32)(client - clients));
	}
}

u32 room_for_output(const struct client *client)
{
	u32 used = client->output_end - client->output_start;
	return used + sizeof(struct frame) < CLIENT_OUTPUT_STREAMS ? CLIENT_OUTPUT_STREAMS - used - (u32)sizeof(struct frame) : 0;
}

void send_message(struct client *client, u8 type, u16 stream, u32 tag, const void *body, u32 length)
{
	struct frame frame = { (u32)sizeof frame + length, WIRE_VERSION, type, stream, tag };
	if (client->fd < 0 || client->is_doomed) return;
	if (client->output_end + frame.length > CLIENT_OUTPUT_MAX) {
		memmove(client->output, client->output + client->output_start, client->output_end - client->output_start);
		client->output_end -= client->output_start;
		client->output_start = 0;
	}
	if (client->output_end + frame.length > CLIENT_OUTPUT_MAX) {
		client->is_doomed = 1;
		return;
	}
	memcpy(client->output + client->output_end, &frame, sizeof frame);
	memcpy(client->output + client->output_end + sizeof frame, body, length);
	client->output_end += frame.length;
	if (!client->wants_write) flush_client(client);
}

void send_all(u8 type, const void *body, u32 length)
{
	for (u32 i = 0; i < CLIENTS_MAX; i++) send_message(clients + i, type, 0, 0, body, length);
}

void release_client_buffers(void)
{
	for (u32 i = 0; i < CLIENTS_MAX; i++) {
		struct client *client = clients + i;
		if (client->fd < 0) continue;
		if (client->input_length == 0) CALL3(madvise, client->input, FRAME_BYTES_MAX, MADV_DONTNEED);
		if (client->output_end == 0) CALL3(madvise, client->output, CLIENT_OUTPUT_MAX, MADV_DONTNEED);
	}
}

static void start_client(struct client *client, int fd)
{
	u32 generation = client->generation;
	*client = (struct client){ .fd = fd, .generation = generation, .input = map_unforked(FRAME_BYTES_MAX), .output = map_unforked(CLIENT_OUTPUT_MAX) };
	if (!client->input || !client->output || watch(fd, EPOLLIN, WATCH_CLIENT, (u32)(client - clients))) {
		if (client->input) CALL2(munmap, client->input, FRAME_BYTES_MAX);
		if (client->output) CALL2(munmap, client->output, CLIENT_OUTPUT_MAX);
		close_fd(&client->fd);
		return;
	}
	struct hello hello = { (u32)CALL0(getpid), (u32)has_pod_pid | HELLO_LARGE_FRAMES | HELLO_BY_PROGRAM, log_bytes_dropped };
	send_message(client, MSG_HELLO, 0, 0, &hello, sizeof hello);
}

void take_client(int fd)
{
	struct client *free_client = NULL;
	for (u32 i = 0; i < CLIENTS_MAX; i++) {
		if (clients[i].fd < 0) free_client = clients + i;
	}
	if (free_client) start_client(free_client, fd);
	else CALL1(close, fd);
}

void accept_clients(int listener)
{
	for (;;) {
		int fd = (int)CALL4(accept4, listener, 0, 0, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (fd < 0) return;
		take_client(fd);
	}
}

/* ---- requests ---- */

static void reply(struct client *client, u32 tag, i32 index, int error, const struct process *process)
{
	struct reply reply = { .index = index, .error = error };
	if (process) {
		reply.pid = (u32)process->pid;
		reply.handle = process->handle;
		reply.started_ns = process->started_ns;
		reply.flags = process->flags;
	}
	send_message(client, MSG_REPLY, 0, tag, &reply, sizeof reply);
}

static void on_attach(struct client *client, u32 tag, const char *id)
{
	struct process *process = find_process(id);
	if (!process || process->state != RUNNING || (process->flags & LAUNCH_EXEC)) {
		reply(client, tag, STAGE_NO_PROCESS, ESRCH, NULL);
	} else if (attachment_of(process, client)) {
		reply(client, tag, STAGE_LIMIT, EBUSY, NULL);
	} else if (!attach(process, client)) {
		reply(client, tag, STAGE_LIMIT, EMFILE, NULL);
	} else {
		reply(client, tag, STAGE_NONE, 0, process);
		for (u16 i = 0; i < (process->flags & LAUNCH_TTY ? 1 : 2); i++) {
			if (process->output[i].fd < 0) send_message(client, MSG_OUTPUT_END, i, process->handle, NULL, 0);
		}
	}
}

/* A process that is gone has had its signal. */
static void on_kill(struct client *client, u32 tag, const struct kill *request)
{
	struct process *process = find_process(request->id);
	long result = 0;
	if (process && process->pid > 0) {
		/* The process leads a session and a group of its own; not reaped yet, so its number is not another's. */
		if (request->all) result = CALL2(kill, -process->pid, request->signal);
		if (!request->all || result == -ESRCH) result = CALL2(kill, process->pid, request->signal);
	}
	reply(client, tag, STAGE_NONE, is_error(result) && result != -ESRCH ? (int)-result : 0, NULL);
}

static void on_list(struct client *client, u32 tag)
{
	static struct running list[PROCESSES_MAX];
	u32 count = 0;
	for (u32 i = 0; i < process_limit; i++) {
		const struct process *process = processes + i;
		if (process->state != RUNNING) continue;
		struct running *entry = list + count++;
		memcpy(entry->id, process->id, ID_BYTES);
		entry->pid = (u32)process->pid;
		entry->handle = process->handle;
		entry->started_ns = process->started_ns;
	}
	send_message(client, MSG_RUNNING, 0, tag, list, count * (u32)sizeof *list);
}

static void on_stop(struct client *client, u32 tag)
{
	if (count_processes() > 0) {
		reply(client, tag, STAGE_NONE, EBUSY, NULL);
		return;
	}
	reply(client, tag, STAGE_NONE, 0, NULL);
	CALL3(unlinkat, AT_FDCWD, "sock", 0);
	CALL1(exit_group, 0);
}

/* Messages of a process's streams; 0 where the client broke the rules. Those for a process that ended meanwhile are no mistake. */
static int on_stream_message(struct client *client, const struct frame *frame, const void *body, u32 length)
{
	if (frame->type < MSG_DETACH || frame->type > MSG_RESIZE) return 0;
	struct process *process = find_handle(frame->tag);
	struct attachment *attachment = process ? attachment_of(process, client) : NULL;
	if (frame->type == MSG_RESIZE) {
		const struct resize *resize = body;
		if (length != sizeof *resize) return 0;
		if (attachment) resize_tty(process, resize->columns, resize->rows);
		return 1;
	}
	if (frame->type == MSG_CREDIT && (length != sizeof(struct credit) || frame->stream > 1)) return 0;
	if (!attachment) return 1;
	switch (frame->type) {
	case MSG_STDIN: return !feed_stdin(process, attachment, body, length);
	case MSG_STDIN_CLOSE:
		if (process->flags & (LAUNCH_STDIN_ONCE | LAUNCH_EXEC)) finish_stdin(process);
		return 1;
	case MSG_DETACH: detach(process, attachment); return 1;
	case MSG_CREDIT: {
		u32 *credit = &attachment->credit[frame->stream];
		u32 more = ((const struct credit *)body)->bytes;
		if (more > STREAM_WINDOW - *credit) return 0;
		*credit += more;
		return 1;
	}
	default: return 0;
	}
}

static int on_message(struct client *client, const struct frame *frame)
{
	const void *body = frame + 1;
	u32 length = frame->length - (u32)sizeof *frame;
	switch (frame->type) {
	case MSG_LAUNCH: {
		struct failure failure = launch_process(client, frame->tag, body, length);
		if (failure.index != STAGE_NONE) reply(client, frame->tag, failure.index, failure.error, NULL);
		return 1;
	}
	case MSG_KILL:
		if (length != sizeof(struct kill)) return 0;
		on_kill(client, frame->tag, body);
		return 1;
	case MSG_ATTACH:
		if (length != ID_BYTES) return 0;
		on_attach(client, frame->tag, body);
		return 1;
	case MSG_REOPEN_LOG: {
		if (length != ID_BYTES) return 0;
		struct process *process = find_process(body);
		if (!process) reply(client, frame->tag, STAGE_NO_PROCESS, ESRCH, NULL);
		else reply(client, frame->tag, STAGE_LOG, reopen_log(process), process);
		return 1;
	}
	case MSG_LIST: on_list(client, frame->tag); return 1;
	case MSG_STOP: on_stop(client, frame->tag); return 1;
	default: return on_stream_message(client, frame, body, length);
	}
}

static void read_client(struct client *client)
{
	long got = CALL3(read, client->fd, client->input + client->input_length, FRAME_BYTES_MAX - client->input_length);
	if (got == -EAGAIN || got == -EINTR) return;
	if (got <= 0) {
		client->is_doomed = 1;
		return;
	}
	client->input_length += (u32)got;
	buffers_touched = 1;
	u32 at = 0, touched = client->input_length;
	while (client->input_length - at >= sizeof(struct frame) && !client->is_doomed) {
		struct frame frame;
		memcpy(&frame, client->input + at, sizeof frame);
		if (frame.version != WIRE_VERSION || frame.length < sizeof frame || frame.length > FRAME_BYTES_MAX) {
			client->is_doomed = 1;
			break;
		}
		if (client->input_length - at < frame.length) break;
		if (!on_message(client, (const struct frame *)(client->input + at))) client->is_doomed = 1;
		at += frame.length;
	}
	if (at) memmove(client->input, client->input + at, client->input_length - at);
	client->input_length -= at;
	if (client->input_length == 0 && touched > READ_BYTES) CALL3(madvise, client->input, FRAME_BYTES_MAX, MADV_DONTNEED);
}

void on_client(u32 index, u32 events)
{
	struct client *client = clients + index;
	if (client->fd < 0 || client->is_doomed) return;
	if (events & EPOLLOUT) flush_client(client);
	if (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) read_client(client);
}
