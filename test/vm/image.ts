/**
 * The guest's kernel, initramfs and read-only root, made on the spot and kept under a name that is the hash of what went in:
 * Debian's packages, the lockfile's production packages (Node among them), and this recipe.
 */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import {
  chmod,
  copyFile,
  cp,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { homedir } from 'node:os';
import { basename, dirname, join } from 'node:path';

import { packagesFile } from '#bin/bundle/bundle.ts';
import { repositoryRoot } from '#bin/paths.ts';
import { runCommand } from './command.ts';
import { PackageSource } from './packages.ts';
import { guestRoot, initScript, rootFiles, maskedUnits } from './root-files.ts';

export interface VmImage {
  readonly kernel: string;
  readonly initramfs: string;
  readonly root: string;
}

export interface ImageBuild {
  readonly image: VmImage;
  readonly isCached: boolean;
}

/** Loaded by the initramfs, each after what it depends on. */
const bootModules = ['virtio_pci', 'virtio_blk', 'virtio_console', 'erofs', 'overlay'];
const mergedDirectories = ['bin', 'sbin', 'lib', 'lib64', 'lib32', 'libx32'];
const emptyDirectories = [
  'proc',
  'sys',
  'dev',
  'run',
  'tmp',
  'mnt',
  'root',
  'var/log',
  'var/tmp',
  'etc/cni',
  'etc/systemd/system',
];
/** Not needed to boot or to check anything, and large. */
const dropped = [
  'usr/share/doc',
  'usr/share/man',
  'usr/share/locale',
  'usr/share/info',
  'usr/share/zoneinfo',
  'usr/lib/udev/hwdb.d',
];

const abandonedAfterMs = 3_600_000;

const cacheRoot = (): string =>
  join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'podwright', 'vm');

/** Makes the image, or finds the one made before from the same inputs. Needs apt-get, dpkg-deb, tar, mkfs.erofs, depmod, cpio, ldconfig. */
export async function buildImage(step: (text: string) => void = () => undefined): Promise<ImageBuild> {
  const cache = cacheRoot();
  const source = await PackageSource.open(join(cache, 'packages'));
  const packages = await source.resolve();
  const lock = await readFile(join(repositoryRoot, 'package-lock.json'), 'utf8');
  const hash = createHash('sha256').update(JSON.stringify(packages)).update(lock);
  for (const file of ['image.ts', 'root-files.ts'])
    hash.update(await readFile(join(import.meta.dirname, file)));
  const directory = join(cache, hash.digest('hex').slice(0, 16));
  const image = {
    kernel: join(directory, 'vmlinuz'),
    initramfs: join(directory, 'initramfs'),
    root: join(directory, 'root.erofs'),
  };
  if (existsSync(directory)) return { image, isCached: true };

  const work = await mkdtemp(join(cache, 'build-'));
  await using undo = new AsyncDisposableStack();
  undo.defer(() => rm(work, { recursive: true, force: true }));
  step(`fetch ${packages.length} packages of Debian`);
  const archives = await source.fetch(packages);
  step('unpack them');
  const tree = join(work, 'tree');
  await unpack(archives, tree);
  step('add node and the production packages of npm');
  await addNodeModules(tree, lock);
  const release = await prepareTree(tree);
  step('pack initramfs and root');
  const made = join(work, 'made');
  await mkdir(made);
  await copyFile(join(tree, 'boot', `vmlinuz-${release}`), join(made, 'vmlinuz'));
  await packInitramfs(tree, release, join(made, 'initramfs'));
  await rm(join(tree, 'boot'), { recursive: true });
  await runCommand('mkfs.erofs', ['--quiet', '--all-root', join(made, 'root.erofs'), tree]);
  await removeOlder(cache);
  // Another run may have made the same meanwhile.
  if (!existsSync(directory)) await rename(made, directory);
  return { image, isCached: false };
}

/** Debian 12 is merged: /bin and the others are links into /usr, made first so that tar follows them. */
async function unpack(archives: readonly string[], tree: string): Promise<void> {
  for (const name of mergedDirectories) {
    await mkdir(join(tree, 'usr', name), { recursive: true });
    await symlink(`usr/${name}`, join(tree, name));
  }
  const script =
    'tree=$1; shift; for deb; do dpkg-deb --fsys-tarfile "$deb" | tar -x --keep-directory-symlink -C "$tree"; done';
  await runCommand('sh', ['-ec', script, 'sh', tree, ...archives]);
  for (const path of dropped) await rm(join(tree, path), { recursive: true, force: true });
}

/** What `npm ci --omit=dev` would install, from what is installed here. */
async function addNodeModules(tree: string, lock: string): Promise<void> {
  const { packages } = JSON.parse(lock) as {
    readonly packages: Readonly<Record<string, { readonly dev?: boolean }>>;
  };
  await cp(join(repositoryRoot, packagesFile), join(tree, guestRoot, packagesFile)); // By which the bundle is known to fit.
  for (const path of productionPackages(packages)) {
    const from = join(repositoryRoot, path);
    if (!existsSync(from)) continue; // Of another architecture.
    await cp(from, join(tree, guestRoot, path), {
      recursive: true,
      filter: (entry) => basename(entry) !== 'node_modules',
    });
  }
}

/** Paths of the lockfile's packages that are not for development only, parents first. Pure. */
export function productionPackages(
  packages: Readonly<Record<string, { readonly dev?: boolean }>>,
): readonly string[] {
  return Object.entries(packages)
    .filter(([path, { dev }]) => path !== '' && dev !== true)
    .map(([path]) => path)
    .toSorted();
}

/** Does what the packages' scripts would have done; the kernel's release. */
async function prepareTree(tree: string): Promise<string> {
  for (const path of emptyDirectories) await mkdir(join(tree, path), { recursive: true });
  for (const [path, text] of Object.entries(rootFiles)) {
    await mkdir(dirname(join(tree, path)), { recursive: true });
    await writeFile(join(tree, path), text);
  }
  for (const unit of maskedUnits) await replaceBySymlink(join(tree, 'etc/systemd/system', unit), '/dev/null');
  await replaceBySymlink(join(tree, 'etc/systemd/system/default.target'), '/etc/systemd/system/job.target');
  const [release] = await readdir(join(tree, 'usr/lib/modules'));
  if (release === undefined) throw new Error('find the kernel in its package: no modules');
  await runCommand('depmod', ['-b', tree, release], { environment: sbinPath() });
  await runCommand('ldconfig', ['-r', tree], { environment: sbinPath() });
  return release;
}

async function replaceBySymlink(path: string, target: string): Promise<void> {
  await rm(path, { force: true });
  await symlink(target, path);
}

const sbinPath = (): Readonly<Record<string, string>> => ({
  PATH: `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin`,
});

async function packInitramfs(tree: string, release: string, target: string): Promise<void> {
  const modules = join(tree, 'usr/lib/modules', release);
  const ordered = orderModules(await readFile(join(modules, 'modules.dep'), 'utf8'), bootModules);
  const root = await mkdtemp(join(dirname(target), 'initramfs-'));
  for (const directory of ['bin', 'modules', 'proc', 'sys', 'dev', 'lower', 'upper', 'new'])
    await mkdir(join(root, directory));
  await copyFile(join(tree, 'usr/bin/busybox'), join(root, 'bin/busybox'));
  for (const path of ordered) await copyFile(join(modules, path), join(root, 'modules', basename(path)));
  await writeFile(join(root, 'init'), initScript(ordered.map((path) => basename(path))));
  await chmod(join(root, 'init'), 0o755);
  await runCommand('sh', [
    '-ec',
    'cd "$1" && find . | cpio --create --format=newc --quiet > "$2"',
    'sh',
    root,
    target,
  ]);
  await rm(root, { recursive: true });
}

/** Paths from modules.dep such that each module comes after those it needs. Pure; modules built into the kernel are passed over. */
export function orderModules(modulesDep: string, names: readonly string[]): readonly string[] {
  const needs = new Map(
    modulesDep.split('\n').flatMap((line) => {
      const [path, rest] = line.split(':');
      return path === undefined || rest === undefined
        ? []
        : [[path, rest.split(' ').filter((each) => each !== '')] as const];
    }),
  );
  const ordered = new Set<string>();
  const add = (path: string): void => {
    for (const need of needs.get(path) ?? []) if (!ordered.has(need)) add(need);
    ordered.add(path);
  };
  for (const name of names) {
    const path = [...needs.keys()].find((each) => moduleName(each) === name);
    if (path !== undefined) add(path);
  }
  return [...ordered];
}

const moduleName = (path: string): string =>
  basename(path)
    .replace(/\.ko(\..+)?$/, '')
    .replaceAll('-', '_');

/** An image is hundreds of megabytes: only the newest is kept, and nothing of a build that was killed. */
async function removeOlder(cache: string): Promise<void> {
  for (const name of await readdir(cache)) {
    const path = join(cache, name);
    const isAbandoned =
      name.startsWith('build-') && (await stat(path)).mtimeMs < Date.now() - abandonedAfterMs;
    if (isAbandoned || /^[0-9a-f]{16}$/.test(name)) await rm(path, { recursive: true, force: true });
  }
}
