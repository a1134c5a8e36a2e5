/** What a container's processes are confined to by AppArmor. Pure. */
import type { AppArmorProfile, Container, EphemeralContainer, Pod } from '#api/generated/objects.ts';
import { PodwrightError } from '#base/errors.ts';

type AnyContainer = Container | EphemeralContainer;

/** The profile of RuntimeDefault, which the node loads itself. */
export const defaultAppArmorProfile = 'podwright-default';

/** Which profiles the kernel has loaded. */
export type LoadedProfiles = Pick<ReadonlySet<string>, 'has'>;

/** The container's own before the pod's. */
export function appArmorProfileOf(pod: Pod, container: AnyContainer): AppArmorProfile | undefined {
  return container.securityContext?.appArmorProfile ?? pod.spec?.securityContext?.appArmorProfile;
}

/** Whether a profile has to be there that nobody but the node makes. */
export function wantsDefaultProfile(pod: Pod, container: AnyContainer): boolean {
  const type = appArmorProfileOf(pod, container)?.type;
  return type === 'RuntimeDefault' || (type === undefined && container.securityContext?.privileged !== true);
}

/**
 * The name of the profile; undefined: none. Who asks for nothing has the default where it is, as with containerd, but for the privileged.
 * @param loaded undefined: the kernel has no AppArmor
 * @throws {E_UNSUPPORTED, E_NOT_FOUND} naming the profile
 */
export function renderAppArmor(
  pod: Pod,
  container: AnyContainer,
  loaded: LoadedProfiles | undefined,
): string | undefined {
  const profile = appArmorProfileOf(pod, container);
  if (profile?.type === 'Unconfined') return undefined;
  if (profile === undefined) {
    const isDefault = wantsDefaultProfile(pod, container) && loaded?.has(defaultAppArmorProfile) === true;
    return isDefault ? defaultAppArmorProfile : undefined;
  }
  if (loaded === undefined)
    throw new PodwrightError('E_UNSUPPORTED', `Cannot enforce AppArmor: ${noAppArmor}`);
  const isLocal = profile.type === 'Localhost';
  const name = isLocal ? (profile.localhostProfile ?? '') : defaultAppArmorProfile;
  if (loaded.has(name)) return name;
  const remedy = isLocal ? '' : ': apparmor_parser, which loads it, is not on the node, or could not';
  throw new PodwrightError('E_NOT_FOUND', `apparmor profile not found ${name}${remedy}`);
}

/** As the kubelet says it (pkg/security/apparmor). */
export const noAppArmor = 'AppArmor is not enabled on the host';
