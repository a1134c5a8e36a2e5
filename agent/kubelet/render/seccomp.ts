/** Which system calls a container may make: of its profile, the node's default and what it is privileged to. Pure. */
import type { Container, EphemeralContainer, Pod, SeccompProfile } from '#api/generated/objects.ts';
import { describeError, PodwrightError } from '#base/errors.ts';
import type { LaunchSecurity, SeccompFilter } from '#native/launch/launch.ts';
import { compileSeccompProfile } from '#native/launch/seccomp-profile/compile-profile.ts';
import { renderProfileSeccomp } from '#native/launch/seccomp-profile/oci-seccomp.ts';
import { parseSeccompProfile } from '#native/launch/seccomp-profile/profile.ts';
import { hostArchitecture } from '#native/launch/syscall-numbers.ts';

/** What the node says of it. */
export interface SeccompFacts {
  /** KubeletConfiguration.seccompDefault: RuntimeDefault for who asks for nothing. */
  readonly isDefault: boolean;
  readonly kernelRelease: string;
  /** Text of the profile of type Localhost; undefined: there is no such file. */
  readonly localhostProfile: string | undefined;
}

/** A node that decides nothing. */
export const undecided: SeccompFacts = { isDefault: false, kernelRelease: '', localhostProfile: undefined };

type AnyContainer = Container | EphemeralContainer;

/** Bytes of a profile; Docker's has 13,000. */
export const profileBytesMax = 262_144;

function profileOf(pod: Pod, container: AnyContainer): SeccompProfile | undefined {
  return container.securityContext?.seccompProfile ?? pod.spec?.securityContext?.seccompProfile;
}

/** The file that a container's profile is in, below the node's directory of profiles; undefined: it needs none. */
export function localhostProfileOf(pod: Pod, container: AnyContainer): string | undefined {
  const profile = profileOf(pod, container);
  if (profile?.type !== 'Localhost' || container.securityContext?.privileged === true) return undefined;
  return profile.localhostProfile ?? '';
}

/** @throws {E_NOT_FOUND, E_INVALID, E_UNSUPPORTED} naming the profile */
export function renderSeccomp(
  pod: Pod,
  container: AnyContainer,
  capabilities: readonly string[],
  facts: SeccompFacts,
): LaunchSecurity['seccomp'] {
  const profile = profileOf(pod, container);
  const type = profile?.type ?? (facts.isDefault ? 'RuntimeDefault' : 'Unconfined');
  if (container.securityContext?.privileged === true) return 'unconfined';
  if (type !== 'Localhost') return type === 'RuntimeDefault' ? 'runtime-default' : 'unconfined';
  const name = profile?.localhostProfile ?? '';
  const attempt = `load seccomp profile "${name}"`;
  if (facts.localhostProfile === undefined)
    throw new PodwrightError('E_NOT_FOUND', `${attempt}: no such file in the node's directory of profiles`);
  return compileLocalProfile(name, facts.localhostProfile, { capabilities, ...facts });
}

/** A profile of a file, of this text. @throws {E_INVALID} naming it */
export function compileLocalProfile(
  name: string,
  text: string,
  host: { readonly capabilities: readonly string[]; readonly kernelRelease: string },
): SeccompFilter {
  try {
    const machine = hostArchitecture === 'aarch64' ? 'arm64' : 'amd64';
    const { capabilities, kernelRelease } = host;
    const parsed = parseSeccompProfile(text, { capabilities, machine, kernelRelease });
    const program = compileSeccompProfile(parsed, hostArchitecture).toString('base64');
    const profile = renderProfileSeccomp(parsed);
    return { name: `localhost/${name}`, program, flags: parsed.flags, profile };
  } catch (cause) {
    throw new PodwrightError('E_INVALID', `load seccomp profile "${name}": ${describeError(cause)}`, {
      cause,
    });
  }
}
