/** What actions are rendered from, and what several of them ask of it. Pure. */
import type { LifecycleHandler, Pod } from '#api/generated/objects.ts';
import type { PreparedClaims } from '#agent/device/claims/pod-claims.ts';
import type { PodObservation } from '#agent/runtime/runtime.ts';
import type { MountedVolumes } from '#agent/volume/pod-volumes.ts';
import type { DownwardValues } from '#agent/volume/volume.ts';
import type { Hook } from './action.ts';
import { withAllocation, type Allocation } from '#agent/kubelet/allocation.ts';
import { downwardValues } from './downward.ts';
import type { DnsSettings } from './host-files.ts';
import { containersOf } from '#agent/kubelet/sync/pod-input.ts';
import { podPaths, type KubeletDirectories } from '#agent/kubelet/pod-paths.ts';
import type { NodeFacts } from '#agent/kubelet/node-facts.ts';

/** The pod and the node that an intent is about: the same for all of one plan. */
export interface RenderInput {
  readonly pod: Pod;
  readonly allocated: Allocation;
  readonly actual: PodObservation;
  readonly mounted: MountedVolumes | undefined;
  /** Of its claims of devices; undefined: it has none, or they are not ready. */
  readonly prepared?: PreparedClaims | undefined;
  readonly volumeChanges: number;
  readonly node: NodeFacts;
  readonly dns: DnsSettings;
  readonly directories: KubeletDirectories;
}

/** The addresses by which a pod is reached: the node's with hostNetwork. */
export function podIpsOf({
  pod,
  actual,
  node,
}: Pick<RenderInput, 'pod' | 'actual' | 'node'>): readonly string[] {
  return pod.spec?.hostNetwork === true ? node.ips : (actual.sandbox?.ips ?? []);
}

/** The downward API of a pod, with the resources that it was given. */
export function downwardOf(input: RenderInput): DownwardValues {
  const { ips: hostIps, allocatable } = input.node;
  const pod = withAllocation(input.pod, input.allocated);
  return downwardValues({ pod, podIps: podIpsOf(input), hostIps, allocatable });
}

/** A hook of a run, if its container has one. */
export function hookOf(
  run: { readonly container: string; readonly id: string; readonly name: 'postStart' | 'preStop' },
  input: RenderInput,
): Hook | undefined {
  const { pod, directories } = input;
  const container = containersOf(pod).find(({ spec }) => spec.name === run.container)?.spec;
  const handler: LifecycleHandler | undefined = container?.lifecycle?.[run.name];
  if (container === undefined || handler === undefined) return undefined;
  const target = { pod, container, containerId: run.id, podIp: podIpsOf(input)[0] ?? '127.0.0.1' };
  return { handler, target, dueFile: podPaths(pod, directories).dueHook(run.id) };
}
