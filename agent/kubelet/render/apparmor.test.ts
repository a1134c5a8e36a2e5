import { expect, test } from 'vitest';
import type { AppArmorProfile, Pod } from '#api/generated/objects.ts';
import { defaultAppArmorProfile, renderAppArmor, wantsDefaultProfile } from './apparmor.ts';

const podOf = (appArmorProfile?: AppArmorProfile): Pod => ({
  spec: {
    containers: [],
    ...(appArmorProfile === undefined ? {} : { securityContext: { appArmorProfile } }),
  },
});
const local = { type: 'Localhost', localhostProfile: 'mine' } as const;
const all = new Set(['mine', defaultAppArmorProfile]);

test.each<[string, Pod, AppArmorProfile | undefined, ReadonlySet<string> | undefined, string | undefined]>([
  ['nobody asks', podOf(), undefined, all, defaultAppArmorProfile],
  ['nobody asks, where it could not be loaded', podOf(), undefined, new Set(), undefined],
  ['nobody asks, where there is none', podOf(), undefined, undefined, undefined],
  ['the pod asks', podOf(local), undefined, all, 'mine'],
  ['the container asks for another', podOf(local), { type: 'RuntimeDefault' }, all, defaultAppArmorProfile],
  ['the container wants none', podOf(local), { type: 'Unconfined' }, all, undefined],
  ['no profile of the name', podOf(local), undefined, new Set(), 'apparmor profile not found mine'],
  ['no default', podOf({ type: 'RuntimeDefault' }), undefined, new Set(), 'apparmor_parser'],
  ['no AppArmor', podOf(local), undefined, undefined, 'AppArmor is not enabled on the host'],
])('renderAppArmor() where %s', (_name, pod, own, loaded, want) => {
  const container = { name: 'c', securityContext: own === undefined ? {} : { appArmorProfile: own } };
  let told: string | undefined;
  try {
    told = renderAppArmor(pod, container, loaded);
  } catch (error) {
    told = error instanceof Error ? error.message : '';
  }
  if (want === undefined) expect(told).toBeUndefined();
  else expect(told).toContain(want);
});

test('a privileged container has no profile but by name', () => {
  const privileged = { name: 'c', securityContext: { privileged: true } };
  expect(renderAppArmor(podOf(), privileged, all)).toBeUndefined();
  expect(wantsDefaultProfile(podOf(), privileged)).toBe(false);
  expect(renderAppArmor(podOf(local), privileged, all)).toBe('mine');
});
