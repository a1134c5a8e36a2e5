import { isAbsolute } from 'node:path';
import { PodwrightError } from '#base/errors.ts';
import type { HandlerProgram } from './open-handlers.ts';

/** Runtimes that may be asked for by their names alone. */
const knownNames: ReadonlySet<string> = new Set(['crun', 'runc']);

/**
 * `NAME=/path/to/program`, or the name of a runtime that is to be found; a name is one of a RuntimeClass (node.k8s.io, handler: a DNS label).
 * @throws {E_INVALID} beginning with the text
 */
export function parseHandler(text: string, find: (name: string) => string | undefined): HandlerProgram {
  const refuse = (why: string): PodwrightError => new PodwrightError('E_INVALID', `${text}: ${why}`);
  if (knownNames.has(text)) {
    const program = find(text);
    if (program !== undefined) return { name: text, program };
    throw refuse(`no such program is installed; install it, or write ${text}=/path/to/${text}`);
  }
  const [, name = '', program = ''] = /^([^=]*)=(.*)$/s.exec(text) ?? [];
  if (program === '') throw refuse('write NAME=/path/to/program, or crun or runc');
  if (name.length > 63 || !/^[a-z0-9](?:[-a-z0-9]*[a-z0-9])?$/.test(name))
    throw refuse('a name has lower case letters, digits and -, at most 63 of them');
  if (name === 'podwright') throw refuse('that is the name of the runtime itself; write another');
  if (!isAbsolute(program)) throw refuse('write the absolute path of the program');
  return { name, program };
}
