import { readFileSync } from 'node:fs';
import { unreachable } from '#base/unreachable.ts';
import * as sys from '#native/sys/constants.ts';
import { detachMount, mountAt, type MountCall } from '#native/sys/mount.ts';
import type { MountOption, Mounts, MountSpec, Propagation } from './mount.ts';
import { isWithin, type MountInfo, parseMountinfo } from './mountinfo.ts';
import { overlayData, tmpfsData } from './mount-data.ts';

const optionFlags: Readonly<Record<MountOption, number>> = {
  ro: sys.MS_RDONLY,
  nosuid: sys.MS_NOSUID,
  nodev: sys.MS_NODEV,
  noexec: sys.MS_NOEXEC,
  noatime: sys.MS_NOATIME,
  relatime: sys.MS_RELATIME,
  nosymfollow: sys.MS_NOSYMFOLLOW,
};

const propagationFlags: Readonly<Record<Propagation, number>> = {
  private: sys.MS_PRIVATE,
  slave: sys.MS_SLAVE,
  shared: sys.MS_SHARED,
};

/** The port over mount(2), in the mount namespace of the process. */
export function createMounts(): Mounts {
  return { mount, remount, setPropagation, unmount: detachMount, unmountTree, list };
}

const flagsOf = (options: readonly MountOption[]): number =>
  options.reduce((flags, option) => flags | optionFlags[option], 0);

function mount(target: string, spec: MountSpec, options: readonly MountOption[] = []): void {
  mountAt(callOf(target, spec, flagsOf(options)));
  if (spec.kind !== 'bind' || options.length === 0) return;
  // mount(2) ignores other flags together with MS_BIND: they take a second call.
  try {
    remount(target, options);
  } catch (error) {
    detachMount(target);
    throw error;
  }
}

function callOf(target: string, spec: MountSpec, flags: number): MountCall {
  switch (spec.kind) {
    case 'tmpfs':
      return { source: 'tmpfs', target, type: 'tmpfs', flags, data: tmpfsData(spec) };
    case 'bind':
      return {
        source: spec.source,
        target,
        flags: sys.MS_BIND | (spec.recursive === true ? sys.MS_REC : 0),
      };
    case 'overlay':
      return { source: 'overlay', target, type: 'overlay', flags, data: overlayData(spec) };
    case 'other': {
      const { source, type, data } = spec;
      return { source, target, type, flags, ...(data !== undefined && { data }) };
    }
    default:
      return unreachable(spec);
  }
}

function remount(target: string, options: readonly MountOption[]): void {
  mountAt({ target, flags: sys.MS_REMOUNT | sys.MS_BIND | flagsOf(options) });
}

function setPropagation(target: string, propagation: Propagation, recursive = false): void {
  mountAt({ target, flags: propagationFlags[propagation] | (recursive ? sys.MS_REC : 0) });
}

function list(): readonly MountInfo[] {
  return parseMountinfo(readFileSync('/proc/self/mountinfo', 'utf8'));
}

/** A later mount may lie on or below an earlier one, never the other way round: backwards is innermost first. */
function unmountTree(prefix: string): number {
  const targets = list()
    .map((info) => info.target)
    .filter((target) => isWithin(target, prefix));
  return targets.toReversed().filter((target) => detachMount(target)).length;
}
