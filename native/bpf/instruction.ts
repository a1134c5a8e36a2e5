/** eBPF instructions, as far as our programs need them: as values, as the kernel has them, and as text. Pure. */
import { Buffer } from 'node:buffer';

/** r0 is the result, r1 the context when a program begins, r10 the frame. */
export type Register = 0 | 1 | 2 | 3 | 4 | 5;

/** Jumps count instructions from the next one on, and go forward only. Arithmetic is of 32 bits and clears the upper half. */
export type Instruction =
  /** to = *(u32 *)(from + offset) */
  | { readonly op: 'load'; readonly to: Register; readonly from: Register; readonly offset: number }
  | { readonly op: 'set' | 'and' | 'shiftRight'; readonly to: Register; readonly value: number }
  | {
      readonly op: 'jumpUnlessEqual';
      readonly register: Register;
      readonly value: number;
      readonly by: number;
    }
  | { readonly op: 'jump'; readonly by: number }
  | { readonly op: 'exit' };

export const instructionBytes = 8;

/** linux/bpf.h and linux/bpf_common.h: class, then operation and source. */
const code = {
  load: 0x61, // BPF_LDX | BPF_MEM | BPF_W
  set: 0xb4, // BPF_ALU | BPF_MOV | BPF_K
  and: 0x54, // BPF_ALU | BPF_AND | BPF_K
  shiftRight: 0x74, // BPF_ALU | BPF_RSH | BPF_K
  jumpUnlessEqual: 0x55, // BPF_JMP | BPF_JNE | BPF_K: the value is extended by its sign to 64 bits
  jump: 0x05, // BPF_JMP | BPF_JA
  exit: 0x95, // BPF_JMP | BPF_EXIT
} as const;

/** An array of struct bpf_insn, in the processor's (little-endian) order. */
export function encodeInstructions(program: readonly Instruction[]): Buffer {
  const bytes = Buffer.alloc(program.length * instructionBytes);
  program.forEach((instruction, index) => {
    const at = index * instructionBytes;
    const { target, source, offset, value } = fieldsOf(instruction);
    bytes.writeUInt8(code[instruction.op], at);
    bytes.writeUInt8(target | (source << 4), at + 1);
    bytes.writeInt16LE(offset, at + 2);
    bytes.writeInt32LE(value | 0, at + 4);
  });
  return bytes;
}

interface Fields {
  readonly target: number;
  readonly source: number;
  readonly offset: number;
  readonly value: number;
}

function fieldsOf(instruction: Instruction): Fields {
  const none = { target: 0, source: 0, offset: 0, value: 0 };
  switch (instruction.op) {
    case 'load':
      return { ...none, target: instruction.to, source: instruction.from, offset: instruction.offset };
    case 'set':
    case 'and':
    case 'shiftRight':
      return { ...none, target: instruction.to, value: instruction.value };
    case 'jumpUnlessEqual':
      return { ...none, target: instruction.register, offset: instruction.by, value: instruction.value };
    case 'jump':
      return { ...none, offset: instruction.by };
    case 'exit':
      return none;
  }
}

/** One instruction a line, with its number, so that jumps can be followed. */
export function renderInstructions(program: readonly Instruction[]): string {
  return program
    .map((instruction, index) => `${String(index).padStart(3)} ${renderInstruction(instruction, index)}\n`)
    .join('');
}

function renderInstruction(instruction: Instruction, index: number): string {
  switch (instruction.op) {
    case 'load':
      return `r${instruction.to} = *(u32 *)(r${instruction.from} + ${instruction.offset})`;
    case 'set':
      return `w${instruction.to} = ${instruction.value}`;
    case 'and':
      return `w${instruction.to} &= 0x${(instruction.value >>> 0).toString(16)}`;
    case 'shiftRight':
      return `w${instruction.to} >>= ${instruction.value}`;
    case 'jumpUnlessEqual':
      return `if r${instruction.register} != ${instruction.value} goto ${index + 1 + instruction.by}`;
    case 'jump':
      return `goto ${index + 1 + instruction.by}`;
    case 'exit':
      return 'exit';
  }
}
