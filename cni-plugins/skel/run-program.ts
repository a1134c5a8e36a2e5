import { spawn } from 'node:child_process';
import { access, constants } from 'node:fs/promises';
import { join } from 'node:path';
import { PodwrightError } from '#base/errors.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { parseReply, renderEnvironment, type CniInvocation } from '#api/cni/invocation.ts';

/** A plugin prints one document; more than this is not one. */
const outputBytesMax = 4 * 1024 * 1024;

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

async function findProgram(plugin: string, path: readonly string[]): Promise<string> {
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

function runProgram(
  program: string,
  env: Readonly<Record<string, string>>,
  stdin: string,
  signal: AbortSignal,
): Promise<Ended> {
  const { promise, resolve, reject } = Promise.withResolvers<Ended>();
  const child = spawn(program, [], { env, stdio: ['pipe', 'pipe', 'pipe'], signal });
  const collect = (stream: NodeJS.ReadableStream): (() => string) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    stream.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes <= outputBytesMax) chunks.push(chunk);
      else child.kill('SIGKILL');
    });
    return () => Buffer.concat(chunks).toString('utf8');
  };
  const stdout = collect(child.stdout);
  const stderr = collect(child.stderr);
  child.stdin.on('error', () => undefined); // A plugin may end without reading its input: its exit code tells.
  child.stdin.end(stdin);
  child.once('error', (cause) =>
    reject(signal.aborted ? signal.reason : new PodwrightError('E_KERNEL', `run ${program}`, { cause })),
  );
  child.once('close', (code) => resolve({ exitCode: code ?? 1, stdout: stdout(), stderr: stderr() }));
  return promise;
}
