import { execFile } from 'node:child_process';
import { copyFile, mkdir, mkdtemp, readdir, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';

import { describeError, errnoOf, PodwrightError } from '#base/errors.ts';
import { findBusybox, ownBusyboxPath } from '#native/launch/busybox.ts';

const run = promisify(execFile);

/** For each of apt's two steps; a mirror that does not answer is given up after ten seconds each. */
const aptTimeoutMs = 90_000;
const aptOptions = [
  '-qq',
  '-o',
  'Acquire::Retries=0',
  '-o',
  'Acquire::http::Timeout=10',
  '-o',
  'Acquire::https::Timeout=10',
  '-o',
  'APT::Sandbox::User=root', // The directory is not for apt's own user.
];

/**
 * Sees that there is a static busybox, and brings the file of Debian's package into build/ where there is none. The package is
 * not installed: it would replace the `busybox` that hosts have for their initramfs.
 *
 * @returns its path
 * @throws E_NOT_FOUND, with what to do; pods run without it, there is only no demo image
 */
export async function bringBusybox(target: string = ownBusyboxPath): Promise<string> {
  const found = findBusybox();
  if (found !== undefined) return found;
  await mkdir(dirname(target), { recursive: true });
  const work = await mkdtemp(join(dirname(target), 'busybox-'));
  await using undo = new AsyncDisposableStack();
  undo.defer(() => rm(work, { recursive: true }));

  try {
    await download(work);
    const archive = (await readdir(work)).find((name) => name.endsWith('.deb'));
    if (archive === undefined) throw new Error('apt-get brought nothing');
    await run('dpkg-deb', ['--extract', join(work, archive), join(work, 'tree')]);
    await copyFile(join(work, 'tree', 'bin', 'busybox'), join(work, 'busybox'));
    await rename(join(work, 'busybox'), target);
  } catch (error) {
    throw new PodwrightError(
      'E_NOT_FOUND',
      `bring busybox-static for the image podwright/demo:1: ${renderAptFailure(error)}; apt-get install busybox-static, or copy a static busybox to ${target}`,
    );
  }
  return target;
}

/** A machine that is new has no package lists yet; to fetch them needs root. */
async function download(cwd: string): Promise<void> {
  const options = { cwd, timeout: aptTimeoutMs, env: { ...process.env, LC_ALL: 'C' } };
  const get = (): Promise<unknown> => run('apt-get', [...aptOptions, 'download', 'busybox-static'], options);
  try {
    await get();
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || process.getuid?.() !== 0) throw error;
    await run('apt-get', [...aptOptions, 'update'], options);
    await get();
  }
}

/** The first thing that apt says, in a line. Pure. */
export function renderAptFailure(error: unknown): string {
  if (errnoOf(error) === 'ENOENT') return 'this machine has no apt-get';
  if (error instanceof Error && 'killed' in error && error.killed === true)
    return `apt-get had no answer within ${aptTimeoutMs / 1000} s`;
  const said = error instanceof Error && 'stderr' in error ? String(error.stderr) : '';
  const line = said.split('\n').find((each) => /^[EW]: /.test(each));
  return line === undefined
    ? (describeError(error).split('\n')[0] ?? '')
    : `apt-get: ${line.slice(3).trim()}`;
}
