import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, fstatSync, openSync } from 'node:fs';
import { open, statfs } from 'node:fs/promises';
import { dirname } from 'node:path';

import { backoffMs, type Backoff } from '#base/backoff.ts';
import type { Clock } from '#base/clock.ts';
import { describeError, PodwrightError } from '#base/errors.ts';
import { logFileVariable } from '#bin/program/own-log.ts';

const backoff: Backoff = { initialMs: 50, factor: 2, maxMs: 5000 };
const lastWordsBytesMax = 64 * 1024;
/** With less no store opens, and no log takes a line. */
const spaceBytesMin = 64 * 1024;
const healthyAfterMs = 10_000; // A process that lived this long starts again without delay.

export interface KeptProcess {
  readonly name: string;
  readonly command: readonly string[];
  /** Set besides the environment that all processes of the keeper get. */
  readonly environment: Readonly<Record<string, string>>;
  readonly logFile: string;
  /** Called before each start; what it returns is passed on as fd 3 and closed here afterwards. */
  readonly takeListener?: () => Promise<{ readonly fd: number; readonly release: () => void }>;
}

export interface KeeperOptions {
  readonly clock: Clock;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Told when a process ended although nobody asked it to. */
  readonly onUnexpectedExit: (name: string, how: string) => void;
}

/**
 * Starts a process, waits for its READY line on fd 4, and starts it again whenever it ends, until stopped: what
 * `Restart=always` is to a systemd unit.
 */
export class Keeper implements AsyncDisposable {
  readonly #process: KeptProcess;
  readonly #options: KeeperOptions;
  readonly #abort = new AbortController();
  #child: ChildProcess | undefined;
  #isReady = false;
  #loop: Promise<void> | undefined;

  constructor(process: KeptProcess, options: KeeperOptions) {
    this.#process = process;
    this.#options = options;
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /** Resolves when the first start is ready. @throws E_CONNECTION when the process ended before that; the signal's reason */
  async start(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const first = await this.#spawn();
    const how = await Promise.race([first.ready, first.exited, rejectionOf(signal)]);
    if (how !== undefined) {
      throw new PodwrightError('E_CONNECTION', `start ${this.#process.name}: ${how}`, {
        detail: { logFile: this.#process.logFile },
      });
    }
    this.#loop = this.#keep(first.exited);
  }

  /**
   * SIGTERM, then SIGKILL after ten seconds; the process is not started again. One that is not ready yet has nothing to put in
   * order, and would not look at SIGTERM before it is: it gets SIGKILL at once.
   */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#abort.abort();
    const child = this.#child;
    if (child !== undefined && child.exitCode === null && child.signalCode === null) {
      const exited = once(child, 'exit');
      child.kill(this.#isReady ? 'SIGTERM' : 'SIGKILL');
      using _timer = this.#options.clock.after(10_000, () => void child.kill('SIGKILL'));
      await exited;
    }
    await this.#loop;
  }

  async #keep(firstExit: Promise<string>): Promise<void> {
    let exited = firstExit;
    let startedMs = this.#options.clock.monotonic();
    let failures = 0;
    for (;;) {
      const how = await exited;
      if (this.#abort.signal.aborted) return;
      this.#options.onUnexpectedExit(this.#process.name, how);
      failures = this.#options.clock.monotonic() - startedMs > healthyAfterMs ? 0 : failures + 1;
      await this.#options.clock
        .sleep(backoffMs(backoff, failures), this.#abort.signal)
        .catch(() => undefined);
      if (this.#abort.signal.aborted) return;
      startedMs = this.#options.clock.monotonic();
      exited = this.#spawn().then(
        (next) => next.exited,
        // The port is taken, the disk is full: as if it had ended at once.
        (error: unknown) => describeError(error),
      );
    }
  }

  /** `exited` says how; of a process that had not been ready, with its last words. */
  async #spawn(): Promise<{ readonly ready: Promise<void>; readonly exited: Promise<string> }> {
    const [program = '', ...args] = this.#process.command;
    const listener = await this.#process.takeListener?.();
    const { signal } = this.#abort;
    if (signal.aborted) listener?.release();
    signal.throwIfAborted();
    const log = openSync(this.#process.logFile, 'a', 0o600);
    const logStart = fstatSync(log).size;
    const child = spawn(program, args, {
      stdio: ['ignore', log, log, listener?.fd ?? 'ignore', 'pipe'],
      detached: true, // Ctrl-C on the terminal reaches the launcher only, which stops things in order.
      env: {
        ...this.#options.environment,
        ...this.#process.environment,
        PODWRIGHT_READY_FD: '4',
        [logFileVariable]: this.#process.logFile,
      },
      cwd: '/',
    });
    closeSync(log);
    listener?.release();
    this.#child = child;
    this.#isReady = false;
    const ready = this.#readiness(child);
    const exited = new Promise<string>((resolve) => {
      child.once('error', (error) => resolve(error.message));
      child.once('exit', (code, by) => {
        if (by !== null || this.#isReady) resolve(by ?? `exit code ${code}`);
        else resolve(lastLine(this.#process.logFile, logStart).then((said) => `exit code ${code}: ${said}`));
      });
    });
    return { ready, exited };
  }

  /** Resolves with the READY line, or never. */
  #readiness(child: ChildProcess): Promise<void> {
    const pipe = child.stdio[4];
    if (pipe === null || pipe === undefined) throw new TypeError('fd 4 is a pipe');
    const { promise, resolve } = Promise.withResolvers<void>();
    pipe.on('error', () => undefined);
    pipe.once('data', () => {
      this.#isReady = true;
      pipe.destroy();
      resolve();
    });
    return promise;
  }
}

/** Never resolves. */
function rejectionOf(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    const fail = (): void => reject(signal.reason);
    if (signal.aborted) fail();
    else signal.addEventListener('abort', fail, { once: true });
  });
}

/** Why a process ended, in its own words: its log may go with the data directory. `start` is where its part of it begins. */
async function lastLine(logFile: string, start: number): Promise<string> {
  await using log = await open(logFile, 'r');

  const end = (await log.stat()).size;
  // It may have been rotated meanwhile.
  const from = Math.max(start > end ? 0 : start, end - lastWordsBytesMax);
  const words = Buffer.alloc(Math.max(0, end - from));
  await log.read(words, 0, words.length, from);
  const said = words.toString().trimEnd();
  if (said === '') return silence(dirname(logFile), await statfs(dirname(logFile)));
  return (said.split('\n').at(-1) ?? '').replace(/^podwright: /, '');
}

/** What is said of a process that ended without a word: on a full disk its log could not take any. Pure. */
export function silence(
  directory: string,
  { bavail, bsize }: { readonly bavail: number; readonly bsize: number },
): string {
  return bavail * bsize < spaceBytesMin
    ? `no space left in ${directory}; free some, or name another directory with --data`
    : 'it said nothing';
}
