/**
 * A supervisor that may be told anything: in namespaces of its own, in which it is root and on the machine a user that has nothing, so
 * that no program that it runs reaches what is not its own.
 */
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  writeFileSync,
} from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { readSource } from '#native/launch/build.ts';
import { createFrameDecoder } from '#native/launch/frame-decoder.ts';
import {
  decodeEvent,
  encodeRequest,
  type EventMessage,
  type RequestMessage,
} from '#native/launch/protocol.ts';

const run = promisify(execFile);

/** Users of the machine that stand for those of the sandbox. */
const firstUser = 1_879_048_192;
const userCount = 65_536;
const processesMax = 200;
const fileBytesMax = 16 * 1024 * 1024;
const startMs = 60_000;

/** Why there can be no sandbox; undefined where there can. */
export function sandboxRefusal(): string | undefined {
  if (process.getuid?.() !== 0) return 'needs root';
  const missing = ['unshare', 'setpriv', 'prlimit'].find((name) => !existsSync(`/usr/bin/${name}`));
  if (missing !== undefined) return `needs ${missing} (util-linux)`;
  return existsSync('/proc/self/ns/user') ? undefined : 'needs user namespaces';
}

/** Of gcc, with what is said instead of what the supervisor's own flags say: there is a C library. */
const sanitizerFlags =
  '-std=gnu11 -O1 -g -w -fno-builtin -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize=alignment -fno-sanitize-recover=all';

/** Memory that the sanitizer knows nothing of has a page on each side that nobody may touch. */
const prelude = `#pragma once
#include "arch.h"
#undef START
#define START struct there_is_a_main
#define map_memory map_bare_memory
#define map_unforked map_bare_unforked
#include "kernel.h"
#undef map_memory
#undef map_unforked
static inline void *map_memory(size_t length)
{
	long at = CALL(mmap, 0, length + 2 * 65536, 0, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (is_error(at)) return NULL;
	return is_error(CALL3(mprotect, at + 65536, length, PROT_READ | PROT_WRITE)) ? NULL : (void *)(at + 65536);
}
static inline void *map_unforked(size_t length)
{
	void *at = map_memory(length);
	if (at) CALL3(madvise, at, length, MADV_DONTFORK);
	return at;
}
`;
const main = `void start(long *stack);
int main(int count, char **arguments) { (void)count; start((long *)(void *)(arguments - 1)); }
`;

/**
 * The supervisor with the sanitizers of addresses and of undefined behaviour, made in `directory`; undefined where gcc or they are not
 * there. Words are read where they lie: x86 and arm64 do that at any address.
 */
export async function buildSanitized(directory: string): Promise<string | undefined> {
  const source = await readSource();
  const target = join(directory, 'supervisor');
  writeFileSync(join(directory, 'prelude.h'), prelude);
  writeFileSync(join(directory, 'main.c'), main);
  const flags = [
    ...sanitizerFlags.split(' '),
    `-I${source.directory}`,
    '-include',
    join(directory, 'prelude.h'),
  ];
  const own = ['memcpy', 'memmove', 'memset'].map((name) => `-D${name}=own_${name}`);
  try {
    writeFileSync(join(directory, 'probe.c'), 'int main(void) { return 0; }\n');
    await run('gcc', [
      '-fsanitize=address,undefined',
      '-o',
      join(directory, 'probe'),
      join(directory, 'probe.c'),
    ]);
  } catch {
    return undefined;
  }
  // Its own memcpy() is not watched; the others' are the sanitizer's.
  const first = join(directory, 'base.o');
  await run('gcc', [...flags, ...own, '-c', '-o', first, join(source.directory, 'base.c')]);
  const rest = source.names.filter((name) => name.endsWith('.c') && name !== 'base.c');
  await run('gcc', [
    ...flags,
    '-o',
    target,
    join(directory, 'main.c'),
    first,
    ...rest.map((name) => join(source.directory, name)),
  ]);
  return target;
}

export interface Sandbox extends AsyncDisposable {
  /** Of the machine's processes. */
  readonly pid: number;
  readonly socketPath: string;
  /** What a sanitizer, or whoever started it, has said. */
  complaints(): string;
  isAlive(): boolean;
  /** Its open descriptors. */
  descriptors(): number;
}

/** Starts `binary` with its directory in `directory`, which all may search. */
export async function startSandbox(
  binary: string,
  directory: string,
  args: readonly string[],
): Promise<Sandbox> {
  const own = join(directory, 'pod');
  mkdirSync(own);
  chmodSync(own, 0o755);
  chownSync(own, firstUser, firstUser);
  const child = spawn(
    'prlimit',
    [
      `--nproc=${processesMax}`,
      `--fsize=${fileBytesMax}`,
      ...['--core=0', 'unshare', '--user', '--keep-caps', 'sh', '-c', outside, binary, own, ...args],
    ],
    {
      cwd: own,
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { PATH: process.env['PATH'], ASAN_OPTIONS: `detect_leaks=0:log_path=${own}/sanitizer` },
    },
  );
  let said = '';
  child.stderr.on('data', (chunk: Buffer) => void (said += chunk.toString()));
  child.stdin.on('error', () => undefined);
  await answerOf(child, 'unshared');
  for (const kind of ['uid', 'gid'])
    writeFileSync(`/proc/${child.pid}/${kind}_map`, `0 ${firstUser} ${userCount}`);
  child.stdin.write('mapped\n');
  await answerOf(child, 'started');
  const pid = supervisorOf(child.pid ?? 0);
  return {
    pid,
    socketPath: join(own, 'sock'),
    complaints: () =>
      [
        said,
        ...readdirSync(own)
          .filter((name) => name === 'errors' || name.startsWith('sanitizer'))
          .map((name) => readFileSync(join(own, name), 'utf8')),
      ].join(''),
    isAlive: () =>
      existsSync(`/proc/${pid}/fd`) && /^State:\s+[^ZX]/m.test(readFileSync(`/proc/${pid}/status`, 'utf8')),
    descriptors: () => readdirSync(`/proc/${pid}/fd`).length,
    [Symbol.asyncDispose]: async () => {
      const ended = child.exitCode === null && child.signalCode === null ? once(child, 'exit') : undefined;
      child.stdin.end(); // The first process of the sandbox ends, and all others with it.
      await ended;
    },
  };
}

/** In the user namespace, until users are mapped; then in the others. */
const outside = `echo unshared; read _; exec setpriv --reuid 0 --regid 0 --clear-groups \
  unshare --pid --fork --kill-child --mount --net --ipc --uts --mount-proc sh -c '${'"$0" "$@" 2>errors && echo started && exec cat >/dev/null'}' "$0" "$@"`;

async function answerOf(child: ChildProcess, word: string): Promise<void> {
  const signal = AbortSignal.timeout(startMs);
  const ended = once(child, 'exit', { signal }).then(() => {
    throw new Error(`the sandbox ended before it ${word}`);
  });
  ended.catch(() => undefined);
  let said = '';
  while (!said.includes(word) && child.stdout !== null) {
    const [chunk] = (await Promise.race([once(child.stdout, 'data', { signal }), ended])) as [Buffer];
    said += chunk.toString();
  }
}

/** The one descendant of its name that is not the first process of a pid namespace of the pod's. */
function supervisorOf(ancestor: number): number {
  const parents = new Map<number, number>();
  for (const name of readdirSync('/proc').filter((each) => /^\d+$/.test(each))) {
    const status = statusOf(name);
    const parent = Number(/^PPid:\s+(\d+)/m.exec(status)?.[1]);
    if (/^Name:\tpodwright-pod$/m.test(status)) parents.set(Number(name), parent);
    else if (status !== '') parents.set(Number(name), parent);
  }
  const isBelow = (pid: number): boolean => pid === ancestor || (pid > 1 && isBelow(parents.get(pid) ?? 0));
  const found = [...parents.keys()].filter(
    (pid) => /^Name:\tpodwright-pod$/m.test(statusOf(String(pid))) && isBelow(pid),
  );
  const [pid] = found.filter((each) => !found.includes(parents.get(each) ?? 0));
  if (pid === undefined) throw new Error('there is no supervisor in the sandbox');
  return pid;
}

function statusOf(name: string): string {
  try {
    return readFileSync(`/proc/${name}/status`, 'utf8');
  } catch {
    return '';
  }
}

/** A client that sends what it likes and keeps what comes, as events. */
export interface Client extends Disposable {
  readonly events: readonly EventMessage[];
  readonly socket: Socket;
  ask(message: RequestMessage): void;
  /** @throws where none such comes in time, or what comes is none of the protocol's */
  wait(what: string, isIt: (event: EventMessage) => boolean): Promise<EventMessage>;
  /** @throws where the other side does not close in time, or what came is none of the protocol's */
  ended(): Promise<void>;
}

const answerMs = 60_000;

export function connectClient(path: string): Client {
  const socket = connect(path);
  const decoder = createFrameDecoder();
  const events: EventMessage[] = [];
  let isClosed = false;
  let fault: unknown = undefined;
  let wake = (): void => undefined;
  socket.on('error', () => undefined);
  socket.on('close', () => {
    isClosed = true;
    wake();
  });
  socket.on('data', (chunk: Buffer) => {
    try {
      events.push(...decoder.push(chunk).map(decodeEvent));
    } catch (error) {
      fault ??= error;
    }
    wake();
  });
  /** Until `ask` gives something. */
  const until = async <T>(what: string, ask: () => T | undefined): Promise<T> => {
    const deadline = performance.now() + answerMs;
    for (;;) {
      if (fault !== undefined) throw fault;
      const found = ask();
      if (found !== undefined) return found;
      if (isClosed) throw new Error(`closed before ${what}`);
      if (performance.now() > deadline) throw new Error(`no ${what} after ${answerMs} ms`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, 100);
        wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  };
  return {
    events,
    socket,
    ask: (message) => void socket.write(encodeRequest(message)),
    wait: (what, isIt) => until(what, () => events.find(isIt)),
    ended: async () => void (await until('end', () => (isClosed ? true : undefined))),
    [Symbol.dispose]: () => socket.destroy(),
  };
}
