/** Where programs run: cgroups (BPF_F_ALLOW_MULTI) and interfaces (tcx, since 6.6). They stay when whoever attached them ends. */
import { Buffer } from 'node:buffer';
import { kernelError } from '#native/sys/errno.ts';
import type { OwnedFd } from '#native/sys/fd.ts';
import { addressOf } from '#native/sys/libc.ts';
import { attributesOf, BPF, call, type Field } from './call.linux.ts';
import { openProgram, programInfo } from './load.linux.ts';

const BPF_F_ALLOW_MULTI = 2;
const BPF_F_REPLACE = 4; // since 5.6

/** enum bpf_attach_type */
export const BPF_CGROUP_DEVICE = 6;
export const BPF_CGROUP_INET4_CONNECT = 10;
export const BPF_CGROUP_INET6_CONNECT = 11;
export const BPF_CGROUP_UDP4_SENDMSG = 14;
export const BPF_CGROUP_UDP6_SENDMSG = 15;
export const BPF_CGROUP_UDP4_RECVMSG = 19; // since 5.2, as the next
export const BPF_CGROUP_UDP6_RECVMSG = 20;
export const BPF_CGROUP_INET4_GETPEERNAME = 29; // since 5.8, as the next
export const BPF_CGROUP_INET6_GETPEERNAME = 30;
export const BPF_TCX_INGRESS = 46;

const ENOENT = 2;
const EINVAL = 22;

/** The kernel's own limit (cgroup.c: programs of one type in one cgroup; bpf_mprog.h has the same). */
const programsMax = 64;

/** A place for programs: a cgroup by its directory, an interface by its index in this thread's network namespace. */
export interface AttachPlace {
  readonly target: number; // descriptor or ifindex
  readonly type: number;
  readonly flags: number;
  readonly words: string;
}

export const cgroupPlace = ({ fd }: OwnedFd, type: number): AttachPlace => ({
  ...{ target: fd, type, flags: BPF_F_ALLOW_MULTI, words: 'a cgroup' },
});

export const interfacePlace = (ifindex: number): AttachPlace => ({
  ...{ target: ifindex, type: BPF_TCX_INGRESS, flags: 0, words: `interface ${ifindex}` },
});

/** The ids of the programs at a place. @throws E_KERNEL, E_PERMISSION, E_NOT_FOUND where the interface is gone */
export function programsOf({ target, type, words }: AttachPlace): readonly number[] {
  const ids = Buffer.alloc(programsMax * 4);
  const attributes = attributesOf([0, target], [4, type], [16, addressOf(ids)], [24, programsMax]);
  const result = call(BPF.PROG_QUERY, attributes);
  if (result === -ENOENT) return []; // An interface that never had any.
  if (result < 0) throw kernelError(`ask for the programs of ${words}`, -result);
  const count = attributes.readUInt32LE(24);
  return Array.from({ length: Math.min(count, programsMax) }, (_, index) => ids.readUInt32LE(index * 4));
}

/**
 * The program becomes the only one of its type at the place, or of those that bear its name. What was there is replaced in one step (before
 * 5.6 added to, then taken away: for that moment both hold), so that nothing is ever open that neither allows.
 * @throws E_KERNEL, E_PERMISSION
 */
export function attachOnly(place: AttachPlace, program: OwnedFd, name?: string): void {
  using stack = new DisposableStack();

  const [first, ...rest] = ownedBy(place, stack, name);
  const { target, type, flags, words } = place;
  const fields: readonly Field[] = [
    [0, target],
    [4, program.fd],
    [8, type],
  ];
  let isReplaced = false;
  if (first !== undefined) {
    const result = call(
      BPF.PROG_ATTACH,
      attributesOf(...fields, [12, flags | BPF_F_REPLACE], [16, first.fd]),
    );
    if (result < 0 && result !== -EINVAL) throw kernelError(`replace the program of ${words}`, -result);
    isReplaced = result >= 0;
  }
  if (!isReplaced) {
    const result = call(BPF.PROG_ATTACH, attributesOf(...fields, [12, flags]));
    if (result < 0) throw kernelError(`attach a program to ${words}`, -result);
  }
  for (const old of isReplaced || first === undefined ? rest : [first, ...rest]) detach(place, old);
}

/** Programs of other names stay. @throws E_KERNEL, E_PERMISSION */
export function detachNamed(place: AttachPlace, name: string): void {
  using stack = new DisposableStack();

  for (const program of ownedBy(place, stack, name)) detach(place, program);
}

/** Programs at the place, of that name where one is said; closed with the stack. */
export function ownedBy(place: AttachPlace, stack: DisposableStack, name?: string): readonly OwnedFd[] {
  return programsOf(place)
    .flatMap((id) => openProgram(id) ?? [])
    .map((program) => stack.use(program))
    .filter((program) => name === undefined || programInfo(program).name === name);
}

function detach({ target, type, words }: AttachPlace, { fd }: OwnedFd): void {
  const result = call(BPF.PROG_DETACH, attributesOf([0, target], [4, fd], [8, type]));
  if (result < 0 && result !== -ENOENT) throw kernelError(`detach a program from ${words}`, -result);
}
