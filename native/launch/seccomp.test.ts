import { constants } from 'node:os';
import { describe, expect, it } from 'vitest';
import { compileHandleFilter, compileSeccompFilter, opensByHandle, verdictOf } from './seccomp.ts';
import { syscallsOf } from './syscall-numbers.ts';
import type { Verdict } from './seccomp.ts';

const x86 = 0xc000_003e;
const allowed = 0x7fff_0000;
const refused = 0x0005_0000 | constants.errno.EPERM;
const missing = 0x0005_0000 | constants.errno.ENOSYS;

/** Runs the filter as the kernel would (linux/filter.h: LD W ABS, JEQ, JGE, JSET, RET). */
function runFilter(
  filter: Buffer,
  call: { readonly nr: number; readonly arch: number; readonly argument0?: number },
): number {
  const words: Readonly<Record<number, number>> = { 0: call.nr, 4: call.arch, 16: call.argument0 ?? 0 };
  let accumulator = 0;
  for (let at = 0; at < filter.length / 8; at++) {
    const [code, jt, jf] = [
      filter.readUInt16LE(at * 8),
      filter.readUInt8(at * 8 + 2),
      filter.readUInt8(at * 8 + 3),
    ];
    const k = filter.readUInt32LE(at * 8 + 4);
    if (code === 0x06) return k;
    if (code === 0x20) accumulator = words[k] ?? Number.NaN;
    else if (code === 0x15) at += accumulator === k ? jt : jf;
    else if (code === 0x35) at += accumulator >= k ? jt : jf;
    else if (code === 0x45) at += (accumulator & k) === 0 ? jf : jt;
    else throw new Error(`instruction ${at}: code ${code}`);
  }
  throw new Error('ran off the end');
}

function expected(verdict: Verdict, argument0: number): number {
  switch (verdict.kind) {
    case 'allow':
      return allowed;
    case 'errno':
      return 0x0005_0000 | verdict.errno;
    case 'values':
      return verdict.values.includes(argument0) === verdict.isAllowed ? allowed : refused;
    case 'without-bits':
      return (argument0 & verdict.bits) === 0 ? allowed : refused;
  }
}

describe('compileSeccompFilter()', () => {
  it.each(
    [[], ['CAP_SYS_ADMIN'], ['CAP_SYS_TIME', 'CAP_SYS_BOOT', 'CAP_NET_RAW']].map((capabilities) => ({
      capabilities,
    })),
  )('says what verdictOf() says of every call with $capabilities', ({ capabilities }) => {
    const filter = compileSeccompFilter(capabilities, 'x86_64');
    for (const [name, nr] of syscallsOf('x86_64')) {
      for (const argument0 of [0, 8, 40, 0x1_0000, 0x2_0000, 0x1000_0000, 0xffff_ffff]) {
        const got = runFilter(filter, { nr, arch: x86, argument0 });
        expect(got, `${name}(${argument0})`).toBe(
          expected(verdictOf(name, new Set(capabilities)), argument0),
        );
      }
    }
  });

  it('gives ENOSYS for what is unknown and for another architecture', () => {
    const filter = compileSeccompFilter([], 'x86_64');
    for (const nr of [400, 463, 9999, 0x4000_0000])
      expect(runFilter(filter, { nr, arch: x86 })).toBe(missing);
    expect(runFilter(filter, { nr: 1, arch: 0x4000_0003 })).toBe(missing);
  });

  it('has a filter for aarch64', () => {
    const filter = compileSeccompFilter([], 'aarch64');
    const nr = (name: string): number => syscallsOf('aarch64').get(name) ?? -1;
    expect(runFilter(filter, { nr: nr('openat'), arch: 0xc000_00b7 })).toBe(allowed);
    expect(runFilter(filter, { nr: nr('mount'), arch: 0xc000_00b7 })).toBe(refused);
  });
});

describe('verdictOf()', () => {
  it('refuses what needs a capability, and only without it', () => {
    const kinds = (capabilities: readonly string[]): string[] =>
      ['mount', 'reboot', 'chroot', 'bpf', 'keyctl', 'read'].map(
        (name) => verdictOf(name, new Set(capabilities)).kind,
      );
    expect(kinds([])).toEqual(['errno', 'errno', 'errno', 'errno', 'errno', 'allow']);
    expect(kinds(['CAP_SYS_CHROOT'])).toEqual(['errno', 'errno', 'allow', 'errno', 'errno', 'allow']);
    expect(kinds(['CAP_SYS_ADMIN'])).toEqual(['allow', 'errno', 'errno', 'allow', 'errno', 'allow']);
  });
});

describe('compileHandleFilter()', () => {
  const filter = compileHandleFilter('x86_64');

  it('refuses open_by_handle_at by each of its numbers, and nothing else', () => {
    for (const call of [
      { nr: 304, arch: x86 },
      { nr: 0x4000_0000 | 304, arch: x86 },
      { nr: 342, arch: 0x4000_0003 },
    ])
      expect(runFilter(filter, call)).toBe(refused);
    for (const [, nr] of syscallsOf('x86_64')) {
      if (nr !== 304) expect(runFilter(filter, { nr, arch: x86 })).toBe(allowed);
    }
    expect(runFilter(filter, { nr: 304, arch: 0x4000_0003 })).toBe(allowed);
    expect(syscallsOf('x86_64').get('open_by_handle_at')).toBe(304);
    expect(syscallsOf('aarch64').get('open_by_handle_at')).toBe(265);
    const arm = compileHandleFilter('aarch64');
    expect(runFilter(arm, { nr: 265, arch: 0xc000_00b7 })).toBe(refused);
    expect(runFilter(arm, { nr: 371, arch: 0x4000_0028 })).toBe(refused);
  });

  it('is for who may read and search everything; the default filter refuses it as well', () => {
    expect(opensByHandle(['CAP_DAC_READ_SEARCH'])).toBe(true);
    expect(opensByHandle(['CAP_DAC_READ_SEARCH', 'CAP_SYS_ADMIN'])).toBe(false);
    expect(opensByHandle(['CAP_DAC_OVERRIDE'])).toBe(false);
    const mine = compileSeccompFilter(['CAP_DAC_READ_SEARCH'], 'x86_64');
    expect(runFilter(mine, { nr: 304, arch: x86 })).toBe(refused);
  });
});
