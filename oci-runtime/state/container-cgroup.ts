/** The cgroup of a container, in the one hierarchy of cgroup v2. */
import { existsSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { systemClock } from '#base/clock.ts';
import { describeError, errnoOf, isPodwrightError, PodwrightError } from '#base/errors.ts';
import { createCgroups } from '#native/cgroup/cgroup.linux.ts';
import type { CgroupController } from '#native/cgroup/cgroup.ts';
import { findCgroup2Mount, parseWords } from '#native/cgroup/parse.ts';
import { checkedCgroupPath } from '#native/cgroup/path.ts';
import { parseMountinfo } from '#native/mount/mountinfo.ts';
import type { DeviceRule } from '#native/bpf/device-rules.ts';
import { isDefault } from '#oci-runtime/render/render-resources.ts';
import type { ResourceWrite } from '#oci-runtime/render/render-resources.ts';

export interface CgroupPlace {
  /** Where the hierarchy is mounted. */
  readonly root: string;
  /** Below it. */
  readonly path: string;
  readonly directory: string;
  /** It and those above it that are not there yet, outermost first. */
  readonly missing: readonly string[];
}

/** @throws {E_UNSUPPORTED, E_INVALID} naming the member */
export function findCgroupPlace(id: string, cgroupsPath: string = ''): CgroupPlace {
  const root = findCgroup2Mount(parseMountinfo(readFileSync('/proc/self/mountinfo', 'utf8')));
  if (root === undefined)
    throw new PodwrightError(
      'E_UNSUPPORTED',
      'linux.cgroupsPath: cgroup v2 is not mounted; --cgroup-manager disabled does without',
    );
  if (/^[^/]*:[^/]*:[^/]*$/.test(cgroupsPath))
    throw new PodwrightError(
      'E_UNSUPPORTED',
      `linux.cgroupsPath: ${cgroupsPath} is for systemd, which is not asked here; give a path`,
    );
  const path = checkedCgroupPath((cgroupsPath === '' ? id : cgroupsPath).replace(/^\/+|\/+$/g, ''));
  const directory = join(root, path);
  const missing: string[] = [];
  for (let at = directory; at !== root && !existsSync(at); at = dirname(at)) missing.unshift(at);
  return { root, path, directory, missing };
}

/** @throws {E_UNSUPPORTED} naming controllers that limits need */
export async function makeCgroup(place: CgroupPlace, writes: readonly ResourceWrite[]): Promise<void> {
  const wanted = [...new Set(writes.map(({ controller }) => controller))];
  const report = await createCgroups(place.root).ensure(place.path, wanted as readonly CgroupController[]);
  const isLacking = ({ controller }: ResourceWrite): boolean =>
    report.missing.some((each) => each === controller);
  const lacking = writes.find((write) => isLacking(write) && !isDefault(write));
  if (lacking !== undefined) {
    throw new PodwrightError(
      'E_UNSUPPORTED',
      `linux.resources: ${lacking.file}: there is no controller ${lacking.controller} in ${place.root}`,
    );
  }
  writeResources(
    place.directory,
    writes.filter((write) => !isLacking(write)),
  );
}

/** @throws {E_UNSUPPORTED} for a file that is not there, {E_KERNEL} for a value that the kernel refuses */
export function writeResources(directory: string, writes: readonly ResourceWrite[]): void {
  for (const { file, value } of writes) {
    try {
      writeFileSync(join(directory, file), value, { flag: 'r+' });
    } catch (error) {
      const code = errnoOf(error) === 'ENOENT' ? 'E_UNSUPPORTED' : 'E_KERNEL';
      throw new PodwrightError(
        code,
        `write ${value} to ${join(directory, file)}: ${errnoOf(error) ?? describeError(error)}`,
        {
          cause: error,
        },
      );
    }
  }
}

/** False where this kernel filters no devices. */
export async function filterDevices(directory: string, rules: readonly DeviceRule[]): Promise<boolean> {
  // Loads koffi, which not every command needs.
  const { createDeviceFilter } = await import('#native/bpf/device-filter.linux.ts');
  using filter = createDeviceFilter();

  try {
    filter.apply(directory, rules);
    return true;
  } catch (error) {
    if (isPodwrightError(error, 'E_UNSUPPORTED')) return false;
    throw error;
  }
}

/** All processes in it and below. */
export function processesOf(directory: string): readonly number[] {
  try {
    const own = parseWords(readFileSync(join(directory, 'cgroup.procs'), 'utf8')).map(Number);
    const below = readdirSync(directory, { withFileTypes: true }).filter((entry) => entry.isDirectory());
    return [...own, ...below.flatMap(({ name }) => processesOf(join(directory, name)))];
  } catch (error) {
    if (['ENOENT', 'ENODEV'].includes(errnoOf(error) ?? '')) return [];
    throw error;
  }
}

/** How long processes may take to go once they are killed. */
const removeMsMax = 10_000;

/** Kills what is in it, and removes what was made for it. @throws E_TIMEOUT */
export async function removeCgroups(directory: string, made: readonly string[]): Promise<void> {
  if (!made.includes(directory)) return; // Somebody else's, who may have others in it.
  const root = dirname(directory);
  await createCgroups(root).remove(relative(root, directory), removeMsMax);
  for (const above of made.toReversed()) {
    if (above === directory) continue;
    try {
      rmdirSync(above);
    } catch (error) {
      // Another container's, by now.
      if (['ENOTEMPTY', 'EBUSY', 'ENOENT'].includes(errnoOf(error) ?? '')) return;
      throw error;
    }
  }
}

/** How long a cgroup may take to freeze or thaw. */
const freezeMsMax = 10_000;
const freezePollMs = 2;

/** @throws E_TIMEOUT */
export async function freeze(directory: string, isFrozen: boolean): Promise<void> {
  writeFileSync(join(directory, 'cgroup.freeze'), isFrozen ? '1' : '0', { flag: 'r+' });
  const wanted = `frozen ${isFrozen ? 1 : 0}`;
  const until = systemClock.now() + freezeMsMax;
  while (!readFileSync(join(directory, 'cgroup.events'), 'utf8').split('\n').includes(wanted)) {
    if (systemClock.now() > until)
      throw new PodwrightError(
        'E_TIMEOUT',
        `${isFrozen ? 'pause' : 'resume'} ${directory}: not ${wanted} in ${freezeMsMax} ms`,
      );
    await systemClock.sleep(freezePollMs);
  }
}
