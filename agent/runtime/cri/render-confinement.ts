/** The AppArmor profile of a container, as CRI asks for it by either of its fields. Pure. */
import { defaultAppArmorProfile, type LoadedProfiles } from '#agent/kubelet/render/apparmor.ts';
import type { LinuxContainerSecurityContext, SecurityProfile } from '#proto/cri/api.ts';
import { refusal } from '#proto/status.ts';

type Asked = Pick<LinuxContainerSecurityContext, 'apparmor' | 'apparmor_profile' | 'privileged'>;
type Wish = Pick<SecurityProfile, 'profile_type' | 'localhost_ref'>;

/** Whether a profile has to be there that nobody but the node makes. Who asks for nothing has it, but for the privileged (containerd). */
export function wantsDefaultProfile(security: Asked | null): boolean {
  if (security === null || security.privileged) return false;
  return (wishOf(security)?.profile_type ?? 'RuntimeDefault') === 'RuntimeDefault';
}

/**
 * The name of the profile; undefined: none.
 * @param loaded undefined: the kernel has no AppArmor
 * @throws INVALID_ARGUMENT, UNIMPLEMENTED, NOT_FOUND naming the profile
 */
export function appArmorOf(security: Asked, loaded: LoadedProfiles | undefined): string | undefined {
  const wish = wishOf(security);
  if (wish?.profile_type === 'Unconfined') return undefined;
  if (loaded === undefined) {
    if (wish === undefined) return undefined;
    throw refusal('UNIMPLEMENTED', 'security_context.apparmor: AppArmor is not enabled on the host');
  }
  if (wish?.profile_type === 'Localhost') return loadedProfile(wish.localhost_ref, loaded);
  if (security.privileged) return undefined;
  // What nobody asked for is not missed where apparmor_parser, which loads it, is not there.
  if (wish === undefined && !loaded.has(defaultAppArmorProfile)) return undefined;
  return loadedProfile(defaultAppArmorProfile, loaded);
}

function loadedProfile(name: string, loaded: LoadedProfiles): string {
  if (name === '') throw refusal('INVALID_ARGUMENT', 'security_context.apparmor: localhost_ref is empty');
  if (loaded.has(name)) return name;
  throw refusal('NOT_FOUND', `security_context.apparmor: apparmor profile not found ${name}`);
}

/** `apparmor_profile` is what clients before 1.27 say instead. */
function wishOf({ apparmor, apparmor_profile: older }: Asked): Wish | undefined {
  if (apparmor !== null) return apparmor;
  if (older === '') return undefined;
  if (older === 'unconfined') return { profile_type: 'Unconfined', localhost_ref: '' };
  if (older === 'runtime/default') return { profile_type: 'RuntimeDefault', localhost_ref: '' };
  const [, name] = /^localhost\/(.+)$/.exec(older) ?? [];
  if (name === undefined)
    throw refusal('INVALID_ARGUMENT', `security_context.apparmor_profile ${JSON.stringify(older)}`);
  return { profile_type: 'Localhost', localhost_ref: name };
}
