/** Rules of devices as a program of type BPF_PROG_TYPE_CGROUP_DEVICE: 1 lets the kernel go on, 0 is EPERM for whoever opens. Pure. */
import { createBlockBuilder } from './block.ts';
import type { BlockBuilder } from './block.ts';
import { allAccess } from './device-rules.ts';
import type { NormalRules } from './device-rules.ts';
import type { Instruction } from './instruction.ts';

/** struct bpf_cgroup_dev_ctx (linux/bpf.h): type in the lower half of the first word, access in the upper. */
const contextOffset = { access: 0, major: 4, minor: 8 } as const;
const typeNumber = { b: 1, c: 2 } as const; // BPF_DEVCG_DEV_*

const context = 1;
const type = 2;
const access = 3;
const major = 4;
const minor = 5;

export function compileDeviceProgram(rules: NormalRules): readonly Instruction[] {
  const builder = createBlockBuilder();
  const { b, c } = rules.otherwise;
  if (rules.entries.length === 0 && b === allAccess && c === allAccess) {
    builder.set(0, 1);
    builder.exit();
    return builder.build();
  }
  builder.load(type, context, contextOffset.access);
  builder.and(type, 0xffff);
  builder.load(access, context, contextOffset.access);
  builder.shiftRight(access, 16);
  builder.load(major, context, contextOffset.major);
  builder.load(minor, context, contextOffset.minor);
  builder.unlessEqual(type, typeNumber.b, 'characters');
  compileType(builder, rules, 'b');
  builder.label('characters');
  builder.unlessEqual(type, typeNumber.c, 'refuse'); // what the kernel may have one day
  compileType(builder, rules, 'c');
  builder.label('decide'); // access holds what was asked for and is not allowed
  builder.unlessEqual(access, 0, 'refuse');
  builder.set(0, 1);
  builder.exit();
  builder.label('refuse');
  builder.set(0, 0);
  builder.exit();
  return builder.build();
}

function compileType(builder: BlockBuilder, rules: NormalRules, kind: 'b' | 'c'): void {
  const entries = rules.entries.filter((entry) => entry.type === kind);
  for (const entry of entries) {
    const next = `after ${kind} ${entry.major}:${entry.minor ?? '*'}`;
    builder.unlessEqual(major, entry.major, next);
    if (entry.minor !== undefined) builder.unlessEqual(minor, entry.minor, next);
    builder.and(access, ~entry.access & allAccess);
    builder.jump('decide');
    builder.label(next);
  }
  builder.and(access, ~rules.otherwise[kind] & allAccess);
  builder.jump('decide');
}

/** The context of the program for one question, for the interpreter. */
export function deviceContext(
  device: { readonly type: 'b' | 'c'; readonly major: number; readonly minor: number },
  asked: number,
): readonly number[] {
  return [(asked << 16) | typeNumber[device.type], device.major, device.minor];
}
