/* CRI log lines: `2026-11-20T08:27:50.594980853Z stdout F text`. A failing disk loses lines and is counted; it never stops a container. */
#include "supervisor.h"

enum { STAMP_LENGTH = 30, PREFIX_MAX = STAMP_LENGTH + 10, BATCH_BYTES = 32 << 10 };

u64 log_bytes_dropped;
static char batch[BATCH_BYTES] __attribute__((aligned(4096)));
static u32 batched;

void release_log_batch(void) { CALL3(madvise, batch, sizeof batch, MADV_DONTNEED); }

static void put_digits(char *at, u64 value, int digits)
{
	while (digits--) at[digits] = (char)('0' + value % 10), value /= 10;
}

/* Days since the epoch to a date, by the 400-year eras of the Gregorian calendar that begin on 1 March. */
static void put_date(char *at, u64 days)
{
	u64 shifted = days + 719468, era = shifted / 146097, day_of_era = shifted % 146097;
	u64 year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
	u64 day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
	u64 march_month = (5 * day_of_year + 2) / 153;
	u64 month = march_month < 10 ? march_month + 3 : march_month - 9;
	put_digits(at, year_of_era + era * 400 + (month <= 2), 4);
	put_digits(at + 5, month, 2);
	put_digits(at + 8, day_of_year - (153 * march_month + 2) / 5 + 1, 2);
}

static void put_stamp(char *at)
{
	static char seconds_text[] = "0000-00-00T00:00:00.";
	static u64 seconds_known;
	u64 now = now_ns(), seconds = now / 1000000000u;
	if (seconds != seconds_known) {
		seconds_known = seconds;
		put_date(seconds_text, seconds / 86400);
		put_digits(seconds_text + 11, seconds / 3600 % 24, 2);
		put_digits(seconds_text + 14, seconds / 60 % 60, 2);
		put_digits(seconds_text + 17, seconds % 60, 2);
	}
	memcpy(at, seconds_text, 20);
	put_digits(at + 20, now % 1000000000u, 9);
	at[29] = 'Z';
}

static void flush(struct log_file *log)
{
	u32 done = 0;
	while (done < batched) {
		long written = CALL3(write, log->fd, batch + done, batched - done);
		if (written == -EINTR) continue;
		if (written <= 0) break;
		done += (u32)written;
	}
	if (done < batched) {
		log_bytes_dropped += batched - done;
		if (done > 0) log->is_torn = 1;
	}
	batched = 0;
}

struct line_prefix { char text[PREFIX_MAX]; };

static void put_line(struct log_file *log, struct line_prefix *prefix, char tag, const char *text, u32 length)
{
	if (batched + 1 + PREFIX_MAX + length + 1 > BATCH_BYTES) flush(log);
	if (batched == 0 && log->is_torn) {
		batch[batched++] = '\n';
		log->is_torn = 0;
	}
	prefix->text[PREFIX_MAX - 3] = ' ';
	prefix->text[PREFIX_MAX - 2] = tag;
	prefix->text[PREFIX_MAX - 1] = ' ';
	memcpy(batch + batched, prefix->text, PREFIX_MAX);
	memcpy(batch + batched + PREFIX_MAX, text, length);
	batched += PREFIX_MAX + length;
	batch[batched++] = '\n';
}

static void start_prefix(struct line_prefix *prefix, int is_stderr)
{
	put_stamp(prefix->text);
	memcpy(prefix->text + STAMP_LENGTH, is_stderr ? " stderr" : " stdout", 7);
}

static u32 find_newline(const char *data, u32 length)
{
	u32 at = 0;
	for (; at + 8 <= length; at += 8) { /* eight bytes at a time: a byte that equals '\n' becomes zero */
		u64 word;
		memcpy(&word, data + at, 8);
		word ^= 0x0a0a0a0a0a0a0a0aull;
		if ((word - 0x0101010101010101ull) & ~word & 0x8080808080808080ull) break;
	}
	while (at < length && data[at] != '\n') at++;
	return at;
}

static void keep_partial(struct partial *partial, const char *data, u32 length)
{
	if (!partial->text) partial->text = map_memory(LOG_LINE_MAX);
	if (!partial->text) {
		log_bytes_dropped += length;
		return;
	}
	memcpy(partial->text + partial->length, data, length);
	partial->length += length;
}

static void drop_partial(struct partial *partial)
{
	if (partial->text) CALL2(munmap, partial->text, LOG_LINE_MAX);
	partial->text = NULL;
	partial->length = 0;
}

/* Completes the line that began in an earlier read; gives back how much of data that took. */
static u32 finish_partial(struct log_file *log, struct partial *partial, struct line_prefix *prefix, const char *data, u32 length)
{
	u32 line = find_newline(data, length), room = LOG_LINE_MAX - partial->length;
	u32 taken = line < room ? line : room;
	keep_partial(partial, data, taken);
	if (line > room) {
		put_line(log, prefix, 'P', partial->text, partial->length);
		partial->length = 0;
		return taken; /* the rest is what a fresh line would be */
	}
	if (line == length) return length;
	put_line(log, prefix, 'F', partial->text, partial->length);
	drop_partial(partial);
	return line + 1;
}

void log_write(struct log_file *log, struct partial *partial, int is_stderr, const char *data, u32 length)
{
	struct line_prefix prefix;
	u32 at = 0;
	if (log->fd < 0) return;
	start_prefix(&prefix, is_stderr);
	if (partial->length > 0) at = finish_partial(log, partial, &prefix, data, length);
	while (at < length) {
		u32 line = find_newline(data + at, length - at);
		if (line > LOG_LINE_MAX) {
			put_line(log, &prefix, 'P', data + at, LOG_LINE_MAX);
			at += LOG_LINE_MAX;
		} else if (at + line == length) {
			keep_partial(partial, data + at, line);
			at = length;
		} else {
			put_line(log, &prefix, 'F', data + at, line);
			at += line + 1;
		}
	}
	if (partial->length == 0) drop_partial(partial);
	flush(log);
}

void log_finish(struct log_file *log, struct partial *partial, int is_stderr)
{
	struct line_prefix prefix;
	if (log->fd >= 0 && partial->length > 0) {
		start_prefix(&prefix, is_stderr);
		put_line(log, &prefix, 'P', partial->text, partial->length);
		flush(log);
	}
	drop_partial(partial);
}
