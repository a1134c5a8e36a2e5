/** CRI's configuration of a sandbox in terms of the runtime. Pure. Whatever is asked for and not to be had is refused by its name. */
import type { IdRange } from '#native/launch/launch.ts';
import type {
  IDMapping,
  LinuxSandboxSecurityContext,
  NamespaceOption,
  PodSandboxConfig,
} from '#proto/cri/api.ts';
import { refusal } from '#proto/status.ts';
import type { SandboxConfig } from '#agent/runtime/runtime.ts';

export interface SandboxPlace {
  /** The runtime's name of it. */
  readonly uid: string;
  /** Of sandboxes without a `cgroup_parent`, relative to the tree's root. */
  readonly cgroupDefault: string;
  /** Labels of SELinux mean something on this host. */
  readonly isSelinuxEnabled: boolean;
  /** Why no sandbox can have a user namespace, in words; undefined: they can. */
  readonly userNamespaceProblem: string | undefined;
}

const hostnameMax = 63;

/** @throws INVALID_ARGUMENT, UNIMPLEMENTED */
export function sandboxConfigOf(config: PodSandboxConfig, place: SandboxPlace): SandboxConfig {
  const { metadata, linux } = config;
  if (metadata === null || metadata.name === '' || metadata.namespace === '' || metadata.uid === '') {
    throw refusal('INVALID_ARGUMENT', 'config.metadata: name, namespace and uid must be given');
  }
  const security = linux?.security_context ?? null;
  checkLabels(security, place.isSelinuxEnabled);
  const namespaces = sandboxNamespaces(security?.namespace_options);
  if (namespaces.ids !== undefined && place.userNamespaceProblem !== undefined)
    throw refusal('UNIMPLEMENTED', `namespace_options.userns_options: ${place.userNamespaceProblem}`);
  return {
    uid: place.uid,
    podUid: metadata.uid,
    namespace: metadata.namespace,
    name: metadata.name,
    attempt: 0, // Of this uid: each of CRI's attempts is a sandbox of its own.
    hostname: hostnameOf(config),
    labels: config.labels,
    annotations: config.annotations,
    ...namespaces,
    sysctls: linux?.sysctls ?? {},
    portMappings: namespaces.hostNetwork ? [] : portMappingsOf(config),
    cgroupParent: `${cgroupParentOf(linux?.cgroup_parent ?? '', place)}/${place.uid}`,
    // The pod's own limits are the kubelet's, on the cgroup above. `linux.resources` is a sum over the containers that have a limit: in
    // force, it would hold back those that have none.
    resources: {},
  };
}

function hostnameOf({ hostname, metadata }: PodSandboxConfig): string {
  if (hostname !== '') return hostname;
  return (metadata?.name ?? '').slice(0, hostnameMax).replace(/[-.]+$/, '');
}

function portMappingsOf({ port_mappings: mappings }: PodSandboxConfig): SandboxConfig['portMappings'] {
  const wanted = mappings.filter(({ host_port: hostPort }) => hostPort > 0);
  return wanted.map(({ host_port: hostPort, container_port: containerPort, protocol, host_ip: hostIp }) => {
    const isPort = (port: number): boolean => port >= 1 && port <= 65_535;
    if (isPort(hostPort) && isPort(containerPort)) return { hostPort, containerPort, protocol, hostIp };
    throw refusal('INVALID_ARGUMENT', `port_mappings: ${hostPort} to ${containerPort}`);
  });
}

/** A path of the hierarchy, as RuntimeConfig says (cgroupfs). */
function cgroupParentOf(parent: string, { cgroupDefault }: SandboxPlace): string {
  if (parent === '') return cgroupDefault;
  if (!parent.startsWith('/') || parent.endsWith('.slice')) {
    const why = 'the cgroup driver of this runtime is cgroupfs, whose cgroups are absolute paths';
    throw refusal('INVALID_ARGUMENT', `cgroup_parent ${JSON.stringify(parent)}: ${why}`);
  }
  const parts = parent.split('/').filter((part) => part !== '');
  const isBad = (part: string): boolean => part === '.' || part === '..' || part.includes('\0');
  if (parts.length === 0 || parts.some(isBad)) {
    throw refusal('INVALID_ARGUMENT', `cgroup_parent ${JSON.stringify(parent)}`);
  }
  return parts.join('/');
}

export type SandboxNamespaces = Pick<
  SandboxConfig,
  'hostNetwork' | 'hostPid' | 'hostIpc' | 'sharePidNamespace' | 'hasOwnUsers' | 'ids'
>;

/** Without any it is POD, the first of CRI's modes. */
export function sandboxNamespaces(options: NamespaceOption | null | undefined): SandboxNamespaces {
  const ids = userIdsOf(options);
  const { network = 'POD', pid = 'POD', ipc = 'POD' } = options ?? {};
  if (
    network === 'CONTAINER' ||
    network === 'TARGET' ||
    ipc === 'CONTAINER' ||
    ipc === 'TARGET' ||
    pid === 'TARGET'
  ) {
    throw refusal(
      'INVALID_ARGUMENT',
      `namespace_options of a sandbox: network ${network}, pid ${pid}, ipc ${ipc}`,
    );
  }
  if (ids !== undefined && [network, pid, ipc].includes('NODE'))
    throw refusal('UNIMPLEMENTED', "namespace_options.userns_options: not with namespaces of the node's");
  return {
    hostNetwork: network === 'NODE',
    hostPid: pid === 'NODE',
    hostIpc: ipc === 'NODE',
    sharePidNamespace: pid === 'POD',
    ...(ids === undefined ? {} : { hasOwnUsers: true, ids }),
  };
}

/** The host's ids of a user namespace, which the client chooses; undefined: it is the node's. @throws INVALID_ARGUMENT, UNIMPLEMENTED */
export function userIdsOf(options: NamespaceOption | null | undefined): IdRange | undefined {
  const user = options?.userns_options ?? null;
  if (user === null || user.mode === 'NODE') return undefined;
  if (user.mode !== 'POD') throw refusal('INVALID_ARGUMENT', `namespace_options.userns_options ${user.mode}`);
  const ids = rangeOf(user.uids, user.gids);
  if (ids !== undefined) return ids;
  const why = 'one range of each is wanted, the same, of 0 in the container and not of the root of the host';
  throw refusal('INVALID_ARGUMENT', `namespace_options.userns_options: ${why}`);
}

/** What both map, where it is one range from 0 on. */
export function rangeOf(uids: readonly IDMapping[], gids: readonly IDMapping[]): IdRange | undefined {
  const [uid, gid] = [uids[0], gids[0]];
  if (uid === undefined || gid === undefined || uids.length + gids.length !== 2) return undefined;
  const isSame = uid.host_id === gid.host_id && uid.length === gid.length;
  const isFromRoot = uid.container_id === 0 && gid.container_id === 0;
  return isSame && isFromRoot && uid.host_id > 0 && uid.length > 0
    ? { first: uid.host_id, count: uid.length }
    : undefined;
}

/**
 * A sandbox has no container of its own here: user, groups, root and profiles of CRI's pause container are nobody's. What would hold for
 * its containers is said by each of them again.
 * @throws UNIMPLEMENTED
 */
export function checkLabels(
  security: Pick<LinuxSandboxSecurityContext, 'selinux_options'> | null,
  isSelinuxEnabled: boolean,
): void {
  if (isSelinuxEnabled && (security?.selinux_options ?? null) !== null)
    throw refusal('UNIMPLEMENTED', 'security_context.selinux_options: this runtime sets no labels');
}
