/** bpf(2) for programs of cgroups: load, attach, replace, ask. Attributes are those of union bpf_attr (linux/bpf.h). */
import { Buffer } from 'node:buffer';
import { kernelError } from '#native/sys/errno.ts';
import { OwnedFd } from '#native/sys/fd.ts';
import { addressOf, bpf, lastErrno } from '#native/sys/libc.ts';
import { encodeInstructions } from './instruction.ts';
import type { Instruction } from './instruction.ts';

const SYS_bpf = process.arch === 'arm64' ? 280 : 321; // asm-generic/unistd.h, asm/unistd_64.h

const BPF_PROG_LOAD = 5;
const BPF_PROG_ATTACH = 8;
const BPF_PROG_DETACH = 9;
const BPF_PROG_GET_FD_BY_ID = 13;
const BPF_PROG_QUERY = 16;
const BPF_F_ALLOW_MULTI = 2;
const BPF_F_REPLACE = 4; // since 5.6
export const BPF_PROG_TYPE_CGROUP_DEVICE = 15;
export const BPF_CGROUP_DEVICE = 6;

const EPERM = 1;
const ENOENT = 2;
const EINVAL = 22;
const ENOSPC = 28;

/**
 * More than any kernel has, and 0 where it has less: kernels from 6.17 on write to fields of a query that are beyond what the caller
 * says that it passes.
 */
const attributeBytes = 512;

/** The kernel's own limit (BPF_MAX_SUBPROGS aside, cgroup.c: programs of one type in one cgroup). */
const programsMax = 64;

type Field = readonly [offset: number, value: number | bigint];

function attributesOf(...fields: readonly Field[]): Buffer {
  const attributes = Buffer.alloc(attributeBytes);
  for (const [offset, value] of fields) {
    if (typeof value === 'bigint') attributes.writeBigUInt64LE(value, offset);
    else attributes.writeUInt32LE(value, offset);
  }
  return attributes;
}

/** The result, or minus the errno. */
function call(command: number, attributes: Buffer): number {
  const result = bpf(SYS_bpf, command, attributes, attributes.length);
  return result < 0 ? -lastErrno() : result;
}

const license = Buffer.from('Apache-2.0\0');
/** What the verifier says of a program that it refuses grows until it fits. */
const logBytes: readonly number[] = [0, 65_536, 1_048_576, 16_777_216];

/** BPF_PROG_LOAD: without a log, and where it is refused again with one, which is in the error. @throws E_KERNEL, E_PERMISSION, E_UNSUPPORTED */
export function loadProgram(type: number, program: readonly Instruction[]): OwnedFd {
  const instructions = encodeInstructions(program);
  let errno = 0;
  for (const size of logBytes) {
    const log = Buffer.alloc(size);
    const pointers: readonly Field[] = [
      [8, addressOf(instructions)],
      [16, addressOf(license)],
    ];
    const logged: readonly Field[] =
      size === 0
        ? []
        : [
            [24, 1],
            [28, size],
            [32, addressOf(log)],
          ];
    const result = call(BPF_PROG_LOAD, attributesOf([0, type], [4, program.length], ...pointers, ...logged));
    if (result >= 0) return new OwnedFd(result);
    // Refused for its rights, or with a whole log: there is nothing more to learn.
    if (size > 0 && -result === ENOSPC) continue;
    errno = -result;
    if (size > 0 || errno === EPERM) {
      throw kernelError(`load program of ${program.length} instructions`, errno, { why: textOf(log) });
    }
  }
  throw kernelError(`load program of ${program.length} instructions`, errno);
}

function textOf(log: Buffer): string {
  const end = log.indexOf(0);
  return log.toString('latin1', 0, end < 0 ? log.length : end).trim();
}

/** The ids of the programs of one type that a cgroup itself has. @throws E_KERNEL, E_PERMISSION */
export function programsOf(cgroup: OwnedFd, type: number): readonly number[] {
  const ids = Buffer.alloc(programsMax * 4);
  const attributes = attributesOf([0, cgroup.fd], [4, type], [16, addressOf(ids)], [24, programsMax]);
  const result = call(BPF_PROG_QUERY, attributes);
  if (result < 0) throw kernelError('ask for the programs of a cgroup', -result);
  const count = attributes.readUInt32LE(24);
  return Array.from({ length: Math.min(count, programsMax) }, (_, index) => ids.readUInt32LE(index * 4));
}

/** Undefined where it has just gone. */
function openProgram(id: number): OwnedFd | undefined {
  const result = call(BPF_PROG_GET_FD_BY_ID, attributesOf([0, id]));
  if (result >= 0) return new OwnedFd(result);
  if (result === -ENOENT) return undefined;
  throw kernelError(`open program ${id}`, -result);
}

/**
 * The program becomes the only one of its type in the cgroup. What was there is replaced in one step (before 5.6 added to, then taken
 * away: for that moment both hold), so that nothing is ever open that neither allows.
 * @throws E_KERNEL, E_PERMISSION
 */
export function attachOnly(cgroup: OwnedFd, type: number, program: OwnedFd): void {
  const [first, ...rest] = programsOf(cgroup, type).flatMap((id) => openProgram(id) ?? []);
  using stack = new DisposableStack();

  for (const old of [first, ...rest]) if (old !== undefined) stack.use(old);
  const target: readonly Field[] = [
    [0, cgroup.fd],
    [4, program.fd],
    [8, type],
  ];
  let isReplaced = false;
  if (first !== undefined) {
    const flags = BPF_F_ALLOW_MULTI | BPF_F_REPLACE;
    const result = call(BPF_PROG_ATTACH, attributesOf(...target, [12, flags], [16, first.fd]));
    if (result < 0 && result !== -EINVAL) throw kernelError('replace the program of a cgroup', -result);
    isReplaced = result >= 0;
  }
  if (!isReplaced) {
    const result = call(BPF_PROG_ATTACH, attributesOf(...target, [12, BPF_F_ALLOW_MULTI]));
    if (result < 0) throw kernelError('attach a program to a cgroup', -result);
  }
  for (const old of isReplaced ? rest : [first, ...rest]) {
    if (old === undefined) continue;
    const result = call(BPF_PROG_DETACH, attributesOf([0, cgroup.fd], [4, old.fd], [8, type]));
    if (result < 0 && result !== -ENOENT) throw kernelError('detach a program from a cgroup', -result);
  }
}
