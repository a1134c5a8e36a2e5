/** What the arguments of options are made of. */
import { InvalidArgumentError } from 'commander';

/** A whole number between both. */
export function integer(minimum: number, maximum: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!Number.isInteger(value) || value < minimum || value > maximum) {
      throw new InvalidArgumentError(`takes a whole number from ${minimum} to ${maximum}`);
    }
    return value;
  };
}

/** Of an option that can be repeated. */
export function collect(text: string, earlier: readonly string[]): readonly string[] {
  return [...earlier, text];
}

/** Several in one. */
export function commas(text: string): readonly string[] {
  return text.split(',');
}

/** Also several in one, with commas between. */
export function collectAll(text: string, earlier: readonly string[] = []): readonly string[] {
  return [...earlier, ...text.split(',')];
}
