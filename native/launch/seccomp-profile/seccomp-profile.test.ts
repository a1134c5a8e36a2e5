import { array, assert, constantFrom, nat, pre, property, record, subarray } from 'fast-check';
import { describe, expect, test } from 'vitest';
import { syscallNumber, syscallsOf } from '#native/launch/syscall-numbers.ts';
import { compileSeccompProfile, returnOf, verdictOfCall } from './compile-profile.ts';
import {
  parseSeccompProfile,
  type ProfileReader,
  type SeccompCondition,
  type SeccompProfile,
} from './profile.ts';

const reader: ProfileReader = {
  capabilities: ['CAP_CHOWN'],
  machine: 'amd64',
  kernelRelease: '6.1.0-18-amd64',
};
const x86 = 0xc000_003e;
const parse = (document: object): SeccompProfile => parseSeccompProfile(JSON.stringify(document), reader);

/** Runs a filter as the kernel would (linux/filter.h). */
function runFilter(filter: Buffer, call: { nr: number; arch: number; args: readonly bigint[] }): number {
  const data = Buffer.alloc(64);
  data.writeUInt32LE(call.nr >>> 0, 0);
  data.writeUInt32LE(call.arch, 4);
  call.args.forEach((value, index) => data.writeBigUInt64LE(value, 16 + index * 8));
  let accumulator = 0;
  for (let at = 0; at < filter.length / 8; at++) {
    const [code, jt, jf] = [
      filter.readUInt16LE(at * 8),
      filter.readUInt8(at * 8 + 2),
      filter.readUInt8(at * 8 + 3),
    ];
    const k = filter.readUInt32LE(at * 8 + 4);
    if (code === 0x06) return k;
    if (code === 0x20) accumulator = data.readUInt32LE(k);
    else if (code === 0x54) accumulator = (accumulator & k) >>> 0;
    else if (code === 0x05) at += k;
    else if (code === 0x15) at += accumulator === k ? jt : jf;
    else if (code === 0x25) at += accumulator > k ? jt : jf;
    else if (code === 0x35) at += accumulator >= k ? jt : jf;
    else throw new Error(`instruction ${at}: code ${code}`);
  }
  throw new Error('ran off the end');
}

/** By the words of seccomp_rule_add(3), word for word. */
function holds({ comparison, index, value, valueTwo }: SeccompCondition, args: readonly bigint[]): boolean {
  const argument = args[index] ?? 0n;
  const answers = {
    NE: argument !== value,
    LT: argument < value,
    LE: argument <= value,
    EQ: argument === value,
    GE: argument >= value,
    GT: argument > value,
    MASKED_EQ: (argument & value) === (valueTwo & value),
  };
  return answers[comparison];
}

function expected(profile: SeccompProfile, name: string, args: readonly bigint[]): number {
  const { alternatives, otherwise } = verdictOfCall(profile, name);
  const found = alternatives.find(({ conditions }) => conditions.every((each) => holds(each, args)));
  return returnOf(found?.action ?? otherwise) >>> 0;
}

const words = [
  0n,
  1n,
  2n,
  0xffff_ffffn,
  0x1_0000_0000n,
  0x1_0000_0001n,
  0x8000_0000_0000_0000n,
  0xffff_ffff_ffff_ffffn,
];
const word = constantFrom(...words);
const action = constantFrom(
  'SCMP_ACT_ALLOW',
  'SCMP_ACT_LOG',
  'SCMP_ACT_TRAP',
  'SCMP_ACT_KILL_PROCESS',
  'SCMP_ACT_KILL',
);
const names = ['read', 'clone', 'openat', 'ioctl', 'personality', 'socket'];
const profiles = record({
  defaultAction: constantFrom('SCMP_ACT_ALLOW', 'SCMP_ACT_ERRNO'),
  syscalls: array(
    record({
      names: subarray(names, { minLength: 1 }),
      action,
      args: array(
        record({
          index: nat(5),
          value: word.map(Number),
          valueTwo: constantFrom(0, 1, 2, 0xffff_ffff),
          op: constantFrom('NE', 'LT', 'LE', 'EQ', 'GE', 'GT', 'MASKED_EQ').map((op) => `SCMP_CMP_${op}`),
        }),
        { maxLength: 3 },
      ),
    }),
    { maxLength: 6 },
  ),
});

describe('a seccomp profile', () => {
  test('is compiled to what it says, of any call with any arguments', () => {
    const args = array(word, { minLength: 6, maxLength: 6 });
    assert(
      property(profiles, array(args, { minLength: 4, maxLength: 4 }), (document, samples) => {
        // A number of JSON has no 64 bits.
        pre(document.syscalls.every((rule) => rule.args.every(({ value }) => value < 2 ** 64)));
        const profile = parse(document);
        const filter = compileSeccompProfile(profile, 'x86_64');
        // What it does not name may have come to the kernel after what it does.
        const named = names.filter((name) => profile.rules.some((rule) => rule.names.includes(name)));
        for (const name of named)
          for (const values of samples) {
            const nr = syscallNumber(name, 'x86_64') ?? -1;
            expect(runFilter(filter, { nr, arch: x86, args: values })).toBe(expected(profile, name, values));
          }
      }),
      { numRuns: 200 },
    );
  });

  test('refuses what it does not name, and what came after it is unknown', () => {
    const filter = compileSeccompProfile(
      parse({
        defaultAction: 'SCMP_ACT_ERRNO',
        syscalls: [{ names: ['read', 'openat'], action: 'SCMP_ACT_ALLOW' }],
      }),
      'x86_64',
    );
    const call = (nr: number, arch = x86): number => runFilter(filter, { nr, arch, args: [] });
    expect(call(0)).toBe(0x7fff_0000);
    expect(call(257)).toBe(0x7fff_0000);
    expect(call(1)).toBe(0x0005_0001);
    expect(call(435)).toBe(0x0005_0026); // clone3, after openat
    expect([call(0x4000_0000), call(3, 0x4000_0003)]).toEqual([0, 0]);
  });

  test('with 32-bit programs in it tells them that nothing is there', () => {
    const profile = parse({
      defaultAction: 'SCMP_ACT_ALLOW',
      architectures: ['SCMP_ARCH_X86_64', 'SCMP_ARCH_X86', 'SCMP_ARCH_X32'],
    });
    const filter = compileSeccompProfile(profile, 'x86_64');
    expect(runFilter(filter, { nr: 3, arch: 0x4000_0003, args: [] })).toBe(0x0005_0026);
    expect(runFilter(filter, { nr: 0x4000_0001, arch: x86, args: [] })).toBe(0x0005_0026);
    expect(runFilter(filter, { nr: 9999, arch: x86, args: [] })).toBe(0x7fff_0000);
  });

  test('may name every call there is, each with a condition', () => {
    const args = [{ index: 1, value: 7, op: 'SCMP_CMP_EQ' }];
    const syscalls = [...syscallsOf('x86_64').keys()].map((name) => ({
      names: [name],
      action: 'SCMP_ACT_TRAP',
      args,
    }));
    const filter = compileSeccompProfile(parse({ defaultAction: 'SCMP_ACT_ALLOW', syscalls }), 'x86_64');
    for (const nr of syscallsOf('x86_64').values()) {
      expect(runFilter(filter, { nr, arch: x86, args: [0n, 7n] })).toBe(0x0003_0000);
      expect(runFilter(filter, { nr, arch: x86, args: [7n, 0n] })).toBe(0x7fff_0000);
    }
  });

  test.each<[string, object, readonly string[]]>([
    ['whose capability there is', { includes: { caps: ['CAP_CHOWN'] } }, ['x']],
    ['whose capability there is not', { includes: { caps: ['CAP_SYS_ADMIN'] } }, []],
    ['without whom it is', { excludes: { caps: ['CAP_CHOWN'] } }, []],
    ['of another processor', { includes: { arches: ['s390x'] } }, []],
    ['of this one', { includes: { arches: ['amd64'] } }, ['x']],
    ['of an older kernel', { includes: { minKernel: '4.8' } }, ['x']],
    ['of a newer one', { includes: { minKernel: '6.2' } }, []],
    ['with empty ones', { includes: {}, excludes: {}, args: null, comment: '' }, ['x']],
  ])("has Docker's rules for some: %s", (_name, more, want) => {
    const { rules } = parse({
      defaultAction: 'SCMP_ACT_ERRNO',
      syscalls: [{ names: ['x'], action: 'SCMP_ACT_ALLOW', ...more }],
    });
    expect(rules.flatMap((rule) => rule.names)).toEqual(want);
  });

  test.each<[string, object | string, string]>([
    ['no JSON', '{', 'not JSON'],
    ['a list', [], 'not an object'],
    ['no default', {}, 'defaultAction: undefined is no action'],
    ['an action of nobody', { defaultAction: 'ALLOW' }, 'defaultAction: "ALLOW" is no action'],
    ['a listener', { defaultAction: 'SCMP_ACT_NOTIFY' }, 'SCMP_ACT_NOTIFY'],
    ['a flag', { defaultAction: 'SCMP_ACT_ALLOW', flags: ['X'] }, 'flags: X'],
    [
      'an argument too far',
      {
        defaultAction: 'SCMP_ACT_ALLOW',
        syscalls: [
          { names: ['read'], action: 'SCMP_ACT_LOG', args: [{ index: 6, value: 1, op: 'SCMP_CMP_EQ' }] },
        ],
      },
      'syscalls[0].args[0].index',
    ],
    [
      'a comparison',
      {
        defaultAction: 'SCMP_ACT_ALLOW',
        syscalls: [{ names: ['read'], action: 'SCMP_ACT_LOG', args: [{ index: 1, value: 1, op: '=' }] }],
      },
      'is no comparison',
    ],
    [
      'a negative value',
      {
        defaultAction: 'SCMP_ACT_ALLOW',
        syscalls: [
          { names: ['read'], action: 'SCMP_ACT_LOG', args: [{ index: 1, value: -1, op: 'SCMP_CMP_EQ' }] },
        ],
      },
      'not a number of 64 bits',
    ],
    ['an errno', { defaultAction: 'SCMP_ACT_ERRNO', defaultErrnoRet: 'x' }, 'errno "x"'],
  ])('is refused with %s', (_name, document, message) => {
    const text = typeof document === 'string' ? document : JSON.stringify(document);
    expect(() => parseSeccompProfile(text, reader)).toThrow(message);
  });
});
