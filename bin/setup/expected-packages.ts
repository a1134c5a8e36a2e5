/** Which packages of a lockfile belong on a machine: what npm is to install, and what it is checked by. Pure. */

/** What of package-lock.json (version 3) is looked at. */
export interface Lockfile {
  /** By path below the root (`node_modules/a/node_modules/b`); the root itself has the empty path. */
  readonly packages: Readonly<Record<string, LockedPackage>>;
}

export interface LockedPackage {
  readonly version?: string;
  /** A list, or one word (npm takes both); with ! in front: all but that one. */
  readonly os?: string | readonly string[];
  readonly cpu?: string | readonly string[];
  readonly libc?: string | readonly string[];
  readonly dependencies?: Names;
  readonly devDependencies?: Names;
  readonly optionalDependencies?: Names;
  readonly peerDependencies?: Names;
  readonly peerDependenciesMeta?: Readonly<Record<string, { readonly optional?: boolean }>>;
}

type Names = Readonly<Record<string, string>>;

/** In Node's words: process.platform, process.arch; libc as npm calls it. */
export interface Platform {
  readonly os: string;
  readonly cpu: string;
  readonly libc: 'glibc' | 'musl';
}

export interface ExpectedPackage {
  readonly path: string;
  readonly version: string;
}

/**
 * The packages that can be reached from the root through what fits the platform, in the order of their paths. A package of another
 * platform is left out, and so is what only it needs; a peer that is optional comes only if somebody else needs it.
 */
export function expectedPackages(lock: Lockfile, platform: Platform): readonly ExpectedPackage[] {
  const found = new Map<string, string>();
  const waiting = [''];
  for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
    const entry = lock.packages[path];
    if (entry === undefined) continue;
    for (const name of neededBy(entry, path === '')) {
      const target = resolveFrom(lock, path, name);
      if (target === undefined || found.has(target)) continue;
      const needed = lock.packages[target];
      if (needed === undefined || !fits(needed, platform)) continue;
      found.set(target, needed.version ?? '');
      waiting.push(target);
    }
  }
  return [...found]
    .map(([path, version]) => ({ path, version }))
    .toSorted((a, b) => (a.path < b.path ? -1 : 1));
}

function neededBy(entry: LockedPackage, isRoot: boolean): readonly string[] {
  const peers = Object.keys(entry.peerDependencies ?? {});
  return [
    ...Object.keys(entry.dependencies ?? {}),
    ...Object.keys(entry.optionalDependencies ?? {}),
    ...peers.filter((name) => entry.peerDependenciesMeta?.[name]?.optional !== true),
    ...(isRoot ? Object.keys(entry.devDependencies ?? {}) : []),
  ];
}

/** As Node looks for it: beside the package's own, then further up. */
function resolveFrom(lock: Lockfile, path: string, name: string): string | undefined {
  for (let at = path; ; at = at.slice(0, Math.max(0, at.lastIndexOf('/node_modules/')))) {
    const candidate = at === '' ? `node_modules/${name}` : `${at}/node_modules/${name}`;
    if (lock.packages[candidate] !== undefined) return candidate;
    if (at === '') return undefined;
  }
}

function fits(entry: LockedPackage, platform: Platform): boolean {
  return (
    allows(entry.os, platform.os) && allows(entry.cpu, platform.cpu) && allows(entry.libc, platform.libc)
  );
}

function allows(list: string | readonly string[] | undefined, value: string): boolean {
  if (list === undefined) return true;
  const words = typeof list === 'string' ? [list] : list;
  if (words.includes(`!${value}`)) return false;
  const positive = words.filter((word) => !word.startsWith('!'));
  return positive.length === 0 || positive.includes(value) || positive.includes('any');
}
