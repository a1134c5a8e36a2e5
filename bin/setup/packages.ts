/**
 * `podwright setup`'s second step, on the pinned Node and before there are any packages: is what is installed what the lockfile
 * says, and if not, npm (the pinned one, which the entry script brought) installs it beside, and it is switched by a rename.
 *
 *     node packages.ts check ROOT
 *     node packages.ts install ROOT WORK NPM_CLI NPM_OPTION…
 */
import { execFile } from 'node:child_process';
import { copyFileSync, existsSync, lstatSync, mkdirSync, readFileSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { describeError, PodwrightError } from '#base/errors.ts';
import { expectedPackages, type ExpectedPackage, type Lockfile, type Platform } from './expected-packages.ts';

const run = promisify(execFile);

/** The lockfile that the packages were last checked by, among them: the entry script compares it with the present one. */
export const stampName = '.podwright-lock.json';
const namesMax = 5;

export function platformHere(): Platform {
  const { header } = process.report.getReport() as {
    readonly header: { readonly glibcVersionRuntime?: string };
  };
  const libc = header.glibcVersionRuntime === undefined ? 'musl' : 'glibc';
  return { os: process.platform, cpu: process.arch, libc };
}

/** What `directory`/node_modules lacks of the lockfile for this platform, as name@version; a native binding's file counts too. */
export function findMissing(directory: string, lock: Lockfile, platform: Platform): readonly string[] {
  return expectedPackages(lock, platform)
    .filter((each) => !isInstalled(directory, each))
    .map(({ path, version }) => `${path.split('node_modules/').at(-1) ?? path}@${version}`);
}

function isInstalled(directory: string, { path, version }: ExpectedPackage): boolean {
  const file = join(directory, path, 'package.json');
  if (!existsSync(file)) return false;
  const { version: found, main } = JSON.parse(readFileSync(file, 'utf8')) as {
    readonly version?: string;
    readonly main?: string;
  };
  if (found !== version) return false;
  return main === undefined || !main.endsWith('.node') || existsSync(join(directory, path, main));
}

/** `a@1, b@2 and 7 more`. Pure. */
export function renderNames(names: readonly string[]): string {
  const more = names.length - namesMax;
  return more > 0 ? `${names.slice(0, namesMax).join(', ')} and ${more} more` : names.join(', ');
}

/**
 * The packages in place of those before. Programs that run on the old ones find at each moment, but for the microseconds between
 * two renames, all of the old or all of the new. @throws what a rename says; the old ones are back then
 */
export function switchPackages(root: string, staged: string, old: string): void {
  const current = join(root, 'node_modules');
  const hasOld = lstatSync(current, { throwIfNoEntry: false }) !== undefined;
  if (hasOld) renameSync(current, old);
  try {
    renameSync(staged, current);
  } catch (error) {
    if (hasOld) renameSync(old, current);
    throw error;
  }
}

function readLock(directory: string): Lockfile {
  return JSON.parse(readFileSync(join(directory, 'package-lock.json'), 'utf8')) as Lockfile;
}

/** Whether all is there; then it is also noted by which lockfile. */
function check(root: string): boolean {
  const missing = findMissing(root, readLock(root), platformHere());
  if (missing.length > 0) {
    console.error(`podwright: not as in package-lock.json: ${renderNames(missing)}`);
    return false;
  }
  writeStamp(root, join(root, 'node_modules'));
  return true;
}

function writeStamp(root: string, packages: string): void {
  const stamp = join(packages, stampName);
  copyFileSync(join(root, 'package-lock.json'), `${stamp}.${process.pid}`);
  renameSync(`${stamp}.${process.pid}`, stamp);
}

export interface Installation {
  readonly root: string;
  /** Beside node_modules, for this installation alone; whoever made it removes it. */
  readonly work: string;
  /** npm's program. */
  readonly npm: string;
  readonly npmOptions: readonly string[];
}

/** @throws E_CONNECTION, E_INVALID, and leaves what was installed as it was */
export async function install({ root, work, npm, npmOptions }: Installation): Promise<void> {
  const tree = join(work, 'tree');
  mkdirSync(tree);
  for (const name of ['package.json', 'package-lock.json', '.npmrc'])
    if (existsSync(join(root, name))) copyFileSync(join(root, name), join(tree, name));
  const packages = join(tree, 'node_modules');
  await runNpm(npm, ['ci', '--prefix', tree, ...npmOptions], tree);
  const missing = findMissing(tree, readLock(tree), platformHere());
  if (missing.length > 0) {
    throw new PodwrightError('E_INVALID', `install packages: npm ended well without ${renderNames(missing)}`);
  }
  writeStamp(tree, packages);
  await giveToOwner(root, packages);
  switchPackages(root, packages, join(work, 'old'));
}

/** Everything of the lockfile whatever the user's npm or NODE_ENV leaves out; no package runs anything of its own. */
const npmArguments = [
  '--ignore-scripts',
  '--include=dev',
  '--include=optional',
  '--include=peer',
  '--no-audit',
  '--no-fund',
  '--loglevel=error',
];

async function runNpm(npm: string, args: readonly string[], cwd: string): Promise<void> {
  try {
    await run(process.execPath, [npm, ...args, ...npmArguments], {
      cwd,
      env: environmentForNpm(process.env),
    });
  } catch (error) {
    const said = error instanceof Error && 'stderr' in error ? String(error.stderr) : '';
    throw new PodwrightError(
      'E_CONNECTION',
      `install packages: ${renderNpmFailure(said) || describeError(error)}`,
    );
  }
}

/** Without what an npm that runs us (`npm test`) says of itself to its scripts. Pure. */
export function environmentForNpm(environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const own =
    /^npm_(lifecycle|package|command$|execpath$|node_execpath$|config_(local_prefix|global_prefix|prefix|global)$)/;
  return Object.fromEntries(Object.entries(environment).filter(([name]) => !own.test(name)));
}

/** npm's words in a line: its code, then its sentence. Pure. */
export function renderNpmFailure(stderr: string): string {
  const lines = stderr
    .split('\n')
    .flatMap((line) => /^npm (?:error|ERR!) (.*\S)/.exec(line)?.[1] ?? [])
    .filter((line) => !/complete log of this run|^\/.*\.log$|^(errno|syscall|at|path|dest) /.test(line));
  const code = lines.find((line) => line.startsWith('code '))?.slice('code '.length);
  const words = lines.filter((line) => !line.startsWith('code ')).slice(0, 2);
  return [...(code === undefined ? [] : [`npm says ${code}`]), ...words].join(': ');
}

/** Under sudo the checkout stays its owner's: whoever owns it can set it up again. */
async function giveToOwner(root: string, packages: string): Promise<void> {
  const { uid, gid } = lstatSync(root);
  if (process.getuid?.() !== 0 || uid === 0) return;
  await run('chown', ['--recursive', '--no-dereference', `${uid}:${gid}`, packages]);
}

async function main([
  command,
  root = '',
  work = '',
  npm = '',
  ...npmOptions
]: readonly string[]): Promise<void> {
  if (command === 'check') process.exitCode = check(root) ? 0 : 1;
  else await install({ root, work, npm, npmOptions });
}

if (import.meta.main) {
  try {
    await main(process.argv.slice(2));
  } catch (error) {
    console.error(`podwright: ${describeError(error)}`);
    process.exitCode = 1;
  }
}
