import { describe, expect, it } from 'vitest';
import { verdictOf } from '#native/launch/seccomp.ts';
import { syscallsOf } from '#native/launch/syscall-numbers.ts';
import { parseSeccompProfile } from './profile.ts';
import { renderDefaultSeccomp, renderProfileSeccomp, renderUnconfinedSeccomp } from './oci-seccomp.ts';

describe('renderDefaultSeccomp()', () => {
  it.each([[[]], [['CAP_SYS_ADMIN', 'CAP_SYS_PTRACE']]])(
    'says of every call what the filter does, with %j',
    (capabilities) => {
      const { syscalls, defaultErrnoRet } = renderDefaultSeccomp(capabilities, 'x86_64');
      expect(defaultErrnoRet).toBe(38);
      for (const name of syscallsOf('x86_64').keys()) {
        const rules = syscalls.filter(({ names }) => names.includes(name));
        const verdict = verdictOf(name, new Set(capabilities));
        const want = {
          allow: ['SCMP_ACT_ALLOW'],
          errno: verdict.kind === 'errno' && verdict.errno === 1 ? ['SCMP_ACT_ERRNO'] : [],
          values: expect.arrayContaining(['SCMP_ACT_ALLOW']),
          'without-bits': ['SCMP_ACT_ALLOW'],
        }[verdict.kind];
        expect(
          rules.map(({ action }) => action),
          name,
        ).toEqual(want);
      }
    },
  );
});

describe('renderUnconfinedSeccomp()', () => {
  it('keeps who may open by handle from it, and nobody else from anything', () => {
    expect(renderUnconfinedSeccomp([], 'x86_64')).toBeUndefined();
    const [rule] = renderUnconfinedSeccomp(['CAP_DAC_READ_SEARCH'], 'x86_64')?.syscalls ?? [];
    expect(rule).toMatchObject({ names: ['open_by_handle_at'], action: 'SCMP_ACT_ERRNO', errnoRet: 1 });
  });
});

describe('renderProfileSeccomp()', () => {
  it('gives back a profile, but for what is for others', () => {
    const rule = {
      ...{ names: ['socket'], action: 'SCMP_ACT_ERRNO', errnoRet: 7 },
      args: [{ index: 0, value: 40, valueTwo: 0, op: 'SCMP_CMP_EQ' }],
    };
    const other = { names: ['bpf'], action: 'SCMP_ACT_ALLOW', includes: { caps: ['CAP_BPF'] } };
    const document = {
      ...{
        defaultAction: 'SCMP_ACT_ALLOW',
        architectures: ['SCMP_ARCH_X86_64'],
        flags: ['SECCOMP_FILTER_FLAG_LOG'],
      },
      syscalls: [rule, other],
    };
    const reader = { capabilities: [], machine: 'amd64', kernelRelease: '6.1' };
    const profile = parseSeccompProfile(JSON.stringify(document), reader);
    expect(renderProfileSeccomp(profile)).toEqual({ ...document, syscalls: [rule] });
  });
});
