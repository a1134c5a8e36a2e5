/** Classic BPF over struct seccomp_data (linux/filter.h, linux/seccomp.h), put together of blocks. Pure. */
import { PodwrightError } from '#base/errors.ts';

export interface Instruction {
  readonly code: number;
  readonly jt: number;
  readonly jf: number;
  readonly k: number;
}

export const BPF = {
  LD_W_ABS: 0x20,
  JA: 0x05,
  JEQ_K: 0x15,
  JGT_K: 0x25,
  JGE_K: 0x35,
  AND_K: 0x54,
  RET_K: 0x06,
} as const;

/** Offsets in struct seccomp_data of little-endian machines; an argument is a low and a high word. */
export const DATA = { NUMBER: 0, ARCHITECTURE: 4 } as const;
export const argumentOffset = (index: number): number => 16 + index * 8;

/** BPF_MAXINSNS */
export const instructionsMax = 4096;
/** A conditional jump passes over so many. */
const jumpMax = 255;

/** Goes on with what follows where the accumulator compares so, and else passes over `body`, which is next. */
export function onlyIf(code: number, k: number, body: readonly Instruction[]): readonly Instruction[] {
  if (body.length <= jumpMax) return [{ code, jt: 0, jf: body.length, k }, ...body];
  return [{ code, jt: 1, jf: 0, k }, { code: BPF.JA, jt: 0, jf: 0, k: body.length }, ...body];
}

export function load(offset: number): Instruction {
  return { code: BPF.LD_W_ABS, jt: 0, jf: 0, k: offset };
}

export function give(value: number): Instruction {
  return { code: BPF.RET_K, jt: 0, jf: 0, k: value };
}

/** @throws {E_LIMIT} where the kernel takes no program that long */
export function encodeFilter(code: readonly Instruction[]): Buffer {
  if (code.length > instructionsMax)
    throw new PodwrightError(
      'E_LIMIT',
      `a filter of ${code.length} instructions, at most ${instructionsMax}`,
    );
  const result = Buffer.alloc(code.length * 8);
  code.forEach(({ code: operation, jt, jf, k }, index) => {
    result.writeUInt16LE(operation, index * 8);
    result.writeUInt8(jt, index * 8 + 2);
    result.writeUInt8(jf, index * 8 + 3);
    result.writeUInt32LE(k >>> 0, index * 8 + 4);
  });
  return result;
}
