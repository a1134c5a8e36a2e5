import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, constants, mkdtempSync, statfsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Memory that a store and its history may take, at least, before they are kept on a disk instead. */
const memoryBytesMin = 512 * 1_048_576;
const memory = '/dev/shm';

/** A directory of a test's own, in memory where there is room and nothing else is asked for by TMPDIR. */
export function makeScratch(): string {
  return mkdtempSync(
    join(process.env['TMPDIR'] === undefined && hasMemory() ? memory : tmpdir(), 'podwright-test-'),
  );
}

function hasMemory(): boolean {
  try {
    accessSync(memory, constants.W_OK);
    const { bavail, bsize } = statfsSync(memory);
    return bavail * bsize >= memoryBytesMin;
  } catch {
    return false;
  }
}

/** What is started here; disposing ends it and leaves nothing. */
export interface RunningCluster extends AsyncDisposable {
  readonly kubeconfig: string;
  readonly kubeconfigPath: string;
}

export interface Guard extends AsyncDisposable {
  readonly child: ChildProcess;
  /** From now on nothing of it keeps this process from ending. */
  unref(): void;
}

export interface GuardOptions {
  readonly output?: 'pipe' | 'ignore';
  readonly environment?: Readonly<Record<string, string>>;
}

/**
 * A shell that waits for the end of this process, however that comes, or for its own disposal, by its standard input; then it undoes what
 * the process leaves. In a session of its own: what ends the tests' process group does not end it.
 */
export function startGuard(
  script: string,
  args: readonly string[],
  { output = 'ignore', environment = {} }: GuardOptions = {},
): Guard {
  const child = spawn('sh', ['-c', script, 'sh', ...args], {
    stdio: ['pipe', output, output],
    detached: true,
    env: { ...process.env, ...environment },
  });
  const exited = once(child, 'exit');
  exited.catch(() => undefined);
  child.stdin?.on('error', () => undefined);
  const unref = (): void => {
    child.unref();
    for (const stream of [child.stdin, child.stdout, child.stderr])
      if (stream !== null && 'unref' in stream && typeof stream.unref === 'function') stream.unref();
  };
  return {
    child,
    unref,
    [Symbol.asyncDispose]: async () => {
      child.ref();
      child.stdin?.end();
      if (child.exitCode === null && child.signalCode === null) await exited;
    },
  };
}
