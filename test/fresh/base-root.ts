/** Minimal Debian roots as tar files, made once and kept outside of the tree, under names that have the hash of this recipe. */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rename, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';

import { runCommand } from '#test/vm/command.ts';

/** `minimal`: debootstrap's minbase. `npm`: with Debian's nodejs and npm, and nothing else. */
export type BaseRoot = 'minimal' | 'npm';

export const cacheRoot = (): string =>
  join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'podwright', 'fresh');

/**
 * In a mount namespace of its own and on a tmpfs, where the thousands of fsyncs of dpkg cost nothing and a cut leaves nothing.
 * What a machine gets that is new is kept: no package lists, no archives, no names of this machine.
 */
const recipe = `
mount -t tmpfs -o mode=0755 podwright-fresh "$1"
root=$1/root
debootstrap --variant=minbase bookworm "$root" >"$1/log" 2>&1 || { tail -n 5 "$1/log" >&2; exit 1; }
pack() {
  rm -rf "$root"/var/lib/apt/lists/* "$root"/var/cache/apt/archives/*.deb "$root"/var/cache/apt/*.bin
  rm -f "$root/etc/resolv.conf" "$root/etc/hostname"
  tar --create --file="$1" --directory="$root" --numeric-owner --one-file-system .
}
pack "$2"
cp -L /etc/resolv.conf "$root/etc/resolv.conf"
mount -t proc proc "$root/proc"
chroot "$root" env DEBIAN_FRONTEND=noninteractive sh -ec '
  apt-get -qq update
  apt-get -qq install -y --no-install-recommends nodejs npm' >"$1/log" 2>&1 || { tail -n 5 "$1/log" >&2; exit 1; }
umount "$root/proc"
pack "$3"
`;

/** The tar of a root; makes both where they are missing. Needs debootstrap and Debian's archive. */
export async function ensureBaseRoot(which: BaseRoot, step: (text: string) => void): Promise<string> {
  const cache = cacheRoot();
  await mkdir(cache, { recursive: true });
  const hash = createHash('sha256').update(recipe).digest('hex').slice(0, 12);
  const path = (each: BaseRoot): string => join(cache, `root-${each}-${hash}.tar`);
  if (existsSync(path('minimal')) && existsSync(path('npm'))) return path(which);

  step('make minimal roots of Debian (once)');
  const [work, minimal, npm] = ['build', 'minimal', 'npm'].map((name) =>
    join(cache, `${name}.${process.pid}`),
  );
  if (work === undefined || minimal === undefined || npm === undefined) throw new TypeError('three paths');
  await using undo = new AsyncDisposableStack();
  undo.defer(() => rm(work, { recursive: true, force: true }));
  undo.defer(() => rm(minimal, { force: true }));
  undo.defer(() => rm(npm, { force: true }));

  await mkdir(work);
  await runCommand('setpriv', [
    ...['--pdeathsig', 'KILL', 'unshare'],
    ...['--mount', '--pid', '--fork', '--kill-child', '--propagation', 'private'],
    ...['sh', '-ec', recipe, 'sh', work, minimal, npm],
  ]);
  for (const name of await readdir(cache)) if (/^root-.*\.tar$/.test(name)) await rm(join(cache, name));
  await rename(minimal, path('minimal'));
  await rename(npm, path('npm'));
  return path(which);
}

/** Node of another version, with the npm that comes with it, as archives of npm's registry. */
export interface OtherNode {
  readonly node: string;
  readonly npm: string;
}

/** Paths of the two archives; fetched once. */
export async function ensureNodeArchives({ node, npm }: OtherNode): Promise<readonly [string, string]> {
  const directory = join(cacheRoot(), 'node');
  await mkdir(directory, { recursive: true });
  const fetch = async (name: string, version: string): Promise<string> => {
    const archive = join(directory, `${name}-${version}.tgz`);
    if (existsSync(archive)) return archive;
    const partial = join(directory, `partial.${process.pid}`);
    await using undo = new AsyncDisposableStack();
    undo.defer(() => rm(partial, { recursive: true, force: true }));

    await mkdir(partial);
    await runCommand('sh', [
      '-ec',
      'cd "$1" && npm pack --loglevel=error "$2"',
      'sh',
      partial,
      `${name}@${version}`,
    ]);
    await rename(join(partial, `${name}-${version}.tgz`), archive);
    return archive;
  };
  return [await fetch(`node-linux-${process.arch}`, node), await fetch('npm', npm)];
}

/** The Vagrantfile's set-up, as it stands there. @throws where it is not found */
export async function readVagrantSetUp(vagrantfile: string): Promise<string> {
  const text = /^SET_UP = <<~SH\n(.*?)^SH$/ms.exec(await readFile(vagrantfile, 'utf8'))?.[1];
  if (text === undefined) throw new Error(`find SET_UP in ${vagrantfile}`);
  return text;
}
