import { parseIp } from '#base/ip.ts';
import { blockContains } from './address-ranges.ts';
import { policiesOf } from './compile.ts';
import { directions, type Direction, type Policy, type PolicyPort } from './parse-policy.ts';
import type { PolicyRule, Protocol } from './parse-policy.ts';
import { isPeer } from './peer-set.ts';
import type { PolicyPod } from './policy-pod.ts';

/** What a verdict goes by. */
export interface PolicyView {
  /** Those of a namespace. */
  readonly policies: (namespace: string) => readonly Policy[];
  /** The pod of this node that has an address. */
  readonly subject: (ip: string) => PolicyPod | undefined;
  /** The pod of the cluster that has it. */
  readonly pod: (ip: string) => PolicyPod | undefined;
  readonly namespaceLabels: (namespace: string) => Readonly<Record<string, string>> | undefined;
}

/** Who began to speak to whom. */
export interface Talk {
  readonly source: string;
  readonly target: string;
  /** IP protocol number. */
  readonly protocol: number;
  readonly port: number | undefined;
}

const protocolNames: Readonly<Record<number, Protocol>> = { 6: 'tcp', 17: 'udp', 132: 'sctp' };

/** Whether policies let it through this node: what the kernel's rules say of its first packet, by the policies themselves. */
export function isAllowed(talk: Talk, view: PolicyView): boolean {
  if (talk.source === talk.target) return true;
  return directions.every((direction) => allows(direction, talk, view));
}

function allows(direction: Direction, talk: Talk, view: PolicyView): boolean {
  const [own, other] = direction === 'in' ? [talk.target, talk.source] : [talk.source, talk.target];
  const subject = view.subject(own);
  if (subject === undefined) return true;
  const policies = policiesOf(subject, view.policies(subject.namespace), direction);
  if (policies.length === 0) return true;
  const target = direction === 'in' ? subject : view.pod(other);
  return policies.some((policy) =>
    policy.rules[direction]?.some(
      (rule) => meansPeer(rule, other, view) && meansPort(rule.ports, target, talk),
    ),
  );
}

function meansPeer({ peers }: PolicyRule, other: string, view: PolicyView): boolean {
  if (peers === undefined) return true;
  const ip = parseIp(other);
  const pod = view.pod(other);
  return peers.some((peer) => {
    if (peer.kind === 'block') return ip !== undefined && blockContains(peer, ip);
    return pod !== undefined && isPeer(peer, pod, view.namespaceLabels(pod.namespace));
  });
}

function meansPort(
  ports: readonly PolicyPort[] | undefined,
  target: PolicyPod | undefined,
  { protocol, port }: Talk,
): boolean {
  if (ports === undefined) return true;
  const word = protocolNames[protocol];
  return ports.some((each) => {
    if (each.protocol !== word || port === undefined) return false;
    if (each.kind === 'numbers') return each.from <= port && port <= each.to;
    return (target?.ports ?? []).some(
      ({ name, protocol: own, port: number }) => name === each.name && own === word && number === port,
    );
  });
}
