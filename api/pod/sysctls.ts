/** Names of kernel parameters as a pod gives them, and the namespace that makes each one the pod's own. Pure. */

/** A namespace that holds kernel parameters apart from the host's (ipc_namespaces(7), network_namespaces(7)). */
export type SysctlNamespace = 'ipc' | 'net';

/** Bytes of a name at most, as Kubernetes validates it (SysctlMaxLength). */
export const sysctlNameMax = 253;

/** As Kubernetes writes it into its complaint (SysctlContainSlashFmt). */
export const sysctlNameFormat = '^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$';

const segment = /^[a-z0-9](?:[-_a-z0-9]*[a-z0-9])?$/;

/** Whether the API takes the name: lower-case segments between dots or slashes. Linear in its length. */
export function isSysctlName(name: string): boolean {
  return name.length <= sysctlNameMax && name.split(/[./]/).every((part) => segment.test(part));
}

/**
 * The name with dots between its parts. Where a slash comes first, slashes separate and a dot belongs to a part, as sysctl(8) reads
 * them: `net/ipv4/conf/eth0.100/forwarding` is `net.ipv4.conf.eth0/100.forwarding`.
 */
export function normalizeSysctl(name: string): string {
  if (/[./]/.exec(name)?.[0] !== '/') return name;
  return name.replace(/[./]/g, (separator) => (separator === '/' ? '.' : '/'));
}

const ipcNames: ReadonlySet<string> = new Set([
  'kernel.sem',
  'kernel.shmall',
  'kernel.shmmax',
  'kernel.shmmni',
  'kernel.shm_rmid_forced',
  'kernel.msgmax',
  'kernel.msgmnb',
  'kernel.msgmni',
]);

/** The namespace of a parameter by its normalized name; undefined: it is the whole machine's. */
export function sysctlNamespace(name: string): SysctlNamespace | undefined {
  if (name.startsWith('net.')) return 'net';
  return name.startsWith('fs.mqueue.') || ipcNames.has(name) ? 'ipc' : undefined;
}
