/** Sandboxes in CRI's words, as the kubelet would say them. Pure. What the runtime cannot do is refused by name. */
import { PodwrightError } from '#base/errors.ts';
import type { Outgoing } from '#proto/contract.ts';
import type {
  IDMapping,
  LinuxPodSandboxConfig,
  LinuxSandboxSecurityContext,
  NamespaceOption,
  PodSandboxConfig,
  SELinuxOption,
} from '#proto/cri/api.ts';
import type { HandlerFeatures, SandboxConfig, SandboxWords, SelinuxLabel } from '#agent/runtime/runtime.ts';
import type { IdRange } from '#native/launch/launch.ts';
import {
  markAnnotation,
  nodeLabel,
  podNameLabel,
  podNamespaceLabel,
  podUidLabel,
  sandboxMarkOf,
  type SandboxMark,
  type SaidSandbox,
} from './marks.ts';
import type { KnownSandbox } from './observe.ts';
import { resourcesRequest } from './render-resources.ts';

export interface SandboxPlace {
  readonly nodeName: string;
  /** CRI's attempt: no two of a pod have the same. */
  readonly attempt: number;
  /** From the top of the cgroup tree; undefined: the runtime's default. */
  readonly cgroupParent: string | undefined;
  /** What is in the pod's cgroup. */
  readonly cgroupFiles: ReadonlySet<string>;
  /** Of who makes its containers; undefined: nobody knows. */
  readonly features: HandlerFeatures | undefined;
  readonly hasGroupsPolicy: boolean;
}

/** @throws E_UNSUPPORTED */
export function sandboxRequest(config: SandboxConfig, place: SandboxPlace): Outgoing<PodSandboxConfig> {
  const { uid, namespace, name } = config;
  const refuse = (why: string): Error =>
    new PodwrightError('E_UNSUPPORTED', `run sandbox of pod ${name}: the runtime ${why}`);
  if (config.hasOwnUsers === true && place.features?.userNamespaces !== true)
    throw refuse('has no user namespaces');
  const said = saidOf(config, place);
  const mark: SandboxMark = { ...sandboxMarkOf(config), said };
  return {
    metadata: { name, namespace, uid, attempt: place.attempt },
    ...said,
    labels: { ...config.labels, ...podLabels(config), [nodeLabel]: place.nodeName },
    annotations: { ...config.annotations, [markAnnotation]: JSON.stringify(mark) },
  };
}

/**
 * The same once more, as it is said with each of the sandbox's containers and of its pod's pulls.
 * @param cgroupParent of a sandbox of an agent that did not mark all of it
 */
export function sandboxAgain(
  { uid, namespace, name, attempt, labels, annotations, mark }: KnownSandbox,
  cgroupParent: string | undefined,
): Outgoing<PodSandboxConfig> {
  const older: SaidSandbox = {
    log_directory: mark.logDirectory,
    linux: {
      cgroup_parent: cgroupParent ?? '',
      security_context: { namespace_options: namespacesOf(mark) },
    },
  };
  return {
    metadata: { uid, namespace, name, attempt },
    ...(mark.said ?? older),
    ...{ labels, annotations },
  };
}

function saidOf(config: SandboxConfig, place: SandboxPlace): SaidSandbox {
  const { hostNetwork, words } = config;
  return {
    hostname: hostNetwork ? '' : config.hostname,
    log_directory: config.logDirectory ?? '',
    ...(words === undefined ? {} : { dns_config: words.dns }),
    port_mappings: config.portMappings.map(({ hostPort, containerPort, protocol, hostIp }) => ({
      protocol: protocol as 'TCP' | 'UDP' | 'SCTP',
      host_port: hostPort,
      container_port: containerPort,
      host_ip: hostIp,
    })),
    linux: {
      cgroup_parent: place.cgroupParent ?? '',
      sysctls: config.sysctls,
      ...(words === undefined ? {} : amountsOf(words, place)),
      security_context: securityOf(config, place),
    },
  };
}

/** Of cgroups there are only those of the runtime's making. */
function amountsOf(
  { resources, overhead = {} }: SandboxWords,
  { cgroupFiles }: SandboxPlace,
): Outgoing<Pick<LinuxPodSandboxConfig, 'resources' | 'overhead'>> {
  return {
    resources: resourcesRequest(resources, cgroupFiles),
    overhead: resourcesRequest(overhead, cgroupFiles),
  };
}

function securityOf(
  config: SandboxConfig,
  { hasGroupsPolicy }: SandboxPlace,
): Outgoing<LinuxSandboxSecurityContext> {
  const { words } = config;
  const { uid, gid, additionalGids = [] } = words?.user ?? {};
  return {
    namespace_options: namespacesOf(sandboxMarkOf(config)),
    privileged: config.hasPrivileged === true,
    // Whatever its containers have: it runs nothing of the pod's.
    seccomp: { profile_type: 'RuntimeDefault' },
    ...(uid === undefined ? {} : { run_as_user: { value: uid } }),
    // CRI has no group without a user.
    ...(gid === undefined || uid === undefined ? {} : { run_as_group: { value: gid } }),
    supplemental_groups: additionalGids,
    ...(words?.leavesImageGroups === true && hasGroupsPolicy ? { supplemental_groups_policy: 'Strict' } : {}),
    ...selinuxOf(words?.selinux),
  };
}

export function selinuxOf(label: SelinuxLabel | undefined): {
  readonly selinux_options?: Outgoing<SELinuxOption>;
} {
  return label === undefined ? {} : { selinux_options: label };
}

export function podLabels({
  uid,
  namespace,
  name,
}: Pick<SandboxConfig, 'uid' | 'namespace' | 'name'>): Readonly<Record<string, string>> {
  return { [podNameLabel]: name, [podNamespaceLabel]: namespace, [podUidLabel]: uid };
}

export function namespacesOf(mark: SandboxMark): Outgoing<NamespaceOption> {
  const { ids } = mark;
  return {
    network: mark.hostNetwork ? 'NODE' : 'POD',
    ipc: mark.hostIpc ? 'NODE' : 'POD',
    pid: mark.hostPid ? 'NODE' : mark.sharePidNamespace ? 'POD' : 'CONTAINER',
    ...(ids === undefined ? {} : { userns_options: { mode: 'POD', uids: mapping(ids), gids: mapping(ids) } }),
  };
}

export const mapping = ({ first, count }: IdRange): Outgoing<IDMapping>[] => [
  { host_id: first, container_id: 0, length: count },
];
