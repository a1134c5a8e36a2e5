/** Tells of processes that the kernel ended for want of memory: at the node, and at the pod whose they were. */
import { closeSync, constants, openSync, readSync } from 'node:fs';
import type { Clock } from '#base/clock.ts';
import { describeError, errnoOf } from '#base/errors.ts';
import type { Logger } from '#base/log.ts';
import type { Runtime } from '#agent/runtime/runtime.ts';
import { seekToEnd } from '#native/sys/file.ts';
import { repeat } from '#agent/kubelet/cgroups/repeat.ts';
import { parseOomKill, podOf, type OomKill } from './parse-kmsg.ts';

export interface OomTeller {
  /** The machine ran out of memory: in the words of the kubelet, about the node. */
  ofNode(message: string): void;
  /** A limit of the pod's was reached. */
  ofPod(uid: string, message: string): void;
}

/** Kills told at once; beyond them one line says how many there were more. */
const toldMax = 20;
const toldWithinMs = 60_000;

/** Whom to tell what. */
export function createOomTeller(
  teller: OomTeller,
  { now }: { readonly now: () => number },
): (kill: OomKill) => void {
  let [sinceMs, told] = [0, 0];
  return (kill) => {
    const nowMs = now();
    if (nowMs - sinceMs > toldWithinMs) [sinceMs, told] = [nowMs, 0];
    if (++told > toldMax) return;
    const { pid, name, cgroup, limitedCgroup } = kill;
    if (limitedCgroup === '/') teller.ofNode(`System OOM encountered, victim process: ${name}, pid: ${pid}`);
    const pod = podOf(cgroup);
    if (pod === undefined) return;
    teller.ofPod(pod.uid, `Memory cgroup out of memory: Killed process ${pid} (${name})`);
  };
}

/** A record at most (CONSOLE_EXT_LOG_MAX of kernel/printk), and how many are read in one look. */
const recordBytesMax = 8192;
const recordsMax = 4096;

/** The kernel's log, one record at a reading; never waits. */
export class KernelLog implements Disposable {
  readonly #fd: number;
  readonly #buffer = Buffer.alloc(recordBytesMax);
  #isOpen = true;

  /**
   * What is in it by now is passed over: SEEK_END goes behind the last record (Documentation/ABI/testing/dev-kmsg).
   * @throws what open(2) and lseek(2) say
   */
  constructor(file: string = '/dev/kmsg') {
    this.#fd = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK | O_CLOEXEC);
    using undo = new DisposableStack();
    undo.adopt(this.#fd, closeSync);
    seekToEnd(this.#fd, file);
    undo.move();
  }

  /** The records since the last time. */
  read(): readonly string[] {
    const records: string[] = [];
    while (this.#isOpen && records.length < recordsMax) {
      try {
        const length = readSync(this.#fd, this.#buffer);
        if (length === 0) break;
        records.push(this.#buffer.toString('utf8', 0, length));
      } catch (error) {
        // EPIPE: the kernel has overwritten what was next, and goes on behind it.
        if (errnoOf(error) === 'EPIPE') continue;
        if (errnoOf(error) === 'EAGAIN') break;
        throw error;
      }
    }
    return records;
  }

  [Symbol.dispose](): void {
    if (this.#isOpen) closeSync(this.#fd);
    this.#isOpen = false;
  }
}

/** Of fcntl.h; node:fs sets it for what it opens, and says so nowhere. */
const O_CLOEXEC = 0o2_000_000;

/** A kill is seen so late at most; the end of a pod's container is looked into at once. */
const lookEveryMs = 5000;

export interface WatchOomOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly runtime: Pick<Runtime, 'onChange'>;
  readonly teller: OomTeller;
  /** Undefined: the kernel's. */
  readonly file?: string;
}

/** Undefined where the machine does not show its log: who ran out of memory is told by the state of its container alone. */
export function watchOom({ clock, logger, runtime, teller, file }: WatchOomOptions): Disposable | undefined {
  let log: KernelLog;
  try {
    log = new KernelLog(file);
  } catch (error) {
    logger.warn(
      { error: describeError(error) },
      'the kernel’s log is not read: no events tell who ran out of memory',
    );
    return undefined;
  }
  const tell = createOomTeller(teller, { now: () => clock.now() });
  const loop = repeat({ clock, logger, everyMs: lookEveryMs }, 'the kernel’s log is not read', async () => {
    for (const record of log.read()) {
      const [line = ''] = record.split('\n', 1);
      const kill = parseOomKill(line);
      if (kill !== undefined) tell(kill);
    }
  });
  const changes = runtime.onChange(() => loop.refresh());
  return {
    [Symbol.dispose]: () => {
      changes[Symbol.dispose]();
      loop[Symbol.dispose]();
      log[Symbol.dispose]();
    },
  };
}
