/**
 * The binaries of the C programs, supervisor and forwarder. They come with the repository, built by `prebuild.ts` under names that
 * have the hash of their source; a source that was changed since is compiled on the machine, into build/. A new version never
 * replaces the file that an older, still running one is executing.
 */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { access, chmod, constants, copyFile, mkdir, readdir, readFile, rename, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describeError, PodwrightError } from '#base/errors.ts';

/** No libc: it needs nothing but a kernel, and a few pages of memory. Nothing of the machine that compiles it gets in. */
const compilerFlags: readonly string[] = (
  '-std=gnu11 -Os -Wall -Wextra -Werror -ffreestanding -fno-builtin -fno-ident -fno-stack-protector -fno-pic ' +
  '-fno-asynchronous-unwind-tables -nostdlib -static -no-pie -s -Wl,--build-id=none -Wl,-z,noexecstack -Wl,-z,norelro'
).split(' ');

const run = promisify(execFile);

/** As Node calls them (process.arch). */
export type SupervisorArch = 'x64' | 'arm64';

export interface BuildOptions {
  /** Where the C files are. */
  readonly sourceDirectory?: string;
  /** Where the binaries are that came with the repository. */
  readonly prebuiltDirectory?: string;
  /** Where what is compiled here goes; made if missing. */
  readonly buildDirectory?: string;
  readonly compiler?: string;
}

interface Source {
  /** The directory's name. */
  readonly program: string;
  readonly directory: string;
  /** Names of all C files and headers, sorted. */
  readonly names: readonly string[];
  /** Of their text and of how it is compiled. */
  readonly hash: string;
}

const sourceDirectoryDefault = fileURLToPath(new URL('supervisor', import.meta.url));
const forwarderDirectory = fileURLToPath(new URL('forwarder', import.meta.url));
const runnerDirectory = fileURLToPath(new URL('runner', import.meta.url));
/** Where the sources of each program are. */
export const sourceDirectories: readonly string[] = [
  sourceDirectoryDefault,
  forwarderDirectory,
  runnerDirectory,
];
export const prebuiltDirectoryDefault: string = fileURLToPath(new URL('prebuilt', import.meta.url));
const buildDirectoryDefault = fileURLToPath(new URL('../../build', import.meta.url));

/**
 * The path of a supervisor built from the present source.
 * @throws E_UNSUPPORTED where it has to be compiled and this machine cannot, E_INTERNAL where the compiler refuses the source
 */
export async function ensureSupervisor(options: BuildOptions = {}): Promise<string> {
  const source = await readSource(options.sourceDirectory);
  const name = binaryName(process.arch, source);
  const prebuilt = join(options.prebuiltDirectory ?? prebuiltDirectoryDefault, name);
  if (await isThere(prebuilt, constants.X_OK)) return prebuilt;
  const directory = options.buildDirectory ?? buildDirectoryDefault;
  const target = join(directory, name);
  if (await isThere(target)) return target;
  await mkdir(directory, { recursive: true });
  // Two at once each rename their own whole file to the same name.
  const temporary = `${target}.${process.pid}.tmp`;
  if (await isThere(prebuilt)) {
    // A copy of the repository that has lost its modes: a ZIP archive, a file system without them.
    await copyFile(prebuilt, temporary);
    await chmod(temporary, 0o755);
  } else {
    await compileProgram(source, options.compiler ?? 'gcc', temporary);
  }
  await rename(temporary, target);
  return target;
}

/** The path of a forwarder (forwarder.ts) built from the present source. @throws as ensureSupervisor */
export function ensureForwarder(options: BuildOptions = {}): Promise<string> {
  return ensureSupervisor({ sourceDirectory: forwarderDirectory, ...options });
}

/** The path of a runner (runner/runner.ts) built from the present source. @throws as ensureSupervisor */
export function ensureRunner(options: BuildOptions = {}): Promise<string> {
  return ensureSupervisor({ sourceDirectory: runnerDirectory, ...options });
}

/** @throws errno of reading it */
export async function readSource(directory: string = sourceDirectoryDefault): Promise<Source> {
  const names = (await readdir(directory)).filter((name) => /\.[ch]$/.test(name)).toSorted();
  const hash = createHash('sha256').update(compilerFlags.join(' '));
  const texts = await Promise.all(names.map((name) => readFile(join(directory, name), 'utf8')));
  const shared = texts.flatMap((text) =>
    [...text.matchAll(/^#include "(\.\.\/[^"]+)"/gm)].map(([, path = '']) => path),
  );
  for (const name of [...names, ...new Set(shared)])
    hash.update(`\0${name}\0`).update(await readFile(join(directory, name)));
  return { program: basename(directory), directory, names, hash: hash.digest('hex').slice(0, 16) };
}

export function binaryName(arch: string, { program, hash }: Source): string {
  return `${program}-${arch}-${hash}`;
}

/** Compiles to `target`, and leaves nothing there where that fails. @throws E_UNSUPPORTED, E_INTERNAL */
export async function compileProgram(source: Source, compiler: string, target: string): Promise<void> {
  const files = source.names.filter((name) => name.endsWith('.c'));
  try {
    await run(compiler, [...compilerFlags, '-o', target, ...files], { cwd: source.directory });
  } catch (error) {
    await rm(target, { force: true });
    throw compileError(source.program, compiler, error);
  }
}

function compileError(program: string, compiler: string, error: unknown): PodwrightError {
  const why = `the sources in native/launch/${program} are not those of the binaries in native/launch/prebuilt`;
  const remedy = 'git checkout native/launch, or apt-get install gcc linux-libc-dev to compile them';
  if (error instanceof Error && 'code' in error && error.code === 'ENOENT') {
    return new PodwrightError(
      'E_UNSUPPORTED',
      `build ${program}: ${why}, and ${compiler} is not installed; ${remedy}`,
    );
  }
  const stderr = error instanceof Error && 'stderr' in error ? String(error.stderr).trim() : '';
  const missing = /fatal error: (\S+): No such file/.exec(stderr)?.[1];
  if (missing !== undefined) {
    return new PodwrightError(
      'E_UNSUPPORTED',
      `build ${program}: ${why}, and ${compiler} does not find ${missing}; ${remedy}`,
    );
  }
  return new PodwrightError(
    'E_INTERNAL',
    `build ${program} with ${compiler}: ${stderr || describeError(error)}`,
  );
}

async function isThere(path: string, mode: number = constants.F_OK): Promise<boolean> {
  return access(path, mode).then(
    () => true,
    () => false,
  );
}
