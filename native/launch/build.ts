/**
 * The supervisor's binary: built from supervisor/*.c with gcc when it is missing, under a name that has the hash of its source, so that a
 * new version never replaces the file that an older, still running one is executing.
 */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { access, mkdir, readdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describeError, PodwrightError } from '#base/errors.ts';

/** No libc: it needs nothing but a kernel, and a few pages of memory. */
const compilerFlags: readonly string[] = (
  '-std=gnu11 -Os -Wall -Wextra -Werror -ffreestanding -fno-builtin -fno-stack-protector -fno-pic -fno-asynchronous-unwind-tables ' +
  '-nostdlib -static -no-pie -s -Wl,--build-id=none -Wl,-z,noexecstack -Wl,-z,norelro'
).split(' ');

const run = promisify(execFile);

export interface BuildOptions {
  /** Where the C files are. */
  readonly sourceDirectory?: string;
  /** Where the binary goes; made if missing. */
  readonly buildDirectory?: string;
  readonly compiler?: string;
}

/** The path of a supervisor built from the present source. @throws E_UNSUPPORTED without a compiler, E_INTERNAL where it fails. */
export async function ensureSupervisor(options: BuildOptions = {}): Promise<string> {
  const source = options.sourceDirectory ?? fileURLToPath(new URL('supervisor', import.meta.url));
  const directory = options.buildDirectory ?? fileURLToPath(new URL('../../build', import.meta.url));
  const names = (await readdir(source)).filter((name) => /\.[ch]$/.test(name)).toSorted();
  const hash = createHash('sha256').update(compilerFlags.join(' '));
  for (const name of names) hash.update(`\0${name}\0`).update(await readFile(join(source, name)));
  const target = join(directory, `supervisor-${process.arch}-${hash.digest('hex').slice(0, 16)}`);
  if (await exists(target)) return target;
  await mkdir(directory, { recursive: true });
  // Two builders at once each rename their own whole file to the same name.
  const temporary = `${target}.${process.pid}.tmp`;
  const files = names.filter((name) => name.endsWith('.c')).map((name) => join(source, name));
  await compile(options.compiler ?? 'gcc', [...compilerFlags, '-o', temporary, ...files]);
  await rename(temporary, target);
  return target;
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

async function compile(compiler: string, args: readonly string[]): Promise<void> {
  try {
    await run(compiler, args);
  } catch (error) {
    const output = args[args.indexOf('-o') + 1];
    if (output !== undefined) await rm(output, { force: true });
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') {
      throw new PodwrightError(
        'E_UNSUPPORTED',
        `build supervisor: ${compiler} is not installed; install gcc and the kernel headers (apt-get install gcc linux-libc-dev)`,
      );
    }
    const stderr = error instanceof Error && 'stderr' in error ? String(error.stderr).trim() : '';
    throw new PodwrightError(
      'E_INTERNAL',
      `build supervisor with ${compiler}: ${stderr || describeError(error)}`,
    );
  }
}
