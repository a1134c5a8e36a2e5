/** Minimal Debian roots as tar files, made once and kept outside of the tree, under names that have the hash of their recipe. */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rename, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';

import { describeError } from '#base/errors.ts';
import { runCommand } from '#test/vm/command.ts';

/** What making a root, or fetching, tells and heeds. */
export interface Making {
  readonly step: (text: string) => void;
  readonly signal: AbortSignal;
}

export const cacheRoot = (): string =>
  join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'podwright', 'fresh');

/**
 * Every recipe runs in pid and mount namespaces of its own, and on a tmpfs, where the thousands of fsyncs of dpkg cost nothing and a cut
 * leaves nothing. That is on /mnt, as this namespace sees it: apt's own user must get there, and does not below a home. $1 the tar to
 * write, $2 the tar to start from. What a machine gets that is new is kept: no package lists, no archives, no names of this machine.
 */
const recipeStart = `
mount -t tmpfs -o mode=0755 podwright-fresh /mnt
root=/mnt/root
log=/mnt/log
pack() {
  tar --create --file="$1" --directory="$root" --numeric-owner --one-file-system --exclude='./dev/*' --exclude='./proc/*' \\
    --exclude='./var/lib/apt/lists/*' --exclude='./var/cache/apt/*' --exclude=./etc/resolv.conf --exclude=./etc/hostname .
}
or_say() { tail -n 5 "$log" >&2; exit 1; }
`;

/** As Debian's slim images do, without what nobody reads there: fewer files, less memory. */
const minimalRecipe = `${recipeStart}
mmdebstrap --mode=root --variant=minbase --aptopt='Acquire::Languages "none"' --aptopt='Acquire::Retries "3"' \\
  --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \\
  bookworm "$root" >"$log" 2>&1 || or_say
pack "$@"
`;

/** Debian's nodejs and npm, and nothing else that they do not depend on. */
const npmRecipe = `${recipeStart}
mkdir "$root"
tar --extract --file="$2" --directory="$root" --numeric-owner
cp -L /etc/resolv.conf "$root/etc/resolv.conf"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
chroot "$root" env DEBIAN_FRONTEND=noninteractive sh -ec '
  apt-get -qq update
  apt-get -qq install -y --no-install-recommends nodejs npm' >"$log" 2>&1 || or_say
umount -R "$root/proc" "$root/dev"
pack "$@"
`;

/** mmdebstrap's minbase: what `docker run debian` has. */
export const ensureMinimalRoot = (making: Making): Promise<string> =>
  ensureRoot('minimal', minimalRecipe, undefined, making);

/** That, with Debian's nodejs and npm. */
export async function ensureNpmRoot(minimal: string, making: Making): Promise<string> {
  return ensureRoot('npm', minimalRecipe + npmRecipe, minimal, making);
}

/** A mirror may stumble. */
const triesMax = 2;

/** The tar of a root; makes it where it is missing. Needs mmdebstrap and Debian's archive. */
async function ensureRoot(
  name: string,
  recipe: string,
  start: string | undefined,
  { step, signal }: Making,
): Promise<string> {
  const cache = cacheRoot();
  await mkdir(cache, { recursive: true });
  const hash = createHash('sha256').update(recipe).digest('hex').slice(0, 12);
  const path = join(cache, `root-${name}-${hash}.tar`);
  if (existsSync(path)) return path;

  const work = join(cache, `${name}.${process.pid}`);
  await using undo = new AsyncDisposableStack();
  undo.defer(() => rm(work, { recursive: true, force: true }));

  for (let tries = 1; ; tries++) {
    step(`make a root of Debian: ${name} (once)`);
    await mkdir(work, { recursive: true });
    try {
      await runCommand(
        'setpriv',
        [
          ...['--pdeathsig', 'KILL', 'unshare'],
          ...['--mount', '--pid', '--fork', '--kill-child', '--mount-proc', '--propagation', 'private'],
          ...['sh', '-ec', recipe, 'sh', join(work, 'tar'), start ?? ''],
        ],
        { signal },
      );
      break;
    } catch (error) {
      signal.throwIfAborted();
      if (tries === triesMax) throw error;
      step(`once more: ${describeError(error).split('\n').at(-1)}`);
    }
  }
  for (const other of await readdir(cache))
    if (other.startsWith(`root-${name}-`)) await rm(join(cache, other), { force: true });
  await rename(join(work, 'tar'), path);
  return path;
}

/** What a process left that was killed: its working directories, where nothing is mounted any more. */
export async function removeAbandonedMaking(): Promise<void> {
  const directories = [cacheRoot(), join(cacheRoot(), 'node')];
  for (const directory of directories.filter((each) => existsSync(each)))
    for (const name of await readdir(directory)) {
      const pid = /^[a-z0-9-]+\.(\d+)$/.exec(name)?.[1];
      if (pid !== undefined && !existsSync(`/proc/${pid}`))
        await rm(join(directory, name), { recursive: true, force: true });
    }
}

/** Node of another version, with the npm that comes with it, as archives of npm's registry. */
export interface OtherNode {
  readonly node: string;
  readonly npm: string;
}

/** Paths of the two archives; fetched once, both at a time. */
export async function ensureNodeArchives(
  { node, npm }: OtherNode,
  making: Making,
): Promise<readonly [string, string]> {
  return Promise.all([
    ensureArchive(`node-linux-${process.arch}`, node, making),
    ensureArchive('npm', npm, making),
  ]);
}

async function ensureArchive(name: string, version: string, { step, signal }: Making): Promise<string> {
  const directory = join(cacheRoot(), 'node');
  const archive = join(directory, `${name}-${version}.tgz`);
  if (existsSync(archive)) return archive;

  const partial = join(directory, `${name}-${version.replaceAll('.', '-')}.${process.pid}`);
  await using undo = new AsyncDisposableStack();
  undo.defer(() => rm(partial, { recursive: true, force: true }));

  await mkdir(partial, { recursive: true });
  step(`fetch ${name} ${version} (once)`);
  await runCommand(
    'setpriv',
    [
      ...['--pdeathsig', 'KILL', 'npm', 'pack', '--loglevel=error', '--ignore-scripts'],
      ...[`--pack-destination=${partial}`, `${name}@${version}`],
    ],
    { signal },
  );
  await rename(join(partial, `${name}-${version}.tgz`), archive);
  return archive;
}

/** The Vagrantfile's set-up, as it stands there. @throws where it is not found */
export async function readVagrantSetUp(vagrantfile: string): Promise<string> {
  const text = /^SET_UP = <<~SH\n(.*?)^SH$/ms.exec(await readFile(vagrantfile, 'utf8'))?.[1];
  if (text === undefined) throw new Error(`find SET_UP in ${vagrantfile}`);
  return text;
}
