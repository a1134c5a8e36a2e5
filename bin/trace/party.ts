import { PodwrightError } from '#base/errors.ts';
import { canonicalIpText, familyOfIp } from '#base/ip.ts';
import { internalIpsOf } from '#agent/network/fabric/fabric-plan.ts';
import { isTerminal } from '#api/pod/state.ts';
import type { Node, Pod } from '#api/generated/objects.ts';
import { nameOf, stop, type Finding, type Observed, type Sender } from './observed.ts';

/**
 * `NAME`, `NAMESPACE/NAME` or `pod/NAME` a pod; `node/NAME`; `outside`, or `outside/ADDRESS` where it matters who that is.
 *
 * @throws E_NOT_FOUND, E_USAGE
 */
export function findSender(text: string, namespace: string, seen: Pick<Observed, 'pods' | 'nodes'>): Sender {
  const [kind = '', ...rest] = text.split('/');
  const name = rest.join('/');
  if (text === 'outside') return { kind: 'outside', address: undefined };
  if (kind === 'outside') {
    if (familyOfIp(name) === undefined)
      throw new PodwrightError('E_USAGE', `FROM ${text}: write outside, or outside/ADDRESS`);
    return { kind: 'outside', address: name };
  }
  if (kind === 'node') {
    const node = seen.nodes.find(({ metadata }) => metadata?.name === name);
    if (node === undefined) throw new PodwrightError('E_NOT_FOUND', `find node ${name}: there is none`);
    return { kind: 'node', node };
  }
  const pod = findPod(kind === 'pod' || kind === 'pods' ? name : text, namespace, seen.pods);
  if (pod !== undefined) return { kind: 'pod', pod };
  throw new PodwrightError(
    'E_NOT_FOUND',
    `find pod ${text} (namespace ${namespace}): there is none; FROM is a pod, node/NAME or outside`,
  );
}

/** By `NAME`, or `NAMESPACE/NAME`. */
export function findPod(text: string, namespace: string, pods: readonly Pod[]): Pod | undefined {
  const key = text.includes('/') ? text : `${namespace}/${text}`;
  return pods.find((pod) => nameOf(pod) === key);
}

export function addressesOf(pod: Pod): readonly string[] {
  const { podIPs = [], podIP = '' } = pod.status ?? {};
  const all = podIPs.flatMap(({ ip = '' }) => canonicalIpText(ip) ?? []);
  return all.length > 0 ? all : [canonicalIpText(podIP) ?? []].flat();
}

export function podOfAddress(address: string, seen: Pick<Observed, 'pods'>): Pod | undefined {
  const of = seen.pods.filter((pod) => !isTerminal(pod) && addressesOf(pod).includes(address));
  // Pods of a node's own network have its addresses, which are not theirs alone.
  return of.find(({ spec }) => spec?.hostNetwork !== true) ?? (of.length === 1 ? of[0] : undefined);
}

export function nodeOfAddress(address: string, seen: Pick<Observed, 'nodes'>): Node | undefined {
  return seen.nodes.find((node) => internalIpsOf(node).includes(address));
}

/** Of somebody's addresses the first of a family that the sender has; it has any where none is known. */
export function addressFor<T extends string>(sender: Sender, addresses: readonly T[]): T | undefined {
  const families = new Set(senderAddresses(sender).map(familyOfIp));
  return addresses.find((ip) => families.size === 0 || families.has(familyOfIp(ip)));
}

export function senderAddresses(sender: Sender): readonly string[] {
  if (sender.kind === 'pod') return addressesOf(sender.pod);
  if (sender.kind === 'node') return internalIpsOf(sender.node);
  return sender.address === undefined ? [] : [sender.address];
}

/** What is said where two have no family in common. */
export function familyMismatch(from: Sender, who: string, addresses: readonly string[]): Finding {
  const [own, theirs] = [senderAddresses(from), addresses].map((all) => [
    ...new Set(all.flatMap((ip) => familyOfIp(ip) ?? [])),
  ]);
  const says = `the sender has addresses of IPv${own?.join(', IPv') ?? ''}, ${who} of IPv${theirs?.join(', IPv') ?? ''}`;
  const remedy = 'ipFamilyPolicy: PreferDualStack of the Service, in a cluster of both families';
  return stop('family-mismatch', says, remedy);
}

/** The node whose rules the packet meets first; undefined: it comes from outside. */
export function senderNode(sender: Sender): string | undefined {
  if (sender.kind === 'pod') return sender.pod.spec?.nodeName;
  return sender.kind === 'node' ? sender.node.metadata?.name : undefined;
}

export function describeSender(sender: Sender): string {
  if (sender.kind === 'pod') return `pod ${nameOf(sender.pod)}`;
  if (sender.kind === 'node') return `node ${nameOf(sender.node)}`;
  return sender.address === undefined ? 'outside' : `outside ${sender.address}`;
}
