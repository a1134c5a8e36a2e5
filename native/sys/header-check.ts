/** Test support: asks the machine's C compiler what its headers say of our constants and struct layouts. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A struct as we lay it out: `size`, and the offset of each member that we touch. */
export type StructLayout = { readonly size: number } & Readonly<Record<string, number>>;

export interface HeaderQuestion {
  /** In order of inclusion. */
  readonly headers: readonly string[];
  readonly constants: readonly string[];
  readonly structs?: Readonly<Record<string, StructLayout>>; // by C type: 'struct ifinfomsg'
}

/** What the headers say, by name; `struct ifinfomsg.ifi_index` for offsets, `struct ifinfomsg` for the size. */
export interface HeaderAnswer {
  readonly values: ReadonlyMap<string, number>;
  /** Names that these headers do not know (older than the kernel we write for). */
  readonly unknown: readonly string[];
}

/** undefined where there is no gcc or no headers. @throws when they are there and the program cannot be compiled */
export function askHeaders(question: HeaderQuestion): HeaderAnswer | undefined {
  const includes = question.headers.map((header) => `#include <${header}>`).join('\n');
  const preamble = `#define _GNU_SOURCE\n#include <stdio.h>\n#include <stddef.h>\n${includes}\n`;
  if (compile(`${preamble}int main(void) { return 0; }`) !== undefined) return undefined;
  const unknown = unknownNames(preamble, question.constants);
  const known = question.constants.filter((name) => !unknown.includes(name));
  const lines = [
    ...known.map((name) => show(name, name)),
    ...Object.entries(question.structs ?? {}).flatMap(([type, layout]) => [
      show(type, `sizeof(${type})`),
      ...Object.keys(layout)
        .filter((member) => member !== 'size')
        .map((member) => show(`${type}.${member}`, `offsetof(${type}, ${member})`)),
    ]),
  ];
  const output = run(`${preamble}int main(void) {\n${lines.join('\n')}\nreturn 0; }`);
  const values = output
    .split('\n')
    .filter((line) => line !== '')
    .map(
      (line) =>
        [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ') + 1))] as const,
    );
  return { values: new Map(values), unknown };
}

/** What we have to say, in the form of the answer, leaving out what the headers do not know. */
export function ourValues(
  question: HeaderQuestion,
  constants: Readonly<Record<string, number>>,
  answer: HeaderAnswer,
): ReadonlyMap<string, number> {
  const known = question.constants.filter((name) => !answer.unknown.includes(name));
  const layouts = Object.entries(question.structs ?? {}).flatMap(([type, layout]) =>
    Object.entries(layout).map(
      ([member, at]) => [member === 'size' ? type : `${type}.${member}`, at] as const,
    ),
  );
  return new Map([...known.map((name) => [name, constants[name] ?? Number.NaN] as const), ...layouts]);
}

const show = (label: string, expression: string): string =>
  `printf("%s %lld\\n", "${label}", (long long)(${expression}));`;

/** The compiler names each undeclared identifier once. */
function unknownNames(preamble: string, names: readonly string[]): readonly string[] {
  const uses = names.map((name) => `(void)(${name});`).join('\n');
  const complaint = compile(`${preamble}int main(void) {\n${uses}\nreturn 0; }`) ?? '';
  return [...complaint.matchAll(/['‘](\w+)['’] undeclared/g)].map((match) => match[1] ?? '');
}

/** undefined when it compiles, else what gcc says. */
function compile(source: string): string | undefined {
  const result = spawnSync('gcc', ['-w', '-fsyntax-only', '-x', 'c', '-'], {
    input: source,
    encoding: 'utf8',
  });
  return result.error === undefined && result.status === 0 ? undefined : result.stderr || 'no gcc';
}

function run(source: string): string {
  const directory = mkdtempSync(join(tmpdir(), 'podwright-headers-'));
  try {
    writeFileSync(join(directory, 'ask.c'), source);
    execFileSync('gcc', ['-w', '-o', join(directory, 'ask'), join(directory, 'ask.c')]);
    return execFileSync(join(directory, 'ask'), { encoding: 'utf8' });
  } finally {
    rmSync(directory, { recursive: true });
  }
}
