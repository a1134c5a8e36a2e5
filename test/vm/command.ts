import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const outputBytesMax = 64 * 1_048_576;
const execute = promisify(execFile);

/** Runs a program of the machine to its end and gives what it printed; throws with its words when it fails. Aborting kills it. */
export async function runCommand(
  program: string,
  args: readonly string[],
  options: { readonly environment?: Readonly<Record<string, string>>; readonly signal?: AbortSignal } = {},
): Promise<string> {
  try {
    const { stdout } = await execute(program, args, {
      maxBuffer: outputBytesMax,
      env: { ...process.env, LC_ALL: 'C', ...options.environment },
      killSignal: 'SIGKILL',
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    });
    return stdout;
  } catch (cause) {
    options.signal?.throwIfAborted();
    const said = cause instanceof Error && 'stderr' in cause ? String(cause.stderr).trim() : '';
    throw new Error(`${program} ${args.slice(0, 6).join(' ')}: ${said === '' ? String(cause) : said}`, {
      cause,
    });
  }
}
