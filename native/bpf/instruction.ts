/** eBPF instructions, as far as our programs need them: as values, as the kernel has them, and as text. Pure. */
import { Buffer } from 'node:buffer';
import { PodwrightError } from '#base/errors.ts';

/** r0 is the result, r1 the context when a program begins, r1 to r5 are lost by a call, r10 the frame (read only). */
export type Register = 0 | 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9 | 10;

export type Width = 1 | 2 | 4 | 8;

/** Arithmetic with a value or a register: of 32 bits, the upper half is cleared; the last two of 64, for addresses. */
export type Arithmetic = 'set' | 'and' | 'shiftRight' | 'modulo' | 'move' | 'add';

export type Test = '==' | '!=' | '>' | '&';

/** Functions of the kernel (enum bpf_func_id), none of which asks for a GPL license. */
export const helpers = {
  map_lookup_elem: 1,
  map_update_elem: 2,
  map_delete_elem: 3,
  get_prandom_u32: 7,
  skb_store_bytes: 9,
  skb_change_type: 32,
  sk_storage_get: 107,
  redirect_neigh: 152,
  redirect_peer: 155,
} as const;

export type Helper = keyof typeof helpers;

/** Jumps count slots from the next instruction on, and go forward only. */
export type Instruction =
  /** to = *(u32 *)(from + offset); other widths where they are said */
  | {
      readonly op: 'load';
      readonly to: Register;
      readonly from: Register;
      readonly offset: number;
      readonly width?: Width;
    }
  /** *(width *)(to + offset) = from, a register or a value */
  | {
      readonly op: 'store';
      readonly to: Register;
      readonly offset: number;
      readonly from: Register;
      readonly width: Width;
    }
  | {
      readonly op: 'storeValue';
      readonly to: Register;
      readonly offset: number;
      readonly value: number;
      readonly width: Width;
    }
  | { readonly op: 'set' | 'and' | 'shiftRight' | 'add'; readonly to: Register; readonly value: number }
  | { readonly op: 'move' | 'modulo'; readonly to: Register; readonly from: Register }
  /** Of two slots: to = the map of that name */
  | { readonly op: 'loadMap'; readonly to: Register; readonly map: string }
  | { readonly op: 'call'; readonly helper: Helper }
  | {
      readonly op: 'jumpUnlessEqual';
      readonly register: Register;
      readonly value: number;
      readonly by: number;
    }
  | {
      readonly op: 'jumpIf';
      readonly register: Register;
      readonly test: Test;
      /** Of 64 bits; a value is extended by its sign. */
      readonly operand: { readonly value: number } | { readonly register: Register };
      readonly by: number;
    }
  | { readonly op: 'jump'; readonly by: number }
  | { readonly op: 'exit' };

export const instructionBytes = 8;

/** Slots that an instruction takes. */
export function slotsOf({ op }: { readonly op: string }): number {
  return op === 'loadMap' ? 2 : 1;
}

/** linux/bpf.h and linux/bpf_common.h: class, then operation and source. */
const code = {
  load: 0x61, // BPF_LDX | BPF_MEM | BPF_W
  store: 0x63, // BPF_STX | BPF_MEM | BPF_W
  storeValue: 0x62, // BPF_ST | BPF_MEM | BPF_W
  set: 0xb4, // BPF_ALU | BPF_MOV | BPF_K
  and: 0x54, // BPF_ALU | BPF_AND | BPF_K
  shiftRight: 0x74, // BPF_ALU | BPF_RSH | BPF_K
  modulo: 0x9c, // BPF_ALU | BPF_MOD | BPF_X
  move: 0xbf, // BPF_ALU64 | BPF_MOV | BPF_X
  add: 0x07, // BPF_ALU64 | BPF_ADD | BPF_K
  loadMap: 0x18, // BPF_LD | BPF_IMM | BPF_DW
  call: 0x85, // BPF_JMP | BPF_CALL
  jumpUnlessEqual: 0x55, // BPF_JMP | BPF_JNE | BPF_K: the value is extended by its sign to 64 bits
  jumpIf: 0x05, // BPF_JMP; operation and source are added
  jump: 0x05, // BPF_JMP | BPF_JA
  exit: 0x95, // BPF_JMP | BPF_EXIT
} as const;

const widthBits: Readonly<Record<Width, number>> = { 4: 0x00, 2: 0x08, 1: 0x10, 8: 0x18 }; // BPF_W, H, B, DW
const testBits: Readonly<Record<Test, number>> = { '==': 0x10, '>': 0x20, '&': 0x40, '!=': 0x50 };
const BPF_X = 0x08;
const BPF_PSEUDO_MAP_FD = 1;

/** An array of struct bpf_insn, in the processor's (little-endian) order; maps by their descriptors. */
export function encodeInstructions(
  program: readonly Instruction[],
  maps: Readonly<Record<string, number>> = {},
): Buffer {
  const slots = program.reduce((sum, each) => sum + slotsOf(each), 0);
  const bytes = Buffer.alloc(slots * instructionBytes);
  let at = 0;
  for (const instruction of program) {
    const { opcode, target, source, offset, value } = fieldsOf(instruction, maps);
    bytes.writeUInt8(opcode, at);
    bytes.writeUInt8(target | (source << 4), at + 1);
    bytes.writeInt16LE(offset, at + 2);
    bytes.writeInt32LE(value | 0, at + 4);
    at += slotsOf(instruction) * instructionBytes; // The second slot of a map stays 0.
  }
  return bytes;
}

interface Fields {
  readonly opcode: number;
  readonly target: number;
  readonly source: number;
  readonly offset: number;
  readonly value: number;
}

function fieldsOf(instruction: Instruction, maps: Readonly<Record<string, number>>): Fields {
  const none = { opcode: code[instruction.op], target: 0, source: 0, offset: 0, value: 0 };
  switch (instruction.op) {
    case 'load': {
      const { to, from, offset, width = 4 } = instruction;
      return { ...none, opcode: none.opcode | widthBits[width], target: to, source: from, offset };
    }
    case 'store': {
      const { to, from, offset, width } = instruction;
      return { ...none, opcode: none.opcode | widthBits[width], target: to, source: from, offset };
    }
    case 'storeValue': {
      const { to, value, offset, width } = instruction;
      return { ...none, opcode: none.opcode | widthBits[width], target: to, value, offset };
    }
    case 'set':
    case 'and':
    case 'shiftRight':
    case 'add':
      return { ...none, target: instruction.to, value: instruction.value };
    case 'move':
    case 'modulo':
      return { ...none, target: instruction.to, source: instruction.from };
    case 'loadMap': {
      const value = maps[instruction.map];
      if (value === undefined)
        throw new PodwrightError('E_INTERNAL', `encode program: no map ${instruction.map}`);
      return { ...none, target: instruction.to, source: BPF_PSEUDO_MAP_FD, value };
    }
    case 'call':
      return { ...none, value: helpers[instruction.helper] };
    case 'jumpUnlessEqual':
      return { ...none, target: instruction.register, offset: instruction.by, value: instruction.value };
    case 'jumpIf':
      return { ...none, ...jumpFields(instruction) };
    case 'jump':
      return { ...none, offset: instruction.by };
    case 'exit':
      return none;
  }
}

function jumpFields({
  register,
  test,
  operand,
  by,
}: Extract<Instruction, { op: 'jumpIf' }>): Partial<Fields> {
  const opcode = code.jumpIf | testBits[test];
  const fields = { opcode, target: register, offset: by };
  return 'value' in operand
    ? { ...fields, value: operand.value }
    : { ...fields, opcode: opcode | BPF_X, source: operand.register };
}

/** One instruction a line, with the number of its slot, so that jumps can be followed. */
export function renderInstructions(program: readonly Instruction[]): string {
  let slot = 0;
  return program
    .map((instruction) => {
      const line = `${String(slot).padStart(3)} ${renderInstruction(instruction, slot)}\n`;
      slot += slotsOf(instruction);
      return line;
    })
    .join('');
}

const at = (register: Register, offset: number, width: Width): string =>
  `*(u${width * 8} *)(r${register} ${offset < 0 ? '-' : '+'} ${Math.abs(offset)})`;

const hex = (value: number): string => `0x${(value >>> 0).toString(16)}`;

function renderInstruction(instruction: Instruction, slot: number): string {
  switch (instruction.op) {
    case 'load':
      return `r${instruction.to} = ${at(instruction.from, instruction.offset, instruction.width ?? 4)}`;
    case 'store':
      return `${at(instruction.to, instruction.offset, instruction.width)} = r${instruction.from}`;
    case 'storeValue':
      return `${at(instruction.to, instruction.offset, instruction.width)} = ${hex(instruction.value)}`;
    case 'set':
      return `w${instruction.to} = ${instruction.value}`;
    case 'and':
      return `w${instruction.to} &= ${hex(instruction.value)}`;
    case 'shiftRight':
      return `w${instruction.to} >>= ${instruction.value}`;
    case 'add':
      return `r${instruction.to} += ${instruction.value}`;
    case 'move':
      return `r${instruction.to} = r${instruction.from}`;
    case 'modulo':
      return `w${instruction.to} %= w${instruction.from}`;
    case 'loadMap':
      return `r${instruction.to} = map ${instruction.map}`;
    case 'call':
      return `call ${instruction.helper}`;
    case 'jumpUnlessEqual':
      return `if r${instruction.register} != ${instruction.value} goto ${slot + 1 + instruction.by}`;
    case 'jumpIf': {
      const { operand, register, test, by } = instruction;
      const right =
        'register' in operand
          ? `r${operand.register}`
          : test === '&'
            ? hex(operand.value)
            : String(operand.value);
      return `if r${register} ${test} ${right} goto ${slot + 1 + by}`;
    }
    case 'jump':
      return `goto ${slot + 1 + instruction.by}`;
    case 'exit':
      return 'exit';
  }
}
