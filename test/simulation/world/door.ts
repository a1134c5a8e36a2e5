/**
 * The one door by which time, chance and files come into this process while it is simulated: whatever asks Node for them gets those of the
 * world. It is opened once, before what is simulated is loaded, and never closed: such a process does nothing else.
 */
import crypto from 'node:crypto';
import fs from 'node:fs';
import promisedFs from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import timers from 'node:timers/promises';
import zlib from 'node:zlib';
import { createRandom } from '#base/random.fixture.ts';
import { OpenFile } from './open-file.ts';
import { VirtualTime } from './virtual-time.ts';

/** Where every world begins: 1 January 2026, UTC. */
export const worldStartMs: number = Date.UTC(2026, 0, 1);

export interface Door {
  /** A world of its own: its time begins, its chance is of that seed. What an earlier one waits for never comes. */
  enter(seed: number, startMs?: number): VirtualTime;
  /** Promises have gone as far as they go without time. */
  settle(): Promise<void>;
  /** As `settle`, and what is loaded when it is first needed comes nearer. */
  settleOutside(): Promise<void>;
}

interface World {
  time: VirtualTime;
  random: () => number;
}

const world: World = { time: new VirtualTime(worldStartMs), random: createRandom(0) };
const realTurn = setImmediate;
const nextTick = process.nextTick.bind(process);
/** Calls that another thread works on; one after another, so that they end in the order in which they began. */
const outside = { pending: 0, last: Promise.resolve() };

/** @returns how the one who simulates moves the world */
export function openDoor(): Door {
  countTicks();
  replaceTimers();
  replaceClocks();
  replaceChance();
  replaceFiles();
  replaceThreads();
  syncBuiltinESMExports();
  return {
    enter: (seed, startMs = worldStartMs) => {
      world.time = new VirtualTime(startMs, { firstTurn: world.time.turn + 1 });
      world.random = createRandom(seed);
      return world.time;
    },
    settle: async () => {
      await new Promise<void>(whenSettled);
      while (outside.pending > 0) await new Promise<void>((resolve) => void realTurn(resolve));
    },
    settleOutside: async () => {
      do {
        await new Promise<void>((resolve) => void realTurn(resolve));
      } while (outside.pending > 0);
    },
  };
}

/** Ticks that anybody else has asked for. */
const ticks = { made: 0 };

function countTicks(): void {
  process.nextTick = (run: (...args: never[]) => void, ...args: unknown[]): void => {
    ticks.made++;
    nextTick(run as (...args: unknown[]) => void, ...args);
  };
}

/**
 * Without a turn of the event loop, which is a call of the system or two. Node runs all ticks that are there, then promises until none has
 * anything to do, and so on (processTicksAndRejections). A look is a tick that is asked for by a promise: between two of them all ticks
 * from before have run, and all promises after that. If nobody asked for a tick meanwhile, nothing is left of either.
 */
function whenSettled(resolve: () => void): void {
  let seen = -1;
  const look = (): void => {
    if (ticks.made === seen) return resolve();
    seen = ticks.made;
    queueMicrotask(() => nextTick(look));
  };
  nextTick(look);
}

function replaceTimers(): void {
  const start = (run: (...args: unknown[]) => void, ms: unknown, args: unknown[]): object => {
    const timer = world.time.after(Number(ms ?? 0) || 0, () => run(...args));
    const handle: object = { ...timer, ref: () => handle, unref: () => handle, hasRef: () => true };
    return handle;
  };
  const stop = (handle: unknown): void => {
    if (isDisposable(handle)) handle[Symbol.dispose]();
  };
  Object.assign(globalThis, {
    setTimeout: (run: () => void, ms?: number, ...args: unknown[]) => start(run, ms, args),
    setInterval: (run: () => void, ms?: number) => {
      let timer = world.time.after(0, () => undefined);
      const next = (): void => {
        timer = world.time.after(Math.max(1, ms ?? 1), next);
        run();
      };
      timer = world.time.after(Math.max(1, ms ?? 1), next);
      const handle: object = {
        ref: () => handle,
        unref: () => handle,
        [Symbol.dispose]: () => timer[Symbol.dispose](),
      };
      return handle;
    },
    setImmediate: (run: (...args: unknown[]) => void, ...args: unknown[]) =>
      world.time.nextTurn(() => run(...args)),
    clearTimeout: stop,
    clearInterval: stop,
    clearImmediate: stop,
  });
  Object.assign(timers, {
    setImmediate: () => new Promise<void>((resolve) => void world.time.nextTurn(resolve)),
    setTimeout: (ms: number) => world.time.sleep(ms),
  });
  AbortSignal.timeout = (ms) => {
    const controller = new AbortController();
    world.time.after(ms, () => controller.abort(new DOMException('timed out', 'TimeoutError')));
    return controller.signal;
  };
}

function isDisposable(handle: unknown): handle is Disposable {
  return typeof handle === 'object' && handle !== null && Symbol.dispose in handle;
}

function replaceClocks(): void {
  const RealDate = Date;
  const WorldDate = function (...args: unknown[]): Date | string {
    if (new.target === undefined) return new RealDate(world.time.wallMs).toString();
    return Reflect.construct(RealDate, args.length === 0 ? [world.time.wallMs] : args, new.target);
  };
  WorldDate.prototype = RealDate.prototype;
  Object.assign(WorldDate, {
    now: () => Math.floor(world.time.wallMs),
    UTC: RealDate.UTC,
    parse: RealDate.parse,
  });
  Object.assign(globalThis, { Date: WorldDate });
  const uvMetricsInfo = {
    get loopCount() {
      return world.time.turn;
    },
  };
  Object.defineProperty(performance, 'now', { value: () => world.time.sinceMs });
  Object.defineProperty(performance, 'nodeTiming', { value: { uvMetricsInfo } });
}

function replaceChance(): void {
  const fill = <T extends ArrayBufferView>(view: T): T => {
    const bytes = new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
    for (let at = 0; at < bytes.length; at++) bytes[at] = Math.floor(world.random() * 256);
    return view;
  };
  const randomUUID = (): string => {
    const bytes = fill(Buffer.alloc(16));
    bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x40;
    bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
    return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
  };
  Math.random = () => world.random();
  Object.assign(crypto, {
    randomUUID,
    randomBytes: (size: number) => fill(Buffer.alloc(size)),
    randomFillSync: fill,
    randomInt: (low: number, high?: number) =>
      high === undefined ? Math.floor(world.random() * low) : low + Math.floor(world.random() * (high - low)),
  });
  Object.defineProperty(globalThis.crypto, 'getRandomValues', { value: fill });
  Object.defineProperty(globalThis.crypto, 'randomUUID', { value: randomUUID });
}

const fileCalls = [
  ...[
    'access',
    'appendFile',
    'chmod',
    'chown',
    'copyFile',
    'cp',
    'lchown',
    'link',
    'lstat',
    'mkdir',
    'mkdtemp',
  ],
  ...['readdir', 'readFile', 'readlink', 'realpath', 'rename', 'rm', 'rmdir', 'stat', 'statfs', 'symlink'],
  ...['truncate', 'unlink', 'utimes', 'writeFile'],
];

/** No thread of Node's pool works on files: in what order those would end nobody knows. */
function replaceFiles(): void {
  const sync: Readonly<Record<string, unknown>> = { ...fs };
  for (const name of fileCalls) {
    const call = sync[`${name}Sync`];
    if (typeof call !== 'function') continue;
    Object.assign(promisedFs, { [name]: async (...args: unknown[]) => Reflect.apply(call, fs, args) });
  }
  const told =
    (call: (fd: number) => void) =>
    (fd: number, tell: (error: unknown) => void = () => undefined): void => {
      call(fd);
      process.nextTick(tell, null);
    };
  Object.assign(fs, {
    close: told(fs.closeSync),
    fsync: told(() => undefined),
    fdatasync: told(() => undefined),
    fsyncSync: () => undefined,
    fdatasyncSync: () => undefined,
  });
  Object.assign(promisedFs, {
    open: async (path: string, flags?: string | number, mode?: number) =>
      new OpenFile(fs.openSync(path, flags ?? 'r', mode)),
  });
}

/** What cannot be had in this thread is waited for, one call after another. */
function replaceThreads(): void {
  const { subtle } = globalThis.crypto;
  const names = [
    'sign',
    'verify',
    'digest',
    'generateKey',
    'importKey',
    'exportKey',
    'deriveBits',
    'encrypt',
  ];
  for (const name of [...names, 'decrypt'] as const) {
    const real: unknown = Reflect.get(subtle, name);
    if (typeof real !== 'function') continue;
    const inTurn = (...args: unknown[]): Promise<unknown> => {
      outside.pending++;
      const begun = outside.last.then((): unknown => Reflect.apply(real, subtle, args));
      outside.last = begun.then(over, over);
      return begun;
    };
    Object.defineProperty(subtle, name, { value: inTurn });
  }
  for (const name of ['gzip', 'gunzip', 'zstdCompress'] as const) {
    const now: unknown = Reflect.get(zlib, `${name}Sync`);
    if (typeof now !== 'function') continue;
    const atOnce = (...args: unknown[]): void => {
      const tell = args.pop();
      const result: unknown = Reflect.apply(now, zlib, args);
      if (typeof tell === 'function') process.nextTick(tell, null, result);
    };
    Object.assign(zlib, { [name]: atOnce });
  }
}

function over(): void {
  outside.pending--;
}
