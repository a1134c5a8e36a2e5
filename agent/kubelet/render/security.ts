import { PodwrightError } from '#base/errors.ts';
import type { Container, EphemeralContainer, Pod } from '#api/generated/objects.ts';
import type { LaunchSecurity } from '#native/launch/launch.ts';
import { renderAppArmor, type LoadedProfiles } from './apparmor.ts';
import { renderSeccomp, type SeccompFacts } from './seccomp.ts';
import type { ContainerConfig, ImageRecord } from '#agent/runtime/runtime.ts';

/** The capabilities that containers keep unless told otherwise: Docker's and containerd's default set. */
export const defaultCapabilities: readonly string[] = [
  'CAP_CHOWN',
  'CAP_DAC_OVERRIDE',
  'CAP_FSETID',
  'CAP_FOWNER',
  'CAP_MKNOD',
  'CAP_NET_RAW',
  'CAP_SETGID',
  'CAP_SETUID',
  'CAP_SETFCAP',
  'CAP_SETPCAP',
  'CAP_NET_BIND_SERVICE',
  'CAP_SYS_CHROOT',
  'CAP_KILL',
  'CAP_AUDIT_WRITE',
];

/** All of linux/capability.h up to CAP_CHECKPOINT_RESTORE, in order of their numbers. */
export const allCapabilities: readonly string[] = (
  'CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE ' +
  'NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN ' +
  'SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE ' +
  'MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE'
)
  .split(' ')
  .map((name) => `CAP_${name}`);

// The OCI defaults of every container runtime.
const maskedPaths: readonly string[] = [
  '/proc/asound',
  '/proc/acpi',
  '/proc/interrupts',
  '/proc/kcore',
  '/proc/keys',
  '/proc/latency_stats',
  '/proc/timer_list',
  '/proc/timer_stats',
  '/proc/sched_debug',
  '/proc/scsi',
  '/sys/firmware',
  '/sys/devices/virtual/powercap',
];
const readonlyPaths: readonly string[] = [
  '/proc/bus',
  '/proc/fs',
  '/proc/irq',
  '/proc/sys',
  '/proc/sysrq-trigger',
];

/** What the node has of profiles. */
export interface ProfileFacts extends SeccompFacts {
  /** Undefined: the kernel has no AppArmor. */
  readonly appArmor?: LoadedProfiles | undefined;
}

/** The security of a container's process. Pure. @throws {E_INVALID} unknown capability, a profile that does not serve */
export function renderSecurity(
  pod: Pod,
  container: Container | EphemeralContainer,
  facts: ProfileFacts,
): LaunchSecurity {
  const own = container.securityContext ?? {};
  const privileged = own.privileged === true;
  const isMasked = !privileged && own.procMount !== 'Unmasked';
  const capabilities = renderCapabilities(privileged, own.capabilities);
  const appArmor = renderAppArmor(pod, container, facts.appArmor);
  return {
    capabilities,
    noNewPrivileges: own.allowPrivilegeEscalation === false && !privileged,
    privileged,
    seccomp: renderSeccomp(pod, container, capabilities, facts),
    ...(appArmor === undefined ? {} : { appArmor }),
    readonlyRoot: own.readOnlyRootFilesystem === true,
    maskedPaths: isMasked ? maskedPaths : [],
    readonlyPaths: isMasked ? readonlyPaths : [],
  };
}

/** Sorted by their numbers. @throws {E_INVALID} unknown capability */
export function renderCapabilities(
  privileged: boolean,
  asked:
    | { readonly add?: readonly string[] | undefined; readonly drop?: readonly string[] | undefined }
    | undefined,
): readonly string[] {
  if (privileged) return allCapabilities;
  const names = (list: readonly string[] | undefined): readonly string[] => (list ?? []).map(capabilityName);
  const add = names(asked?.add);
  const drop = names(asked?.drop);
  const kept = new Set(drop.includes('CAP_ALL') ? [] : defaultCapabilities);
  if (add.includes('CAP_ALL')) for (const name of allCapabilities) kept.add(name);
  for (const name of drop) kept.delete(name);
  for (const name of add) if (name !== 'CAP_ALL') kept.add(name);
  return allCapabilities.filter((name) => kept.has(name));
}

function capabilityName(name: string): string {
  const upper = name.toUpperCase();
  const full = upper.startsWith('CAP_') ? upper : `CAP_${upper}`;
  if (full === 'CAP_ALL' || allCapabilities.includes(full)) return full;
  throw new PodwrightError('E_INVALID', `unknown capability "${name}"`);
}

/** Who a container runs as. @throws {E_INVALID} when it must not be root and would be, or that cannot be known */
export function renderUser(
  pod: Pod,
  container: Container | EphemeralContainer,
  image: ImageRecord | undefined,
): Pick<ContainerConfig, 'user' | 'runAsNonRoot'> {
  const own = container.securityContext ?? {};
  const shared = pod.spec?.securityContext ?? {};
  const uid = own.runAsUser ?? shared.runAsUser;
  const gid = own.runAsGroup ?? shared.runAsGroup;
  const runAsNonRoot = own.runAsNonRoot ?? shared.runAsNonRoot ?? false;
  if (runAsNonRoot) checkNonRoot(uid, image?.user ?? '', container.name);
  return {
    user: {
      ...(uid === undefined ? {} : { uid }),
      ...(gid === undefined ? {} : { gid }),
      additionalGids: shared.supplementalGroups ?? [],
      fsGroups: shared.fsGroup === undefined ? [] : [shared.fsGroup],
      ...(shared.supplementalGroupsPolicy === 'Strict' ? { leavesImageGroups: true } : {}),
    },
    runAsNonRoot,
  };
}

function checkNonRoot(uid: number | undefined, imageUser: string, container: string): void {
  if (uid !== undefined) {
    if (uid === 0)
      throw new PodwrightError(
        'E_INVALID',
        `container's runAsUser breaks non-root policy (container: ${container})`,
      );
    return;
  }
  const name = imageUser.split(':')[0] ?? '';
  if (name !== '' && !/^\d+$/.test(name)) {
    throw new PodwrightError(
      'E_INVALID',
      `container has runAsNonRoot and image has non-numeric user (${name}), cannot verify user is non-root (container: ${container})`,
    );
  }
  if (Number(name) === 0) {
    throw new PodwrightError(
      'E_INVALID',
      `container has runAsNonRoot and image will run as root (container: ${container})`,
    );
  }
}
