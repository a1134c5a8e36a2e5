import type { Pod } from '#api/generated/objects.ts';
import { resolvConfOf, type DnsSettings } from '#agent/kubelet/render/host-files.ts';
import type { Informer } from '#client/client.ts';

export const podIpIndex = 'podIP';

/** The addresses that are a pod's alone, while it has them. */
export function podIpsOf({ spec, status }: Pod): readonly string[] {
  const isOver = status?.phase === 'Succeeded' || status?.phase === 'Failed';
  if (spec?.hostNetwork === true || isOver) return [];
  return (status?.podIPs ?? []).flatMap(({ ip }) => (ip === undefined ? [] : [ip]));
}

/** The search list of the pod that has the address, where it asks the cluster's DNS first; otherwise empty. `pods` has the index. */
export function searchesOfPod(
  pods: Informer<Pod>,
  ip: string,
  settings: () => DnsSettings,
): readonly string[] {
  const [pod, another] = pods.byIndex(podIpIndex, ip);
  // An address that two seem to have is on its way from one to the other.
  if (
    pod === undefined ||
    another !== undefined ||
    (pod.spec?.dnsPolicy ?? 'ClusterFirst') !== 'ClusterFirst'
  )
    return [];
  return resolvConfOf(pod, settings()).searches;
}
