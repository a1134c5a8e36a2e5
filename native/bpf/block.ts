/** Puts a program together: jumps go to names, and what can never be reached is left out, which kernels refuse (EINVAL). Pure. */
import { PodwrightError } from '#base/errors.ts';
import { instructionBytes } from './instruction.ts';
import type { Instruction, Register } from './instruction.ts';

/** Instructions of one program at most, also for kernels before 5.2 (BPF_MAXINSNS). */
export const programInstructionsMax = 4096;

export interface BlockBuilder {
  load(to: Register, from: Register, offset: number): void;
  set(to: Register, value: number): void;
  and(to: Register, value: number): void;
  shiftRight(to: Register, bits: number): void;
  /** Goes on at the label where the register is something else. */
  unlessEqual(register: Register, value: number, label: string): void;
  jump(label: string): void;
  exit(): void;
  /** What is emitted next is what jumps to this name mean. */
  label(name: string): void;
  /** @throws E_INTERNAL for a label that is missing, doubled or behind the jump; E_LIMIT where the program is too long */
  build(): readonly Instruction[];
}

/** `by` is not known until all labels are. */
type Draft =
  | Instruction
  | {
      readonly op: 'jumpTo';
      readonly unless: readonly [Register, number] | undefined;
      readonly label: string;
    };

export function createBlockBuilder(): BlockBuilder {
  const drafts: Draft[] = [];
  const labels = new Map<string, number>();
  const wanted = new Set<string>();
  let isReachable = true;
  const emit = (draft: Draft): void => {
    if (!isReachable) return;
    if (draft.op === 'jumpTo') wanted.add(draft.label);
    drafts.push(draft);
    if (draft.op === 'exit' || (draft.op === 'jumpTo' && draft.unless === undefined)) isReachable = false;
  };
  return {
    load: (to, from, offset) => emit({ op: 'load', to, from, offset }),
    set: (to, value) => emit({ op: 'set', to, value }),
    and: (to, value) => emit({ op: 'and', to, value }),
    shiftRight: (to, value) => emit({ op: 'shiftRight', to, value }),
    unlessEqual: (register, value, label) => emit({ op: 'jumpTo', unless: [register, value], label }),
    jump: (label) => emit({ op: 'jumpTo', unless: undefined, label }),
    exit: () => emit({ op: 'exit' }),
    label: (name) => {
      if (labels.has(name)) throw broken(`label ${name} is there twice`);
      labels.set(name, drafts.length);
      isReachable ||= wanted.has(name);
    },
    build: () => {
      if (isReachable) throw broken('it runs over its end');
      if (drafts.length > programInstructionsMax) {
        const bytes = drafts.length * instructionBytes;
        throw new PodwrightError(
          'E_LIMIT',
          `assemble program: ${drafts.length} instructions (${bytes} bytes), at most ${programInstructionsMax}`,
        );
      }
      return drafts.map((draft, index) => resolve(draft, index, labels));
    },
  };
}

function resolve(draft: Draft, index: number, labels: ReadonlyMap<string, number>): Instruction {
  if (draft.op !== 'jumpTo') return draft;
  const target = labels.get(draft.label);
  if (target === undefined || target <= index) throw broken(`label ${draft.label} is not ahead`);
  const by = target - index - 1;
  if (draft.unless === undefined) return { op: 'jump', by };
  const [register, value] = draft.unless;
  return { op: 'jumpUnlessEqual', register, value, by };
}

function broken(why: string): PodwrightError {
  return new PodwrightError('E_INTERNAL', `assemble program: ${why}`);
}
