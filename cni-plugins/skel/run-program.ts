import { spawn } from 'node:child_process';
import { access, constants } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { systemClock } from '#base/clock.ts';
import { errnoOf, PodwrightError } from '#base/errors.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { parseReply, renderEnvironment, type CniInvocation } from '#api/cni/invocation.ts';

/** A plugin prints one document; more than this is not one. */
const outputBytesMax = 4 * 1024 * 1024;
/** From a plugin's end to the end of its output. */
const closeMsMax = 500;

/** Runs a plugin's program as the specification says. @throws as CniInvoker */
export async function invokeProgram(
  plugin: string,
  invocation: CniInvocation,
  signal: AbortSignal,
): Promise<JsonObject | undefined> {
  const program = await findProgram(plugin, invocation.path);
  const env = { PATH: process.env['PATH'] ?? '', ...renderEnvironment(invocation) };
  return parseReply(
    plugin,
    invocation.command,
    await runProgram(program, env, JSON.stringify(invocation.config), signal),
  );
}

/** The first of that name in the directories. @throws E_NOT_FOUND */
export async function findProgram(plugin: string, path: readonly string[]): Promise<string> {
  for (const dir of path) {
    const program = join(dir, plugin);
    const isThere = await access(program, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (isThere) return program;
  }
  throw new PodwrightError(
    'E_NOT_FOUND',
    `find CNI plugin ${plugin}: not in ${path.join(':') || 'an empty path'}`,
  );
}

interface Ended {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** In a process group of its own, so that what a plugin started goes with it where it is ended. */
async function runProgram(
  program: string,
  env: Readonly<Record<string, string>>,
  stdin: string,
  signal: AbortSignal,
): Promise<Ended> {
  signal.throwIfAborted();
  const child = spawn(program, [], { env, stdio: ['pipe', 'pipe', 'pipe'], detached: true });
  const { promise, resolve, reject } = Promise.withResolvers<Ended>();
  const fail = (error: unknown): void => {
    endGroup(child.pid);
    reject(error);
  };
  const onAbort = (): void => fail(signal.reason);
  signal.addEventListener('abort', onAbort, { once: true });
  const tooMuch = (): void =>
    fail(new PodwrightError('E_LIMIT', `run ${program}: it printed more than ${outputBytesMax} bytes`));
  const [stdout, stderr] = [collect(child.stdout, tooMuch), collect(child.stderr, tooMuch)];
  child.stdin.on('error', () => undefined); // A plugin may end without reading its input: its exit code tells.
  child.stdin.end(stdin);
  child.once('error', (cause) => reject(new PodwrightError('E_KERNEL', `run ${program}`, { cause })));
  child.once('close', (code) => resolve({ exitCode: code ?? 1, stdout: stdout(), stderr: stderr() }));
  // A daemon that it left running may hold its output open for ever.
  child.once(
    'exit',
    () =>
      void systemClock.after(closeMsMax, () =>
        [child.stdout, child.stderr].forEach((each) => each.destroy()),
      ),
  );
  try {
    return await promise;
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

function collect(stream: Readable, tooMuch: () => void): () => string {
  const chunks: Buffer[] = [];
  let bytes = 0;
  stream.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes <= outputBytesMax) chunks.push(chunk);
    else tooMuch();
  });
  return () => Buffer.concat(chunks).toString('utf8');
}

function endGroup(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch (error) {
    if (errnoOf(error) !== 'ESRCH') throw error;
  }
}
