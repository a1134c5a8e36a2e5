import { expect, it } from 'vitest';
import { isPodwrightError } from '#base/errors.ts';
import type { LinuxContainerSecurityContext } from '#proto/cri/api.ts';
import { statusNameOf } from '#proto/status.ts';
import { appArmorOf, wantsDefaultProfile } from './render-confinement.ts';

type Asked = Parameters<typeof appArmorOf>[0];
const profile = (
  profile_type: 'RuntimeDefault' | 'Unconfined' | 'Localhost',
  localhost_ref = '',
): Partial<Asked> => ({ apparmor: { profile_type, localhost_ref } });
const asked = (change: Partial<Asked>): Pick<LinuxContainerSecurityContext, keyof Asked> => ({
  ...{ apparmor: null, apparmor_profile: '', privileged: false },
  ...change,
});
const loaded = new Set(['podwright-default', 'web']);
const outcome = (change: Partial<Asked>, profiles?: ReadonlySet<string>): string | undefined => {
  try {
    return appArmorOf(asked(change), profiles);
  } catch (error) {
    return isPodwrightError(error) ? statusNameOf(error) : String(error);
  }
};

it.each<[string, Partial<Asked>, string | undefined, string | undefined]>([
  ['nothing', {}, 'podwright-default', undefined],
  ['nothing, privileged', { privileged: true }, undefined, undefined],
  ['the default', profile('RuntimeDefault'), 'podwright-default', 'UNIMPLEMENTED'],
  ['the default, as of old', { apparmor_profile: 'runtime/default' }, 'podwright-default', 'UNIMPLEMENTED'],
  ['the default, privileged', { ...profile('RuntimeDefault'), privileged: true }, undefined, 'UNIMPLEMENTED'],
  ['none', profile('Unconfined'), undefined, undefined],
  ['none, as of old', { apparmor_profile: 'unconfined' }, undefined, undefined],
  ['one of the host', profile('Localhost', 'web'), 'web', 'UNIMPLEMENTED'],
  [
    'one of the host, privileged',
    { ...profile('Localhost', 'web'), privileged: true },
    'web',
    'UNIMPLEMENTED',
  ],
  ['one of the host, as of old', { apparmor_profile: 'localhost/web' }, 'web', 'UNIMPLEMENTED'],
  ['the newer field', { ...profile('Unconfined'), apparmor_profile: 'localhost/web' }, undefined, undefined],
  ['one that is not loaded', profile('Localhost', 'db'), 'NOT_FOUND', 'UNIMPLEMENTED'],
  ['one without a name', profile('Localhost'), 'INVALID_ARGUMENT', 'UNIMPLEMENTED'],
  ['no profile at all', { apparmor_profile: 'web' }, 'INVALID_ARGUMENT', 'INVALID_ARGUMENT'],
])('appArmorOf() of who asks for %s', (_name, change, want, wantWithout) => {
  expect([outcome(change, loaded), outcome(change)]).toEqual([want, wantWithout]);
});

it('appArmorOf() misses no default that nobody asked for', () => {
  expect(outcome({}, new Set())).toBeUndefined();
  expect(outcome(profile('RuntimeDefault'), new Set())).toBe('NOT_FOUND');
});

it('wantsDefaultProfile() where it is asked for, or nothing is', () => {
  const all: readonly Partial<Asked>[] = [{}, profile('RuntimeDefault'), profile('Localhost', 'web')];
  expect(all.map((each) => wantsDefaultProfile(asked(each)))).toEqual([true, true, false]);
  expect(wantsDefaultProfile(asked({ privileged: true }))).toBe(false);
});
