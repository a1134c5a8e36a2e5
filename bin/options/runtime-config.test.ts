import { describe, expect, it } from 'vitest';
import { formatGroupVersion } from '#api/schema/kinds.ts';
import { runtimeConfigProblems, versionsServed } from './runtime-config.ts';

const gangs = 'scheduling.k8s.io/v1alpha2';
const migrations = 'storagemigration.k8s.io/v1beta1';

describe('runtimeConfigProblems()', () => {
  it.each([
    [[], []],
    [[`${gangs}=true`], []],
    [[gangs], []],
    [[`${gangs}=false`], []],
    [['apps/v1=true'], []],
    [[`${gangs}=yes`], [`--runtime-config ${gangs}=yes: write GROUP/VERSION=true`]],
    [['apps/v1=false'], ['--runtime-config apps/v1=false: it is served always']],
    [
      ['a/v1=true'],
      [
        `--runtime-config a/v1=true: podwright has no a/v1; it has certificates.k8s.io/v1beta1, coordination.k8s.io/v1beta1, resource.k8s.io/v1beta2, ${gangs}, ${migrations}`,
      ],
    ],
  ])('%j', (runtimeConfig, want) => expect(runtimeConfigProblems({ runtimeConfig })).toEqual(want));
});

describe('versionsServed()', () => {
  const named = (...runtimeConfig: string[]): readonly string[] =>
    versionsServed({ runtimeConfig }).map(formatGroupVersion);

  it('has what is asked for beside its group', () => {
    const with_ = named(`${gangs}=true`);
    expect(with_[with_.indexOf('scheduling.k8s.io/v1') + 1]).toBe(gangs);
    expect(with_.filter((name) => name !== gangs)).toEqual(named());
  });

  it('has what is asked for of a group that has nothing else', () => {
    expect(named(`${migrations}=true`)).toEqual([...named(), migrations]);
  });

  it('goes by what was said last', () => {
    expect(named(`${gangs}=true`, `${gangs}=false`)).not.toContain(gangs);
    expect(named()).not.toContain(gangs);
  });
});
