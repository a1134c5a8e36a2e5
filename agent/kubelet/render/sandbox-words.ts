/**
 * What a kubelet says of a pod and of its containers to a runtime that it asks by CRI, beyond what our own runtime has use for. Pure.
 * Source: pkg/kubelet/kuberuntime, generatePodSandboxConfig, generatePodSandboxLinuxConfig, newContainerAnnotations.
 */
import type { Container, EphemeralContainer, Pod, SELinuxOptions } from '#api/generated/objects.ts';
import { podLimits, podRequests, resourceNumbers } from '#api/pod/requests.ts';
import type { ContainerDevices } from '#agent/device/container-devices.ts';
import type { ResolvConf } from '#agent/node/resolv-conf.ts';
import type { SandboxWords, SelinuxLabel } from '#agent/runtime/runtime.ts';
import { ruledAmounts, type CgroupFacts } from './cgroup-rules.ts';
import { amountsOf, cgroupResources } from './resources.ts';

export function sandboxWords(pod: Pod, { nameservers, ...dns }: ResolvConf, node: CgroupFacts): SandboxWords {
  const { securityContext = {}, overhead, ...spec } = pod.spec ?? { containers: [] };
  const { runAsUser, runAsGroup, fsGroup, supplementalGroups = [] } = securityContext;
  const selinux = selinuxLabel(securityContext.seLinuxOptions);
  // Overhead is no matter of requests and limits: as much is kept as may be used.
  const spare = overhead === undefined ? undefined : amountsOf(overhead);
  return {
    user: {
      ...(runAsUser === undefined ? {} : { uid: runAsUser }),
      ...(runAsGroup === undefined ? {} : { gid: runAsGroup }),
      additionalGids: [...(fsGroup === undefined ? [] : [fsGroup]), ...supplementalGroups],
    },
    ...(securityContext.supplementalGroupsPolicy === 'Strict' ? { leavesImageGroups: true } : {}),
    ...(selinux === undefined ? {} : { selinux }),
    dns: { ...dns, servers: nameservers },
    resources: ruledAmounts(amountsOfPod({ ...pod, spec }), pod, node),
    overhead: spare === undefined ? undefined : ruledAmounts(cgroupResources(spare, spare), pod, node),
  };
}

/** Limits are the sum of those that there are. */
function amountsOfPod(pod: Pod): ReturnType<typeof cgroupResources> {
  const [requests, limits] = [podRequests(pod), podLimits(pod)].map(resourceNumbers);
  return cgroupResources(
    { cpuMilli: requests?.get('cpu'), memoryBytes: requests?.get('memory') },
    { cpuMilli: limits?.get('cpu'), memoryBytes: limits?.get('memory') },
  );
}

/** The container's own stand for all of the pod's. */
export function containerSelinux(
  { spec }: Pod,
  { securityContext }: Container | EphemeralContainer,
): SelinuxLabel | undefined {
  return selinuxLabel(securityContext?.seLinuxOptions ?? spec?.securityContext?.seLinuxOptions);
}

function selinuxLabel(options: SELinuxOptions | undefined): SelinuxLabel | undefined {
  if (options === undefined) return undefined;
  const { user, role, type, level } = options;
  return {
    ...(user === undefined ? {} : { user }),
    ...(role === undefined ? {} : { role }),
    ...(type === undefined ? {} : { type }),
    ...(level === undefined ? {} : { level }),
  };
}

/** The kubelet's own stand over those of plugins. */
export function containerAnnotations(
  { metadata, spec }: Pod,
  container: Container | EphemeralContainer,
  given: Pick<ContainerDevices, 'annotations'> | undefined,
): Readonly<Record<string, string>> {
  const { terminationMessagePath, terminationMessagePolicy, lifecycle, ports = [] } = container;
  const deletion = metadata?.deletionGracePeriodSeconds;
  const termination = spec?.terminationGracePeriodSeconds;
  return {
    ...given?.annotations,
    'io.kubernetes.container.terminationMessagePath': terminationMessagePath ?? '',
    'io.kubernetes.container.terminationMessagePolicy': terminationMessagePolicy ?? '',
    ...(deletion === undefined ? {} : { 'io.kubernetes.pod.deletionGracePeriod': String(deletion) }),
    ...(termination === undefined ? {} : { 'io.kubernetes.pod.terminationGracePeriod': String(termination) }),
    ...(lifecycle?.preStop === undefined
      ? {}
      : { 'io.kubernetes.container.preStopHandler': JSON.stringify(lifecycle.preStop) }),
    ...(ports.length === 0 ? {} : { 'io.kubernetes.container.ports': JSON.stringify(ports) }),
  };
}
