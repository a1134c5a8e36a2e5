import { isObject } from '#api/wire/json.ts';
import { formatIp, parseCidr, type IpFamily } from '#base/ip.ts';
import type { CniResult } from '#api/cni/result.ts';
import type { PodLink } from '#native/bpf/redirect/packet-redirector.ts';
import type { CachedAttachment } from './result-cache.ts';

/** The interface that pods reach their network by. */
export const podIfname = 'eth0';

/** What may stand in a network whose packets may pass by the node's stack: what they do, they do to first packets, or by addresses. */
const knownTypes: ReadonlySet<string> = new Set(['bridge', 'portmap', 'bandwidth']);

/**
 * The cable of a pod whose packets may be redirected: its network is a routed bridge of ours, and nothing on the way has to see each packet (a
 * bound on its bandwidth does). undefined: it is not one. Pure.
 */
export function podLinkOf(
  attachment: Pick<CachedAttachment, 'list' | 'result' | 'capabilityArgs'>,
): PodLink | undefined {
  const { list, result, capabilityArgs } = attachment;
  const [bridge] = list.plugins;
  if (bridge?.type !== 'bridge' || bridge['routed'] !== true) return undefined;
  if (list.plugins.some(({ type }) => !knownTypes.has(type))) return undefined;
  const { bandwidth } = capabilityArgs;
  if (isObject(bandwidth) && Object.keys(bandwidth).length > 0) return undefined;
  const own = result.interfaces.find(({ sandbox, name }) => sandbox !== undefined && name === podIfname);
  const cables = result.interfaces.filter(
    ({ sandbox, name }) => sandbox === undefined && name !== (bridge['bridge'] ?? 'cni0'),
  );
  const [cable] = cables;
  if (own?.mac === undefined || cable === undefined || cables.length !== 1) return undefined;
  const ips = ipsOf(result);
  return ips.length === 0 ? undefined : { ips, ifname: cable.name, mac: own.mac };
}

/** The given family first: status.podIP is the first, and of the family of status.hostIP (kubelet's sortPodIPs). */
export function ipsOf(result: CniResult, firstFamily: IpFamily = 4): readonly string[] {
  const own = result.interfaces.findIndex((item) => item.sandbox !== undefined && item.name === podIfname);
  const ips = result.ips.filter((ip) => own < 0 || ip.interface === undefined || ip.interface === own);
  return ips
    .flatMap((ip) => parseCidr(ip.address)?.ip ?? [])
    .toSorted((a, b) => Number(a.family !== firstFamily) - Number(b.family !== firstFamily))
    .map(formatIp);
}
