/**
 * Where a program that makes a process in a pod's user namespace finds what that is to have: at a path that the namespace's root may go to, as
 * it may not to the directories of the runtime, and with ids that are shifted already, as not every program can. Pure.
 */
import { posix } from 'node:path';
import { PodwrightError } from '#base/errors.ts';
import { compileRoot } from '#native/launch/compile-container.ts';
import { compileMount, deviceNumber, registers } from '#native/launch/compile-mount.ts';
import { compileHostAgain } from '#native/launch/compile-user-namespace.ts';
import { AT_FDCWD, OPEN, S_IFBLK, S_IFCHR } from '#native/launch/kernel-constants.ts';
import { flags, number, register, text, type ProgramBuilder } from '#native/launch/program.ts';
import type { LaunchMount, MadeLaunch, MadePlace } from '#native/launch/launch.ts';

/** Below the place, the container's root; of an exec, whose program goes to where that was, an empty directory. */
export const placedRoot = 'root';

const tmpfs: LaunchMount = {
  ...{ type: 'tmpfs', source: 'tmpfs', target: '', options: ['nosuid', 'noexec'] },
  data: 'mode=711,size=1m',
};

/**
 * Put together below the program's directory and then moved, so that what is at the place itself can be a source too. The namespace of mounts is
 * the program's own.
 * @throws E_INVALID for a root that is no overlay
 */
export function compilePlace(builder: ProgramBuilder, made: MadeLaunch, place: MadePlace): void {
  const { root, isNodev, directory } = made;
  const stage = `${directory}/place`;
  const stageMount = { ...tmpfs, target: '/place' };
  builder.label(`open ${directory}`);
  openInto(builder, directory);
  compileMount(builder, stageMount, { shared: new Map(), proc: undefined, isNodev: false });
  openInto(builder, stage);
  for (const mount of place.mounts)
    compileMount(builder, mount, { shared: new Map(), proc: undefined, isNodev });
  for (const device of place.devices) compileDevice(builder, device);
  const merged = `${stage}/${placedRoot}`;
  builder.op('mkdirat', [AT_FDCWD, text(merged), number(0o755, '0755')]);
  if (root !== undefined) {
    if (root.kind !== 'overlay')
      throw new PodwrightError('E_INVALID', `compile ${place.path}: the root is no overlay`);
    compileRoot(builder, {
      root: { ...root, merged },
      ids: place.ids,
      security: { maskedPaths: [], privileged: false, nodev: isNodev },
    });
    compileHostAgain(builder);
  }
  builder.label(`show all that at ${place.path}`);
  builder.op('move_mount', [AT_FDCWD, text(stage), AT_FDCWD, text(place.path), 0]);
}

function openInto(builder: ProgramBuilder, directory: string): void {
  const how = flags(OPEN, 'O_PATH', 'O_CLOEXEC');
  builder.op('openat', [AT_FDCWD, text(directory), how, 0], { save: registers.root });
}

/** Its owner is the host's, as where we make it ourselves. */
function compileDevice(builder: ProgramBuilder, device: MadePlace['devices'][number]): void {
  const { path, type, major, minor, mode, uid = 0, gid = 0 } = device;
  const name = text(posix.basename(path));
  const kind = type === 'c' ? S_IFCHR : S_IFBLK;
  builder.label(`make ${path}`);
  const bits = number(kind | mode, `${type} 0${mode.toString(8)}`);
  builder.op('mknodat', [register(registers.root), name, bits, deviceNumber(major, minor)]);
  if (uid !== 0 || gid !== 0) builder.op('fchownat', [register(registers.root), name, uid, gid, 0]);
}
