/**
 * A syscall program: what a child does between clone and execve, as a value. The supervisor interprets it (supervisor/program.c, which
 * has the layout in words); here it is built, encoded and rendered. Everything is pure.
 */
import { Buffer } from 'node:buffer';
import { constants } from 'node:os';
import { PodwrightError } from '#base/errors.ts';
import { syscallNumber } from './syscall-numbers.ts';
import type { Architecture } from './syscall-numbers.ts';

export const programVersion = 3;
const programMagic = 0x5053_5750; // PWSP
const opBytes = 64;
const headerBytes = 16;
const noRegister = 0xff;
/** Ops of one program at most (its header counts them in 16 bits). */
export const programOpsMax = 65_535;

/** What no single system call can do; interpreted by the supervisor. Numbers as in supervisor/program.h. */
const pseudoOps = {
  makePath: 0xff01,
  maskPath: 0xff02,
  writeFile: 0xff03,
  keepCaps: 0xff04,
  openTty: 0xff05,
  execvePath: 0xff06,
  makeMount: 0xff07,
  sealPath: 0xff08,
  dropBounding: 0xff09,
  fork: 0xff0a,
  takeProc: 0xff0b,
  enterPath: 0xff0c,
  openNull: 0xff0d,
  await: 0xff0e,
  findProgram: 0xff0f,
  run: 0xff10,
  takeTty: 0xff11,
  made: 0xff12,
} as const;

/** Bytes that an op points to; `pointers` are places in them that become addresses of other data. */
export interface ProgramData {
  readonly kind: 'data';
  readonly bytes: Buffer;
  readonly pointers: readonly { readonly at: number; readonly to: ProgramData }[];
  readonly text: string;
}

export type ProgramArgument =
  | { readonly kind: 'number'; readonly value: number | bigint; readonly text: string }
  | { readonly kind: 'register'; readonly register: number }
  | ProgramData;

export interface ProgramOp {
  readonly name: string;
  readonly arguments: readonly ProgramArgument[];
  /** Errno names that are no failure; at most three. */
  readonly tolerate: readonly string[];
  /** How many ops to pass over after a tolerated error. */
  readonly skip: number;
  /** Register (0 to 15) that gets the result. */
  readonly save: number | undefined;
  /** What this op is for, in words: `mount proc on /proc`. */
  readonly label: string;
}

export interface Program {
  readonly ops: readonly ProgramOp[];
}

export interface OpOptions {
  readonly tolerate?: readonly string[];
  readonly skip?: number;
  readonly save?: number;
}

export interface ProgramBuilder {
  /** What the ops that follow are for. */
  label(text: string): void;
  op(name: string, args: readonly (ProgramArgument | number)[], options?: OpOptions): void;
  build(): Program;
}

export function createProgramBuilder(): ProgramBuilder {
  const ops: ProgramOp[] = [];
  let label = '';
  return {
    label: (text) => void (label = text),
    op: (name, args, options = {}) => {
      const list = args.map((argument) => (typeof argument === 'number' ? number(argument) : argument));
      ops.push({
        name,
        arguments: list,
        tolerate: options.tolerate ?? [],
        skip: options.skip ?? 0,
        save: options.save,
        label,
      });
    },
    build: () => ({ ops }),
  };
}

/** A number, with what to print for it. */
export function number(value: number | bigint, text?: string): ProgramArgument {
  return { kind: 'number', value, text: text ?? String(value) };
}

/** The or of named flags: flags(MS, 'MS_REC', 'MS_SLAVE'). */
export function flags<T extends Readonly<Record<string, number>>>(
  table: T,
  ...names: readonly (keyof T & string)[]
): ProgramArgument {
  const value = names.reduce((sum, name) => sum + (table[name] ?? 0), 0);
  return number(value, names.length === 0 ? '0' : names.join('|'));
}

export function register(index: number): ProgramArgument {
  return { kind: 'register', register: index };
}

export function bytes(content: Buffer, text: string): ProgramData {
  return { kind: 'data', bytes: content, pointers: [], text };
}

/** A C string. @throws E_INVALID where the text holds a NUL, which would cut it short. */
export function text(value: string): ProgramData {
  if (value.includes('\0'))
    throw new PodwrightError('E_INVALID', `compile ${JSON.stringify(value)}: it holds a NUL`);
  return bytes(Buffer.from(`${value}\0`), JSON.stringify(value));
}

/** An array of C strings that ends with NULL, as argv and envp. */
export function texts(values: readonly string[]): ProgramData {
  return {
    kind: 'data',
    bytes: Buffer.alloc((values.length + 1) * 8),
    pointers: values.map((value, index) => ({ at: index * 8, to: text(value) })),
    text: JSON.stringify(values),
  };
}

/** C strings one after another, ended by an empty one. */
export function textList(values: readonly string[]): ProgramData {
  return bytes(
    Buffer.concat([...values.map((value) => text(value).bytes), Buffer.alloc(1)]),
    JSON.stringify(values),
  );
}

/** Text for `podwright plan` and golden tests: one op a line. */
export function renderProgram(program: Program): string {
  return program.ops.map((op, index) => `${String(index).padStart(3)} ${renderOp(op)}\n`).join('');
}

export function renderOp(op: ProgramOp): string {
  const call = `${op.name}(${op.arguments.map(renderArgument).join(', ')})`;
  const saved = op.save === undefined ? '' : ` -> r${op.save}`;
  const skip = op.skip === 0 ? '' : ` skip ${op.skip}`;
  const tolerated = op.tolerate.length === 0 ? '' : ` ?${op.tolerate.join('|')}${skip}`;
  return `${call}${saved}${tolerated}  # ${op.label}`;
}

function renderArgument(argument: ProgramArgument): string {
  return argument.kind === 'register' ? `r${argument.register}` : argument.text;
}

/** @throws E_LIMIT where the program is too long; E_INTERNAL where an op is not well formed. */
export function encodeProgram(program: Program, architecture: Architecture): Buffer {
  if (program.ops.length > programOpsMax) {
    throw new PodwrightError(
      'E_LIMIT',
      `encode program: ${program.ops.length} ops, at most ${programOpsMax}`,
    );
  }
  const layout = createDataLayout();
  const ops = Buffer.alloc(program.ops.length * opBytes);
  program.ops.forEach((op, index) => encodeOp(op, ops.subarray(index * opBytes), { layout, architecture }));
  const { data, relocations } = layout.finish();
  const header = Buffer.alloc(headerBytes);
  header.writeUInt32LE(programMagic, 0);
  header.writeUInt16LE(programVersion, 4);
  header.writeUInt16LE(program.ops.length, 6);
  header.writeUInt32LE(relocations.length, 8);
  header.writeUInt32LE(data.length, 12);
  const table = Buffer.alloc(Math.ceil(relocations.length / 2) * 8);
  relocations.forEach((at, index) => table.writeUInt32LE(at, index * 4));
  return Buffer.concat([header, ops, table, data]);
}

function encodeOp(
  op: ProgramOp,
  target: Buffer,
  context: { readonly layout: DataLayout; readonly architecture: Architecture },
): void {
  if (op.arguments.length > 6 || op.tolerate.length > 3 || op.skip > 255) {
    throw new PodwrightError('E_INTERNAL', `encode program: ${op.name} does not fit an op`);
  }
  target.writeUInt16LE(opNumber(op.name, context.architecture), 0);
  op.arguments.forEach((argument, index) => {
    const value = encodeArgument(argument, context.layout);
    target.writeUInt8(value.kind, 2 + index);
    writeNumber(target, value.value, 16 + index * 8);
  });
  op.tolerate.forEach((name, index) => target.writeUInt8(errnoNumber(name), 8 + index));
  target.writeUInt8(op.skip, 11);
  target.writeUInt8(op.save ?? noRegister, 12);
}

function encodeArgument(
  argument: ProgramArgument,
  layout: DataLayout,
): { readonly kind: number; readonly value: number | bigint } {
  switch (argument.kind) {
    case 'number':
      return { kind: 0, value: argument.value };
    case 'data':
      return { kind: 1, value: layout.place(argument) };
    case 'register':
      return { kind: 2, value: argument.register };
  }
}

/** A 64-bit number, negative or not; by halves, since most are small and BigInt is slow. */
function writeNumber(target: Buffer, value: number | bigint, at: number): void {
  if (typeof value === 'bigint') {
    target.writeBigInt64LE(BigInt.asIntN(64, value), at);
  } else {
    target.writeInt32LE(value | 0, at);
    target.writeInt32LE(Math.floor(value / 0x1_0000_0000), at + 4);
  }
}

function opNumber(name: string, architecture: Architecture): number {
  if (name in pseudoOps) return pseudoOps[name as keyof typeof pseudoOps];
  const nr = syscallNumber(name, architecture);
  if (nr === undefined)
    throw new PodwrightError('E_INTERNAL', `encode program: no system call ${name} on ${architecture}`);
  return nr;
}

function errnoNumber(name: string): number {
  const value: unknown = Reflect.get(constants.errno, name);
  if (typeof value !== 'number') throw new PodwrightError('E_INTERNAL', `encode program: no errno ${name}`);
  return value;
}

const zeros = Buffer.alloc(8);

interface DataLayout {
  /** Offset of the data; equal strings are kept once. */
  place(data: ProgramData): number;
  finish(): { readonly data: Buffer; readonly relocations: readonly number[] };
}

function createDataLayout(): DataLayout {
  const chunks: Buffer[] = [];
  const relocations: number[] = [];
  const placed = new Map<string, number>();
  let length = 0;
  const place = (data: ProgramData): number => {
    const key = data.pointers.length === 0 ? data.bytes.toString('latin1') : undefined;
    const known = key === undefined ? undefined : placed.get(key);
    if (known !== undefined) return known;
    const targets = data.pointers.map(({ at, to }) => ({ at, offset: place(to) }));
    const content = targets.length === 0 ? data.bytes : Buffer.from(data.bytes);
    for (const target of targets) {
      content.writeBigUInt64LE(BigInt(target.offset), target.at);
      relocations.push(length + target.at);
    }
    const offset = length;
    const padding = -content.length & 7; // every datum begins on a multiple of 8
    chunks.push(content, zeros.subarray(0, padding));
    length += content.length + padding;
    if (key !== undefined) placed.set(key, offset);
    return offset;
  };
  return { place, finish: () => ({ data: Buffer.concat(chunks), relocations }) };
}
