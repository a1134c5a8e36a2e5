/** Which kernel parameters a pod may set. Pure. */
import type { Pod } from '#api/generated/objects.ts';
import { normalizeSysctl, sysctlNamespace } from '#api/pod/sysctls.ts';
import type { Refusal } from './refusal.ts';

/**
 * Parameters that are held apart per pod and that harm no other (the kubelet's safe set, pkg/kubelet/sysctl): each is safe only in
 * a namespace of the pod's own.
 */
export const safeSysctls: ReadonlySet<string> = new Set([
  'kernel.shm_rmid_forced',
  'net.ipv4.ip_local_port_range',
  'net.ipv4.tcp_syncookies',
  'net.ipv4.ping_group_range',
  'net.ipv4.ip_unprivileged_port_start',
  'net.ipv4.ip_local_reserved_ports',
  'net.ipv4.tcp_keepalive_time',
  'net.ipv4.tcp_fin_timeout',
  'net.ipv4.tcp_keepalive_intvl',
  'net.ipv4.tcp_keepalive_probes',
  'net.ipv4.tcp_rmem',
  'net.ipv4.tcp_wmem',
]);

/** The first parameter that the pod may not set, in the kubelet's words. */
export function sysctlRefusal({ spec }: Pod, allowedUnsafe: readonly string[] = []): Refusal | undefined {
  const isShared = { net: spec?.hostNetwork === true, ipc: spec?.hostIPC === true };
  for (const sysctl of spec?.securityContext?.sysctls ?? []) {
    const name = normalizeSysctl(sysctl.name);
    const isAllowed = safeSysctls.has(name) || allowedUnsafe.some((pattern) => matches(pattern, name));
    const namespace = isAllowed ? sysctlNamespace(name) : undefined;
    if (namespace === undefined) return forbidden(`"${name}" not allowlisted`);
    if (isShared[namespace]) return forbidden(`"${name}" not allowed with host ${namespace} enabled`);
  }
  return undefined;
}

/** `net.core.somaxconn`, `net.ipv4.*` (KubeletConfiguration, allowedUnsafeSysctls). */
function matches(pattern: string, name: string): boolean {
  const known = normalizeSysctl(pattern);
  return known.endsWith('*') ? name.startsWith(known.slice(0, -1)) : name === known;
}

function forbidden(why: string): Refusal {
  return { reason: 'SysctlForbidden', message: `forbidden sysctl: ${why}` };
}
