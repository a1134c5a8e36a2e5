/** Runs a program as the kernel would: what programs are tested against, as the kernel's test run takes none for cgroups. Pure. */
import { PodwrightError } from '#base/errors.ts';
import type { Instruction } from './instruction.ts';

/** The result (r0) for a context of 32-bit words. @throws E_INVALID for what the verifier would refuse */
export function interpret(program: readonly Instruction[], context: readonly number[]): number {
  const registers: (number | undefined)[] = [undefined, 0, undefined, undefined, undefined, undefined];
  const read = (register: number): number => {
    const value = registers[register];
    if (value === undefined) throw refused(`r${register} is read before it is set`);
    return value;
  };
  for (let at = 0; ; at++) {
    const instruction = program[at];
    if (instruction === undefined) throw refused(`there is no instruction ${at}`);
    switch (instruction.op) {
      case 'load': {
        if (instruction.from !== 1 || (instruction.width ?? 4) !== 4)
          throw refused('only words of the context are loaded');
        const word = context[instruction.offset / 4];
        if (word === undefined) throw refused(`the context has no word at ${instruction.offset}`);
        registers[instruction.to] = word >>> 0;
        break;
      }
      case 'set':
        registers[instruction.to] = instruction.value >>> 0;
        break;
      case 'and':
        registers[instruction.to] = (read(instruction.to) & instruction.value) >>> 0;
        break;
      case 'shiftRight':
        registers[instruction.to] = read(instruction.to) >>> instruction.value;
        break;
      case 'jumpUnlessEqual':
        // The kernel compares 64 bits with a value of 32 that is extended by its sign.
        if (read(instruction.register) !== (instruction.value | 0)) at += forward(instruction.by);
        break;
      case 'jump':
        at += forward(instruction.by);
        break;
      case 'exit':
        return read(0);
      default: // What has maps and memory is run by the kernel itself.
        throw refused(`${instruction.op} is for kernels only`);
    }
  }
}

function forward(by: number): number {
  if (by < 0) throw refused('it jumps back');
  return by;
}

function refused(why: string): PodwrightError {
  return new PodwrightError('E_INVALID', `interpret program: ${why}`);
}
