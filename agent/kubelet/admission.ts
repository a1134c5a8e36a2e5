import type { Pod } from '#api/objects.ts';
import { conflictsWith, podHostPorts } from '#api/pod/host-ports.ts';
import { podRequestNumbers } from '#api/pod/requests.ts';
import { isTerminal } from '#api/pod/state.ts';
import type { NodeFacts } from './ports.ts';
import { unsupportedIn } from './unsupported.ts';

/** Why a node does not take a pod: reason and message of its Failed status. */
export interface Refusal {
  readonly reason: string;
  readonly message: string;
}

/**
 * Whether the node takes a new pod. The scheduler has decided the same before, but pods may name their node themselves, and
 * two schedulers may have decided at once.
 */
export function refusalOf(pod: Pod, others: readonly Pod[], node: NodeFacts): Refusal | undefined {
  const active = others.filter((other) => other.metadata?.uid !== pod.metadata?.uid && !isTerminal(other));
  return unsupported(pod, node) ?? portConflict(pod, active) ?? shortage(pod, active, node);
}

function portConflict(pod: Pod, active: readonly Pod[]): Refusal | undefined {
  const wanted = podHostPorts(pod);
  if (wanted.length === 0) return undefined;
  const taken = active.flatMap(podHostPorts);
  if (!wanted.some((one) => taken.some((used) => conflictsWith(one, used)))) return undefined;
  return { reason: 'NodePorts', message: "node(s) didn't have free ports for the requested pod ports" };
}

/** `OutOfpods`, `OutOfcpu` and their like. */
function shortage(pod: Pod, active: readonly Pod[], node: NodeFacts): Refusal | undefined {
  if (active.length >= node.podsMax) {
    const message = `Node didn't have enough resource: pods, requested: 1, used: ${active.length}, capacity: ${node.podsMax}`;
    return { reason: 'OutOfpods', message };
  }
  return resourceShortage(pod, active, node);
}

/** `OutOfcpu` and its like, of the resources named or of all: what others of the node leave is not enough. */
export function resourceShortage(
  pod: Pod,
  active: readonly Pod[],
  node: NodeFacts,
  only?: ReadonlySet<string>,
): Refusal | undefined {
  const { cpuMilli, memoryBytes, storageBytes } = node.allocatable;
  const wanted = podRequestNumbers(pod);
  // Extended resources are the scheduler's and the device plugins'; huge pages are the kernel's, and none are set aside.
  const hugePages = [...wanted.keys()].filter((name) => name.startsWith('hugepages-'));
  const capacities = {
    cpu: cpuMilli,
    memory: memoryBytes,
    'ephemeral-storage': storageBytes,
    ...Object.fromEntries(hugePages.map((name) => [name, 0])),
  };
  for (const [name, capacity] of Object.entries(capacities)) {
    const requested = wanted.get(name) ?? 0;
    if (requested === 0 || only?.has(name) === false) continue;
    const used = active.reduce((sum, other) => sum + (podRequestNumbers(other).get(name) ?? 0), 0);
    if (used + requested <= capacity) continue;
    const message = `Node didn't have enough resource: ${name}, requested: ${requested}, used: ${used}, capacity: ${capacity}`;
    return { reason: `OutOf${name}`, message };
  }
  return undefined;
}

// Sysctls that are namespaced and harmless to others (kubelet's safe set).
const safeSysctls: ReadonlySet<string> = new Set([
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

/** Nothing that is asked for is silently left out. */
function unsupported(pod: Pod, node: NodeFacts): Refusal | undefined {
  const { spec } = pod;
  const unsafe = (spec?.securityContext?.sysctls ?? []).find(
    ({ name }) => !safeSysctls.has(name.replaceAll('/', '.')),
  );
  if (unsafe !== undefined) {
    return { reason: 'SysctlForbidden', message: `forbidden sysctl: "${unsafe.name}" not allowlisted` };
  }
  if (spec?.os?.name !== undefined && spec.os.name !== 'linux') {
    return {
      reason: 'PodOSNotSupported',
      message: `Failed to admit pod as the OS field doesn't match node OS`,
    };
  }
  const missing = unsupportedIn(pod, node);
  if (missing === undefined) return undefined;
  return { reason: 'UnexpectedAdmissionError', message: `${missing} is not supported by this node` };
}
