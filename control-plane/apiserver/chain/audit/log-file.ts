import { createReadStream, createWriteStream, writeSync, type Stats } from 'node:fs';
import { chmod, chown, mkdir, open, readdir, rename, rm, stat, type FileHandle } from 'node:fs/promises';
import { basename, dirname, extname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import type { Clock } from '#base/clock.ts';
import { currentTurn, promisesSettled } from '#base/time-slice.ts';
import { describeError, errnoOf, PodwrightError } from '#base/errors.ts';
import { eventType, type AuditEvent } from './event.ts';
import type { AuditSink, OnLost } from './sink.ts';

export interface LogFileOptions {
  /** `-`: standard output. */
  readonly path: string;
  readonly format: 'json' | 'legacy';
  /** A file that would be longer is set aside first. */
  readonly bytesMax: number;
  /** Files that were set aside and are kept; 0: all. */
  readonly backupsMax: number;
  /** How long those are kept; 0: for ever. */
  readonly ageMsMax: number;
  readonly compress: boolean;
}

/** Lines that may wait for the disk before more are refused as lost. */
const waitingBytesMax = 64 * 1024 * 1024;
/** How often it is looked whether the file still has its name: somebody else may rotate it, or have removed it. */
const lookMs = 1_000;

/**
 * Writes of so much are made by the main thread: the kernel copies them into memory in some microseconds, where another thread's turn costs
 * each request more than its own work. What takes longer, as of a disk that is behind, is done by others for so many times as long: a
 * fiftieth of the main thread is all that such a disk gets, and one write in which another process had the processor costs little.
 */
const ownBytesMax = 65_536;
const ownMsMax = 5;
const othersTimes = 50;

interface Waiting {
  readonly text: string;
  readonly events: number;
  readonly settle: (isWritten: boolean) => void;
}

/**
 * Appends events to a file, one write for all that came within a turn of the loop, and never in part: what the disk took of a write that
 * failed is cut off again. Once in a turn, what somebody waits for is not kept back for the rest of it: a client alone, and one of many
 * whose writes were made durable together, has its answer a turn or two sooner. Files that are full are renamed to `NAME-TIME.EXT`, as kube-apiserver's are.
 */
export function openLogSink(
  options: LogFileOptions,
  parts: { readonly clock: Clock; readonly onLost: OnLost },
): AuditSink {
  const target: Target = options.path === '-' ? new StandardOutput() : new RotatingFile(options, parts.clock);
  return new LogSink(target, options, parts.onLost);
}

interface Target extends AsyncDisposable {
  /** @throws the kernel's errors */
  open(): Promise<void>;
  /** All of it or nothing, at once where that can be. @throws the kernel's errors */
  append(bytes: Uint8Array): void | Promise<void>;
}

class LogSink implements AuditSink {
  readonly #target: Target;
  readonly #path: string;
  readonly #format: 'json' | 'legacy';
  readonly #onLost: OnLost;
  #waiting: Waiting[] = [];
  #waitingBytes = 0;
  #writing: Promise<void> | undefined;
  /** Begins what waits for the turn to be over; undefined where nothing does. */
  #begin: (() => void) | undefined;
  #hurriedTurn = -1;

  constructor(target: Target, { path, format }: Pick<LogFileOptions, 'path' | 'format'>, onLost: OnLost) {
    this.#path = path;
    this.#target = target;
    this.#format = format;
    this.#onLost = onLost;
  }

  async begin(): Promise<void> {
    try {
      await this.#target.open();
    } catch (cause) {
      throw new PodwrightError('E_USAGE', `start the server: --audit-log-path ${this.#path}`, { cause });
    }
  }

  take(events: readonly AuditEvent[], isAwaited = true): boolean | Promise<boolean> {
    const lineOf = (event: AuditEvent): string =>
      this.#format === 'json' ? `{${eventType}${event.json.slice(1)}\n` : `${event.legacy}\n`;
    const text =
      events.length === 1 && events[0] !== undefined ? lineOf(events[0]) : events.map(lineOf).join('');
    if (this.#waitingBytes + text.length > waitingBytesMax) {
      this.#onLost(events.length, 'the disk is slower than the events');
      return false;
    }
    const { promise, resolve } = isAwaited ? Promise.withResolvers<boolean>() : unawaited;
    this.#waiting.push({ text, events: events.length, settle: resolve });
    this.#waitingBytes += text.length;
    this.#writing ??= this.#write();
    if (isAwaited) this.#hurry();
    return promise;
  }

  /** Writes when all that goes on at once has been done, unless that has been done in this turn. */
  #hurry(): void {
    if (this.#begin === undefined) return;
    const turn = currentTurn();
    if (this.#hurriedTurn === turn) return;
    this.#hurriedTurn = turn;
    void promisesSettled().then(this.#begin);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#writing;
    await this.#target[Symbol.asyncDispose]();
  }

  async #write(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#begin = resolve;
    setImmediate(resolve); // What else this turn brings goes with it.
    await promise;
    this.#begin = undefined;
    while (this.#waiting.length > 0) {
      const taken = this.#waiting;
      this.#waiting = [];
      this.#waitingBytes = 0;
      try {
        const appended = this.#target.append(Buffer.from(joined(taken)));
        if (appended !== undefined) await appended;
        for (const { settle } of taken) settle(true);
      } catch (error) {
        this.#onLost(
          taken.reduce((sum, { events }) => sum + events, 0),
          describeError(error),
        );
        for (const { settle } of taken) settle(false);
      }
    }
    this.#writing = undefined;
  }
}

const unawaited: Pick<PromiseWithResolvers<boolean>, 'resolve'> & { readonly promise: true } = {
  promise: true,
  resolve: () => undefined,
};

function joined(lines: readonly Waiting[]): string {
  let all = '';
  for (const { text } of lines) all += text;
  return all;
}

class StandardOutput implements Target {
  async open(): Promise<void> {}

  append(bytes: Uint8Array): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    process.stdout.write(bytes, (error) => (error ? reject(error) : resolve()));
    return promise;
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}

class RotatingFile implements Target {
  readonly #options: LogFileOptions;
  readonly #clock: Clock;
  #file: FileHandle | undefined;
  #inode = 0;
  #bytes = 0;
  #lookedAtMs = 0;
  #isRegular = false;
  /** Until then no write is made by the main thread. */
  #othersUntilMs = -Infinity;
  /** In the name of the last file that was set aside. */
  #asideMs = 0;
  #tidying: Promise<void> = Promise.resolve();

  constructor(options: LogFileOptions, clock: Clock) {
    this.#options = options;
    this.#clock = clock;
  }

  async open(): Promise<void> {
    await this.#open();
    // What was set aside before, under other bounds, or was not finished.
    this.#tidyLater();
  }

  append(bytes: Uint8Array): void | Promise<void> {
    const file = this.#file;
    const isFull = this.#bytes > 0 && this.#bytes + bytes.byteLength > this.#options.bytesMax;
    const isLookDue = this.#clock.monotonic() - this.#lookedAtMs >= lookMs;
    if (file === undefined || isFull || isLookDue) return this.#appendAnew(bytes);
    const written = this.#writeHere(file, bytes, 0) ?? 0;
    if (written < bytes.byteLength) return this.#appendRest(file, bytes, written);
    this.#bytes += written;
    return undefined;
  }

  async #appendAnew(bytes: Uint8Array): Promise<void> {
    await this.#lookForName();
    let file = this.#file ?? (await this.#open());
    if (this.#bytes > 0 && this.#bytes + bytes.byteLength > this.#options.bytesMax) {
      const before = await this.#rotate();
      file = await this.#open();
      await makeAlike(this.#options.path, before);
    }
    await this.#appendRest(file, bytes, 0);
  }

  async #appendRest(file: FileHandle, bytes: Uint8Array, begun: number): Promise<void> {
    let written = begun;
    try {
      while (written < bytes.byteLength) {
        const some = this.#writeHere(file, bytes, written);
        written += some ?? (await file.write(bytes, written, bytes.byteLength - written)).bytesWritten;
      }
      this.#bytes += written;
    } catch (error) {
      // Half a line would spoil the next one, too.
      if (written > 0) await file.truncate(this.#bytes);
      throw error;
    }
  }

  /** undefined: it is not for the main thread. @throws the kernel's errors */
  #writeHere({ fd }: FileHandle, bytes: Uint8Array, from: number): number | undefined {
    const startMs = this.#clock.monotonic();
    if (!this.#isRegular || bytes.byteLength > ownBytesMax || startMs < this.#othersUntilMs) return undefined;
    const written = writeSync(fd, bytes, from);
    const endMs = this.#clock.monotonic();
    const tookMs = endMs - startMs;
    if (tookMs > ownMsMax) this.#othersUntilMs = endMs + tookMs * othersTimes;
    return written;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#close();
    await this.#tidying;
  }

  async #open(): Promise<FileHandle> {
    const { path } = this.#options;
    await mkdir(dirname(path), { recursive: true, mode: 0o700 }).catch((error: unknown) => {
      if (errnoOf(error) !== 'EEXIST') throw error;
    });
    const file = await open(path, 'a', 0o600);
    const about = await file.stat();
    this.#file = file;
    this.#bytes = about.size;
    this.#inode = about.ino;
    this.#isRegular = about.isFile();
    this.#lookedAtMs = this.#clock.monotonic();
    return file;
  }

  async #close(): Promise<void> {
    const file = this.#file;
    this.#file = undefined;
    await file?.close();
  }

  /** Whoever moved the file away, or removed it, finds a new one under its name. */
  async #lookForName(): Promise<void> {
    const nowMs = this.#clock.monotonic();
    if (this.#file === undefined || nowMs - this.#lookedAtMs < lookMs) return;
    this.#lookedAtMs = nowMs;
    const found = await stat(this.#options.path).catch((error: unknown) => {
      if (errnoOf(error) === 'ENOENT') return undefined;
      throw error;
    });
    if (found === undefined || found.ino !== this.#inode) await this.#close();
    else this.#bytes = found.size; // Truncated in place (copytruncate).
  }

  /** How the file was that has been set aside. */
  async #rotate(): Promise<Stats> {
    const { path } = this.#options;
    const before = await stat(path);
    await this.#close();
    const extension = extname(path);
    const stem = path.slice(0, path.length - extension.length);
    // Never a time that was used: of two files the later one has the later name, whatever the clock says.
    for (let ms = Math.max(this.#clock.now(), this.#asideMs + 1); ; ms++) {
      const aside = `${stem}-${fileTime(ms)}${extension}`;
      const isTaken = (await exists(aside)) || (await exists(`${aside}.gz`));
      if (isTaken) continue;
      this.#asideMs = ms;
      await rename(path, aside);
      break;
    }
    this.#tidyLater();
    return before;
  }

  #tidyLater(): void {
    this.#tidying = this.#tidying.then(() => this.#tidy());
  }

  /** Compresses and removes files that were set aside. What fails is tried again when the next one is. */
  async #tidy(): Promise<void> {
    try {
      const { path, compress } = this.#options;
      const directory = dirname(path);
      const plan = planTidying(await readdir(directory), basename(path), this.#options, this.#clock.now());
      for (const name of plan.remove) await rm(join(directory, name), { force: true });
      if (compress) for (const name of plan.keep) await compressFile(join(directory, name));
    } catch {
      // Nothing depends on it; the files stay.
    }
  }
}

/** Whoever may read the file (a shipper of logs, by its group) may read what comes after it, as with lumberjack. */
async function makeAlike(path: string, { mode, uid, gid }: Stats): Promise<void> {
  const made = await stat(path);
  if (made.uid !== uid || made.gid !== gid) {
    await chown(path, uid, gid).catch((error: unknown) => {
      if (errnoOf(error) !== 'EPERM') throw error; // Then it is whose the server is.
    });
  }
  if ((made.mode & permissions) !== (mode & permissions)) await chmod(path, mode & permissions);
}

const permissions = 0o777;

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

/** `2006-01-02T15-04-05.000`, of files that were set aside. */
export function fileTime(ms: number): string {
  return new Date(ms).toISOString().slice(0, 23).replaceAll(':', '-');
}

const packed = '.gz';
/** Of what is being packed; one that is there before anything is begun was not finished. */
const draft = '.gz.draft';

/** Which of the files in a directory were set aside and go, and which stay. Pure. */
export function planTidying(
  names: readonly string[],
  logName: string,
  { backupsMax, ageMsMax }: Pick<LogFileOptions, 'backupsMax' | 'ageMsMax'>,
  nowMs: number,
): { readonly remove: readonly string[]; readonly keep: readonly string[] } {
  const extension = extname(logName);
  const stem = `${logName.slice(0, logName.length - extension.length)}-`;
  const aside = names
    .flatMap((name) => {
      const bare = name.replace(/\.gz(\.draft)?$/, '');
      if (!name.startsWith(stem) || !bare.endsWith(extension)) return [];
      const match = /^(\d{4}-\d\d-\d\d)T(\d\d)-(\d\d)-(\d\d\.\d{3})$/.exec(
        bare.slice(stem.length, bare.length - extension.length),
      );
      const atMs = match === null ? NaN : Date.parse(`${match[1]}T${match[2]}:${match[3]}:${match[4]}Z`);
      return Number.isNaN(atMs) ? [] : [{ name, atMs }];
    })
    .toSorted((a, b) => b.atMs - a.atMs);
  // One that was packed and is still there unpacked counts once.
  const times = [...new Set(aside.map(({ atMs }) => atMs))];
  const isOld = (atMs: number): boolean => ageMsMax > 0 && nowMs - atMs > ageMsMax;
  const remove = aside.filter(
    ({ name, atMs }) =>
      name.endsWith(draft) || (backupsMax > 0 && times.indexOf(atMs) >= backupsMax) || isOld(atMs),
  );
  const gone = new Set(remove);
  return {
    remove: remove.map(({ name }) => name),
    keep: aside.filter((one) => !gone.has(one)).map(({ name }) => name),
  };
}

async function compressFile(path: string): Promise<void> {
  if (path.endsWith(packed)) return;
  const unfinished = `${path}${draft}`;
  await pipeline(createReadStream(path), createGzip(), createWriteStream(unfinished, { mode: 0o600 }));
  await makeAlike(unfinished, await stat(path));
  await rename(unfinished, `${path}${packed}`);
  await rm(path, { force: true });
}
