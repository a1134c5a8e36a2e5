/** Programs of bpf(2): load, find, ask. */
import { Buffer } from 'node:buffer';
import { kernelError } from '#native/sys/errno.ts';
import { OwnedFd } from '#native/sys/fd.ts';
import { addressOf } from '#native/sys/libc.ts';
import { attributesOf, BPF, call, nameBytes, type Field } from './call.linux.ts';
import { encodeInstructions } from './instruction.ts';
import type { Instruction } from './instruction.ts';

/** enum bpf_prog_type */
export const BPF_PROG_TYPE_SCHED_CLS = 3;
export const BPF_PROG_TYPE_CGROUP_DEVICE = 15;
export const BPF_PROG_TYPE_CGROUP_SOCK_ADDR = 18;

const EPERM = 1;
const ENOENT = 2;
const EAGAIN = 11;
const ENOSPC = 28;

const license = Buffer.from('Apache-2.0\0');
/** A signal that is on its way ends the verifier with EAGAIN (kernel/bpf/verifier.c); libbpf asks as often. */
const attemptsMax = 5;
/** What the verifier says of a program that it refuses grows until it fits. */
const logBytes: readonly number[] = [0, 65_536, 1_048_576, 16_777_216];

export interface LoadOptions {
  /** Descriptors of the maps that the program names. */
  readonly maps?: Readonly<Record<string, number>>;
  /** By which it is known to be ours; at most 15 bytes. */
  readonly name?: string;
  /** enum bpf_attach_type, of programs whose context depends on it. */
  readonly attachType?: number;
}

/** BPF_PROG_LOAD: without a log, and where it is refused again with one, which is in the error. @throws E_KERNEL, E_PERMISSION, E_UNSUPPORTED */
export function loadProgram(
  type: number,
  program: readonly Instruction[],
  { maps = {}, name = '', attachType = 0 }: LoadOptions = {},
): OwnedFd {
  const instructions = encodeInstructions(program, maps);
  const own: readonly Field[] = [
    [0, type],
    [4, instructions.length / 8],
    [8, addressOf(instructions)],
    [16, addressOf(license)],
    [48, nameBytes(name)],
    [68, attachType],
  ];
  const what = `load program ${name === '' ? '' : `${name} `}of ${program.length} instructions`;
  let errno = 0;
  for (const size of logBytes) {
    const log = Buffer.alloc(size);
    const logged: readonly Field[] =
      size === 0
        ? []
        : [
            [24, 1],
            [28, size],
            [32, addressOf(log)],
          ];
    const result = loadOnce(attributesOf(...own, ...logged));
    if (result >= 0) return new OwnedFd(result);
    // Refused for its rights, or with a whole log: there is nothing more to learn.
    if (size > 0 && -result === ENOSPC) continue;
    errno = -result;
    if (size > 0 || errno === EPERM) throw kernelError(what, errno, { why: textOf(log) });
  }
  throw kernelError(what, errno);
}

/** @returns the descriptor, or -errno */
function loadOnce(attributes: Buffer): number {
  for (let attempt = 1; ; attempt++) {
    const result = call(BPF.PROG_LOAD, attributes);
    if (result !== -EAGAIN || attempt === attemptsMax) return result;
  }
}

function textOf(bytes: Buffer): string {
  const end = bytes.indexOf(0);
  return bytes.toString('latin1', 0, end < 0 ? bytes.length : end).trim();
}

/** Undefined where it has just gone. */
export function openProgram(id: number): OwnedFd | undefined {
  return openById(BPF.PROG_GET_FD_BY_ID, id, 'program');
}

function openById(command: number, id: number, what: string): OwnedFd | undefined {
  const result = call(command, attributesOf([0, id]));
  if (result >= 0) return new OwnedFd(result);
  if (result === -ENOENT) return undefined;
  throw kernelError(`open ${what} ${id}`, -result);
}

export interface ProgramInfo {
  readonly name: string;
  readonly mapIds: readonly number[];
}

const mapIdsMax = 64; // MAX_USED_MAPS

/** struct bpf_prog_info (linux/bpf.h) as far as it is read here. */
const infoBytes = 256;

export function programInfo(program: OwnedFd): ProgramInfo {
  const info = Buffer.alloc(infoBytes);
  const ids = Buffer.alloc(mapIdsMax * 4);
  info.writeUInt32LE(mapIdsMax, 52);
  info.writeBigUInt64LE(addressOf(ids), 56);
  ask(program, info, 'program');
  const count = Math.min(info.readUInt32LE(52), mapIdsMax);
  return {
    name: textOf(info.subarray(64, 80)),
    mapIds: Array.from({ length: count }, (_, index) => ids.readUInt32LE(index * 4)),
  };
}

function ask(object: OwnedFd, info: Buffer, what: string): void {
  const result = call(
    BPF.OBJ_GET_INFO_BY_FD,
    attributesOf([0, object.fd], [4, info.length], [8, addressOf(info)]),
  );
  if (result < 0) throw kernelError(`ask what a ${what} is`, -result);
}

/** The map of that name among those of a program. */
export function findMap({ mapIds }: ProgramInfo, name: string): OwnedFd | undefined {
  for (const id of mapIds) {
    const map = openById(BPF.MAP_GET_FD_BY_ID, id, 'map');
    if (map === undefined) continue;
    const info = Buffer.alloc(infoBytes);
    ask(map, info, 'map');
    if (textOf(info.subarray(24, 40)) === name) return map;
    map[Symbol.dispose]();
  }
  return undefined;
}
