/**
 * What a container in a user namespace of its pod has otherwise (user_namespaces(7), mount_setattr(2)). Its root and volumes are put
 * together by root of the host, whose files belong to the pod's ids (fsuid) and who shifts ids where something of the host's is mounted;
 * then the process becomes the namespace's root, in a mount namespace that this owns: what it was given cannot be taken apart there.
 */
import { AT_FDCWD, CLONE, MOUNT_ATTR_IDMAP, MOVE, PR, SECBIT, TREE } from './kernel-constants.ts';
import { bytes, flags, number, register, text } from './program.ts';
import type { ProgramArgument, ProgramBuilder } from './program.ts';
import type { IdRange } from './launch.ts';

/** Where the supervisor puts the pod's user namespace (supervisor/program.h). */
export const userFd = 6;

/** A line of /proc/PID/uid_map: ids from 0 on are `ids` of the host. */
export function renderIdMap({ first, count }: IdRange): string {
  return `0 ${first} ${count}`;
}

/** What an id of the container is on the host. */
export function hostId(ids: IdRange | undefined, id: number): number {
  return (ids?.first ?? 0) + id;
}

/** Files that are made from here on belong to the namespace's root, and no right of the host's root is lost by that. */
export function compileOwnership(builder: ProgramBuilder, { first }: IdRange): void {
  builder.label('make files as root of the user namespace');
  builder.op('prctl', [flags(PR, 'PR_SET_SECUREBITS'), flags(SECBIT, 'SECBIT_NO_SETUID_FIXUP'), 0, 0, 0]);
  builder.op('setfsgid', [first]);
  builder.op('setfsuid', [first]);
}

/** Undoes the former, for what another program is to make. */
export function compileHostAgain(builder: ProgramBuilder): void {
  builder.label('make files as root of the host');
  builder.op('setfsuid', [0]);
  builder.op('setfsgid', [0]);
  builder.op('prctl', [flags(PR, 'PR_SET_SECUREBITS'), 0, 0, 0, 0]);
}

/** On a detached mount: what it shows as id N is N of the namespace, and so on disk. EINVAL where the file system cannot. */
export function shiftIds(builder: ProgramBuilder, tree: ProgramArgument, what: string): void {
  const attr = Buffer.alloc(32); // struct mount_attr: attr_set, attr_clr, propagation, userns_fd
  attr.writeBigUInt64LE(BigInt(MOUNT_ATTR_IDMAP), 0);
  attr.writeBigUInt64LE(BigInt(userFd), 24);
  builder.label(`shift the ids of ${what} (its file system must take idmapped mounts)`);
  builder.op('mount_setattr', [
    tree,
    text(''),
    flags(TREE, 'AT_EMPTY_PATH'),
    bytes(attr, 'MOUNT_ATTR_IDMAP'),
    32,
  ]);
}

/** A directory of the host, of which layers are, covered by itself with shifted ids. */
export function shiftDirectory(builder: ProgramBuilder, directory: string, save: number): void {
  builder.label(`cover ${directory} by itself`);
  const tree = flags(TREE, 'OPEN_TREE_CLONE', 'OPEN_TREE_CLOEXEC');
  builder.op('open_tree', [AT_FDCWD, text(directory), tree], { save });
  shiftIds(builder, register(save), directory);
  const place = [AT_FDCWD, text(directory), flags(MOVE, 'MOVE_MOUNT_F_EMPTY_PATH')];
  builder.op('move_mount', [register(save), text(''), ...place]);
}

/** Closes all but the report and the user namespace, which is entered next. */
export function closeAllButUser(builder: ProgramBuilder, from: number): void {
  builder.op('close_range', [from, userFd - 1, 0]);
  builder.op('close_range', [userFd + 1, number(0xffff_ffff, '~0'), 0]);
}

/**
 * After all that only root of the host may: limits, descriptors. With `mounts`, in a mount namespace of the user namespace's, in which
 * what was mounted so far is locked; an exec joins that one.
 */
export function compileEnterUser(builder: ProgramBuilder, how: { readonly mounts: boolean }): void {
  builder.label('enter the user namespace');
  builder.op('setns', [userFd, flags(CLONE, 'CLONE_NEWUSER')]);
  if (how.mounts) builder.op('unshare', [flags(CLONE, 'CLONE_NEWNS')]);
  builder.op('close', [userFd]);
  // Until now it has ids that the namespace does not know. Of its root the kernel takes rights away when it becomes another user.
  builder.op('setresgid', [0, 0, 0]);
  builder.op('setresuid', [0, 0, 0]);
}
