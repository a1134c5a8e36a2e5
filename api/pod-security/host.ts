import { counted, plural, quoted, search, type Check } from './control.ts';

/** Namespaces, files, ports and settings that are the node's. */
export const hostNamespaces: Check = ({ spec }) => {
  const shared = (['hostNetwork', 'hostPID', 'hostIPC'] as const).filter((field) => spec[field] === true);
  return shared.length === 0
    ? undefined
    : { reason: 'host namespaces', detail: shared.map((field) => `${field}=true`).join(', ') };
};

export const hostPathVolumes: Check = ({ spec: { volumes = [] } }) => {
  const names = volumes.filter(({ hostPath }) => hostPath !== undefined).map(({ name }) => name);
  return names.length === 0
    ? undefined
    : { reason: 'hostPath volumes', detail: `${plural('volume', names)} ${quoted(names)}` };
};

/** Ports are in order of their text, as upstream has them. */
export const hostPorts: Check = ({ spec }) => {
  const found = search(spec, {
    ofContainer: ({ ports = [] }) =>
      ports.map(({ hostPort = 0 }) => String(hostPort)).filter((port) => port !== '0'),
  });
  if (found === undefined) return undefined;
  const { containers, values } = found;
  const uses = containers.length === 1 ? 'uses' : 'use';
  return {
    reason: 'hostPort',
    detail: `${counted('container', containers)} ${uses} ${plural('hostPort', values)} ${values.join(', ')}`,
  };
};

/** Sysctls that touch nobody but the pod, and since which minor version of 1.x they are known to. */
const safeSysctls: Readonly<Record<string, number>> = {
  'kernel.shm_rmid_forced': 0,
  'net.ipv4.ip_local_port_range': 0,
  'net.ipv4.tcp_syncookies': 0,
  'net.ipv4.ping_group_range': 0,
  'net.ipv4.ip_unprivileged_port_start': 0,
  'net.ipv4.ip_local_reserved_ports': 27,
  'net.ipv4.tcp_keepalive_time': 29,
  'net.ipv4.tcp_fin_timeout': 29,
  'net.ipv4.tcp_keepalive_intvl': 29,
  'net.ipv4.tcp_keepalive_probes': 29,
  'net.ipv4.tcp_rmem': 32,
  'net.ipv4.tcp_wmem': 32,
};

export function sysctls(minor: number): Check {
  const safe = new Set(Object.keys(safeSysctls).filter((name) => (safeSysctls[name] ?? Infinity) <= minor));
  return ({ spec: { securityContext } }) => {
    const unsafe = (securityContext?.sysctls ?? []).map(({ name }) => name).filter((name) => !safe.has(name));
    return unsafe.length === 0 ? undefined : { reason: 'forbidden sysctls', detail: unsafe.join(', ') };
  };
}
