/** Puts a program together: jumps go to names, and what can never be reached is left out, which kernels refuse (EINVAL). Pure. */
import { PodwrightError } from '#base/errors.ts';
import { instructionBytes, slotsOf } from './instruction.ts';
import type { Helper, Instruction, Register, Test, Width } from './instruction.ts';

/** Instructions of one program at most, also for kernels before 5.2 (BPF_MAXINSNS). */
export const programInstructionsMax = 4096;

export interface BlockBuilder {
  /** Of 32 bits where no width is said. */
  load(to: Register, from: Register, offset: number, width?: Width): void;
  /** *(to + offset) = from */
  store(to: Register, offset: number, from: Register, width: Width): void;
  storeValue(to: Register, offset: number, value: number, width: Width): void;
  set(to: Register, value: number): void;
  and(to: Register, value: number): void;
  shiftRight(to: Register, bits: number): void;
  add(to: Register, value: number): void;
  move(to: Register, from: Register): void;
  modulo(to: Register, by: Register): void;
  loadMap(to: Register, map: string): void;
  /** Arguments in r1 to r5, which are lost; the result is r0. */
  call(helper: Helper): void;
  /** Goes on at the label where the register is something else. */
  unlessEqual(register: Register, value: number, label: string): void;
  jumpIf(register: Register, test: Test, operand: Operand, label: string): void;
  jump(label: string): void;
  exit(): void;
  /** What is emitted next is what jumps to this name mean. */
  label(name: string): void;
  /** @throws E_INTERNAL for a label that is missing, doubled or behind the jump; E_LIMIT where the program is too long */
  build(): readonly Instruction[];
}

export type Operand = { readonly value: number } | { readonly register: Register };

type Jump =
  | { readonly op: 'jump' }
  | { readonly op: 'jumpUnlessEqual'; readonly register: Register; readonly value: number }
  | { readonly op: 'jumpIf'; readonly register: Register; readonly test: Test; readonly operand: Operand };

/** `by` is not known until all labels are. */
type Draft = Instruction | { readonly op: 'jumpTo'; readonly jump: Jump; readonly label: string };

export function createBlockBuilder(): BlockBuilder {
  const drafts: Draft[] = [];
  const labels = new Map<string, number>();
  const wanted = new Set<string>();
  let slots = 0;
  let isReachable = true;
  const emit = (draft: Draft): void => {
    if (!isReachable) return;
    if (draft.op === 'jumpTo') wanted.add(draft.label);
    drafts.push(draft);
    slots += slotsOf(draft);
    if (draft.op === 'exit' || (draft.op === 'jumpTo' && draft.jump.op === 'jump')) isReachable = false;
  };
  return {
    load: (to, from, offset, width) =>
      emit({ op: 'load', to, from, offset, ...(width === undefined ? {} : { width }) }),
    store: (to, offset, from, width) => emit({ op: 'store', to, offset, from, width }),
    storeValue: (to, offset, value, width) => emit({ op: 'storeValue', to, offset, value, width }),
    set: (to, value) => emit({ op: 'set', to, value }),
    and: (to, value) => emit({ op: 'and', to, value }),
    shiftRight: (to, value) => emit({ op: 'shiftRight', to, value }),
    add: (to, value) => emit({ op: 'add', to, value }),
    move: (to, from) => emit({ op: 'move', to, from }),
    modulo: (to, from) => emit({ op: 'modulo', to, from }),
    loadMap: (to, map) => emit({ op: 'loadMap', to, map }),
    call: (helper) => emit({ op: 'call', helper }),
    unlessEqual: (register, value, label) =>
      emit({ op: 'jumpTo', jump: { op: 'jumpUnlessEqual', register, value }, label }),
    jumpIf: (register, test, operand, label) =>
      emit({ op: 'jumpTo', jump: { op: 'jumpIf', register, test, operand }, label }),
    jump: (label) => emit({ op: 'jumpTo', jump: { op: 'jump' }, label }),
    exit: () => emit({ op: 'exit' }),
    label: (name) => {
      if (labels.has(name)) throw broken(`label ${name} is there twice`);
      labels.set(name, slots);
      isReachable ||= wanted.has(name);
    },
    build: () => {
      if (isReachable) throw broken('it runs over its end');
      if (slots > programInstructionsMax) {
        const bytes = slots * instructionBytes;
        throw new PodwrightError(
          'E_LIMIT',
          `assemble program: ${slots} instructions (${bytes} bytes), at most ${programInstructionsMax}`,
        );
      }
      let slot = 0;
      return drafts.map((draft) => {
        const instruction = resolve(draft, slot, labels);
        slot += slotsOf(draft);
        return instruction;
      });
    },
  };
}

function resolve(draft: Draft, slot: number, labels: ReadonlyMap<string, number>): Instruction {
  if (draft.op !== 'jumpTo') return draft;
  const target = labels.get(draft.label);
  if (target === undefined || target <= slot) throw broken(`label ${draft.label} is not ahead`);
  return { ...draft.jump, by: target - slot - 1 };
}

function broken(why: string): PodwrightError {
  return new PodwrightError('E_INTERNAL', `assemble program: ${why}`);
}
