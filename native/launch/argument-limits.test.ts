import { describe, expect, it } from 'vitest';
import {
  argumentBytesMax,
  argumentOverheadBytes,
  argumentsBytesMax,
  checkArguments,
} from './argument-limits.ts';
import { compileProcess } from './compile-process.ts';
import { createProgramBuilder, renderProgram } from './program.ts';

describe('checkArguments()', () => {
  it('takes as much as there may be, and names what is one byte more', () => {
    const longest = 'x'.repeat(argumentBytesMax);
    checkArguments(['a', longest], []);
    expect(() => checkArguments(['a', `${longest}x`], [])).toThrow(
      'argument 1: 131072 bytes, at most 131071',
    );
    expect(() => checkArguments([], [`NAME=${longest}`])).toThrow(
      'environment variable NAME: 131076 bytes, at most 131071',
    );
  });

  it('counts the pointers of many small strings', () => {
    const count = Math.floor(argumentsBytesMax / (1 + argumentOverheadBytes));
    checkArguments(
      Array.from({ length: count }, () => 'x'),
      [],
    );
    expect(() =>
      checkArguments(
        Array.from({ length: count }, () => 'x'),
        ['A='],
      ),
    ).toThrow(/^environment variable A: .* more than 2097152 bytes/);
  });

  it('does not show a name of any length', () => {
    const error = (): void => checkArguments([], ['N'.repeat(200_000)]);
    expect(error).toThrow(`environment variable ${'N'.repeat(64)}: 200000 bytes`);
  });
});

describe('compileProcess()', () => {
  const security = {
    capabilities: [],
    noNewPrivileges: false,
    privileged: false,
    seccomp: 'unconfined' as const,
  };
  const compile = (name: string, path: string): string => {
    const builder = createProgramBuilder();
    compileProcess(builder, { args: [name], env: [`PATH=${path}`], security }, 'x86_64');
    return renderProgram(builder.build());
  };

  it('looks once in each directory of a PATH', () => {
    expect(compile('sh', '/bin::/bin::/usr/bin')).toContain('["/bin/sh","./sh","/usr/bin/sh"]');
    expect(compile('sh', ':'.repeat(100_000))).toContain('["./sh"]');
  });

  it('refuses a PATH of more places than anybody means, and a name that nothing has', () => {
    const path = Array.from({ length: 20_000 }, (_, index) => `/${index}`).join(':');
    expect(() => compile('x'.repeat(200), path)).toThrow('PATH has 20000 directories; shorten it');
    expect(() => compile('x'.repeat(256), '/bin')).toThrow('ENAMETOOLONG');
  });
});
