/** bpf(2): its attributes are those of union bpf_attr (linux/bpf.h). */
import { Buffer } from 'node:buffer';
import { bpf, lastErrno } from '#native/sys/libc.ts';

const SYS_bpf = process.arch === 'arm64' ? 280 : 321; // asm-generic/unistd.h, asm/unistd_64.h

/** enum bpf_cmd */
export const BPF = {
  MAP_CREATE: 0,
  MAP_LOOKUP_ELEM: 1,
  MAP_UPDATE_ELEM: 2,
  MAP_DELETE_ELEM: 3,
  PROG_LOAD: 5,
  PROG_ATTACH: 8,
  PROG_DETACH: 9,
  PROG_GET_FD_BY_ID: 13,
  MAP_GET_FD_BY_ID: 14,
  OBJ_GET_INFO_BY_FD: 15,
  PROG_QUERY: 16,
  BTF_LOAD: 18,
  MAP_UPDATE_BATCH: 26,
} as const;

/**
 * More than any kernel has, and 0 where it has less: kernels from 6.17 on write to fields of a query that are beyond what the caller
 * says that it passes.
 */
const attributeBytes = 512;

export type Field = readonly [offset: number, value: number | bigint | Buffer];

/** Names (BPF_OBJ_NAME_LEN, 16 with the 0 at the end) are given as bytes, everything else as a number of 32 or 64 bits. */
export function attributesOf(...fields: readonly Field[]): Buffer {
  const attributes = Buffer.alloc(attributeBytes);
  for (const [offset, value] of fields) {
    if (typeof value === 'bigint') attributes.writeBigUInt64LE(value, offset);
    else if (typeof value === 'number') attributes.writeUInt32LE(value, offset);
    else value.copy(attributes, offset);
  }
  return attributes;
}

/** The result, or minus the errno. */
export function call(command: number, attributes: Buffer): number {
  const result = bpf(SYS_bpf, command, attributes, attributes.length);
  return result < 0 ? -lastErrno() : result;
}

/** Of programs and maps: at most 15 letters, digits, underscores and points. */
export const nameBytes = (name: string): Buffer => Buffer.from(name, 'latin1').subarray(0, 15);
