/** Hooks (runtime-spec, config.md, "POSIX-platform Hooks"): each gets the state on its standard input, and one after the other. */
import { spawn } from 'node:child_process';
import { systemClock } from '#base/clock.ts';
import { PodwrightError } from '#base/errors.ts';
import type { HookStage, OciHook } from '#api/oci/runtime/config.ts';

/** What of a hook's error output is told. */
const saidBytesMax = 4096;

/** In the namespaces of this process. @throws {E_INVALID} naming the hook that failed, of which none comes after */
export async function runHooks(stage: HookStage, hooks: readonly OciHook[], state: unknown): Promise<void> {
  for (const [index, hook] of hooks.entries()) {
    const said = await runHook(hook, JSON.stringify(state));
    if (said !== undefined) throw hookError(stage, index, hook, said);
  }
}

export function hookError(stage: HookStage, index: number, { path }: OciHook, said: string): PodwrightError {
  return new PodwrightError('E_INVALID', `run hook hooks.${stage}[${index}] ${path}: ${said}`);
}

/** Undefined where it went well, else why not. */
async function runHook(hook: OciHook, input: string): Promise<string | undefined> {
  const { path, args = [path], env = [], timeout } = hook;
  const { promise, resolve } = Promise.withResolvers<string | undefined>();
  const [argv0 = path, ...rest] = args;
  const child = spawn(path, rest, { argv0, env: environmentOf(env), stdio: ['pipe', 'ignore', 'pipe'] });
  let said = '';
  let isLate = false;
  using _timer =
    timeout === undefined || timeout <= 0
      ? undefined
      : systemClock.after(timeout * 1000, () => {
          isLate = true;
          child.kill('SIGKILL');
        });

  child.stdin.on('error', () => undefined); // It need not read.
  child.stdin.end(input);
  child.stderr.on('data', (chunk: Buffer) => {
    if (said.length < saidBytesMax) said += chunk.toString('utf8');
  });
  child.once('error', (error) => resolve(error.message));
  child.once('close', (code, signal) => {
    if (code === 0) return resolve(undefined);
    const why = isLate
      ? `not done in ${timeout} s`
      : signal === null
        ? `exit status ${code}`
        : `ended by ${signal}`;
    resolve(said.trim() === '' ? why : `${why}: ${said.trim()}`);
  });
  return await promise;
}

export function environmentOf(env: readonly string[]): Readonly<Record<string, string>> {
  return Object.fromEntries(
    env.map((each) => {
      const at = each.indexOf('=');
      return at < 0 ? [each, ''] : [each.slice(0, at), each.slice(at + 1)];
    }),
  );
}
