/** A seccomp profile as a filter, in the meaning that libseccomp gives it. Pure. */
import { constants } from 'node:os';
import { syscallsOf } from '#native/launch/syscall-numbers.ts';
import type { Architecture } from '#native/launch/syscall-numbers.ts';
import { argumentOffset, BPF, DATA, encodeFilter, give, load, onlyIf, type Instruction } from './bpf.ts';
import type { SeccompAction, SeccompCondition, SeccompProfile, SeccompRule } from './profile.ts';

const AUDIT_ARCH: Readonly<Record<Architecture, number>> = { x86_64: 0xc000_003e, aarch64: 0xc000_00b7 };
const native: Readonly<Record<Architecture, string>> = {
  x86_64: 'SCMP_ARCH_X86_64',
  aarch64: 'SCMP_ARCH_AARCH64',
};
/** Calls of the x32 interface have it in their number (asm/unistd.h, __X32_SYSCALL_BIT). */
const x32Bit = 0x4000_0000;

/** SECCOMP_RET_* of linux/seccomp.h. */
export function returnOf(action: SeccompAction): number {
  switch (action.kind) {
    case 'allow':
      return 0x7fff_0000;
    case 'log':
      return 0x7ffc_0000;
    case 'killThread':
      return 0;
    case 'killProcess':
      return 0x8000_0000;
    case 'trap':
      return 0x0003_0000;
    case 'errno':
      return 0x0005_0000 | action.value;
    case 'trace':
      return 0x7ff0_0000 | action.value;
  }
}

const ENOSYS: SeccompAction = { kind: 'errno', value: constants.errno.ENOSYS };
const kill: SeccompAction = { kind: 'killThread' };

/** What a profile says of one system call: the first alternative whose conditions hold, else `otherwise`. */
export interface CallVerdict {
  readonly alternatives: readonly Pick<SeccompRule, 'conditions' | 'action'>[];
  readonly otherwise: SeccompAction;
}

/** A rule without conditions stands for all others of its system call, wherever it is (seccomp_rule_add(3)). */
export function verdictOfCall(profile: SeccompProfile, name: string): CallVerdict {
  const rules = profile.rules.filter(({ names }) => names.includes(name));
  const whole = rules.find(({ conditions }) => conditions.length === 0);
  if (whole !== undefined) return { alternatives: [], otherwise: whole.action };
  return { alternatives: rules, otherwise: profile.defaultAction };
}

/**
 * Other architectures' calls end the thread where the profile does not list them, and are unknown (ENOSYS) where it does: their numbers
 * are not known here. So are calls that came to the kernel after the last that the profile knows, where it refuses what it does
 * not name, so that libraries fall back (runc, libcontainer/seccomp/patchbpf).
 * @throws {E_LIMIT}
 */
export function compileSeccompProfile(profile: SeccompProfile, architecture: Architecture): Buffer {
  const calls = [...syscallsOf(architecture)].toSorted(([, a], [, b]) => a - b);
  const named = new Set(profile.rules.flatMap(({ names }) => names));
  const last = Math.max(0, ...calls.filter(([name]) => named.has(name)).map(([, nr]) => nr));
  const segments: Segment[] = [{ start: 0, block: [give(returnOf(profile.defaultAction))] }];
  for (const [name, nr] of calls.filter(([each]) => named.has(each))) {
    const block = blockOf(verdictOfCall(profile, name));
    if (segments.at(-1)?.start === nr) segments.pop();
    segments.push({ start: nr, block }, { start: nr + 1, block: [give(returnOf(profile.defaultAction))] });
  }
  const isRefusing = !['allow', 'log', 'trace'].includes(profile.defaultAction.kind);
  if (isRefusing) replaceFrom(segments, last + 1, returnOf(ENOSYS));
  if (architecture === 'x86_64') {
    const isListed = profile.architectures.includes('SCMP_ARCH_X32');
    replaceFrom(segments, x32Bit, returnOf(isListed ? ENOSYS : kill));
  }
  const hasOthers = profile.architectures.some(
    (name) => name !== native[architecture] && name !== 'SCMP_ARCH_X32',
  );
  const ours = [load(DATA.NUMBER), ...searchTree(merged(segments))];
  const other = [give(returnOf(hasOthers ? ENOSYS : kill))];
  return encodeFilter([
    load(DATA.ARCHITECTURE),
    ...onlyIf(BPF.JEQ_K, AUDIT_ARCH[architecture], ours),
    ...other,
  ]);
}

/** Numbers from `start` on, up to the next. */
interface Segment {
  readonly start: number;
  readonly block: readonly Instruction[];
}

function replaceFrom(segments: Segment[], start: number, value: number): void {
  while ((segments.at(-1)?.start ?? -1) >= start) segments.pop();
  segments.push({ start, block: [give(value)] });
}

/** Neighbours of one block are one. */
function merged(segments: readonly Segment[]): readonly Segment[] {
  const result: Segment[] = [];
  for (const segment of segments) {
    const previous = result.at(-1);
    if (previous === undefined || !isSame(previous.block, segment.block)) result.push(segment);
  }
  return result;
}

function isSame(a: readonly Instruction[], b: readonly Instruction[]): boolean {
  return a.length === b.length && a.every((each, index) => JSON.stringify(each) === JSON.stringify(b[index]));
}

/** Binary, by the number in the accumulator. */
function searchTree(segments: readonly Segment[]): readonly Instruction[] {
  const [first] = segments;
  if (first === undefined) return [];
  if (segments.length === 1) return first.block;
  const middle = segments.length >> 1;
  const upper = searchTree(segments.slice(middle));
  return [
    ...onlyIf(BPF.JGE_K, segments[middle]?.start ?? 0, upper),
    ...searchTree(segments.slice(0, middle)),
  ];
}

function blockOf({ alternatives, otherwise }: CallVerdict): readonly Instruction[] {
  return [
    ...alternatives.flatMap(({ conditions, action }) =>
      conditions.reduceRight<readonly Instruction[]>(
        (body, condition) => whereHolds(condition, body),
        [give(returnOf(action))],
      ),
    ),
    give(returnOf(otherwise)),
  ];
}

/** `body`, which ends by itself, where the condition holds; else what follows. */
function whereHolds(condition: SeccompCondition, body: readonly Instruction[]): readonly Instruction[] {
  const { comparison, index, value, valueTwo } = condition;
  const [low, high] = [load(argumentOffset(index)), load(argumentOffset(index) + 4)];
  const words = (word: bigint): readonly [low: number, high: number] => [
    Number(word & 0xffff_ffffn),
    Number(word >> 32n),
  ];
  const [k, kHigh] = words(value);
  switch (comparison) {
    case 'EQ':
      return [high, ...onlyIf(BPF.JEQ_K, kHigh, [low, ...onlyIf(BPF.JEQ_K, k, body)])];
    case 'MASKED_EQ': {
      const [left, leftHigh] = words(valueTwo & value);
      const and = (mask: number): Instruction => ({ code: BPF.AND_K, jt: 0, jf: 0, k: mask });
      const rest = [low, and(k), ...onlyIf(BPF.JEQ_K, left, body)];
      return [high, and(kHigh), ...onlyIf(BPF.JEQ_K, leftHigh, rest)];
    }
    case 'NE':
      return [high, ...unless(BPF.JEQ_K, kHigh, body), low, ...unless(BPF.JEQ_K, k, body)];
    case 'GT':
    case 'GE':
      return [
        high,
        ...onlyIf(BPF.JGT_K, kHigh, body),
        ...onlyIf(BPF.JEQ_K, kHigh, [low, ...onlyIf(comparison === 'GT' ? BPF.JGT_K : BPF.JGE_K, k, body)]),
      ];
    case 'LT':
    case 'LE':
      return [
        high,
        ...unless(BPF.JGE_K, kHigh, body),
        ...onlyIf(BPF.JEQ_K, kHigh, [low, ...unless(comparison === 'LT' ? BPF.JGE_K : BPF.JGT_K, k, body)]),
      ];
  }
}

/** `body` where the accumulator does not compare so; else what follows it. */
function unless(code: number, k: number, body: readonly Instruction[]): readonly Instruction[] {
  if (body.length <= 255) return [{ code, jt: body.length, jf: 0, k }, ...body];
  return [{ code, jt: 0, jf: 1, k }, { code: BPF.JA, jt: 0, jf: 0, k: body.length }, ...body];
}
