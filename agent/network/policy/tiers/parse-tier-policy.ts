import {
  everything,
  parseProtocol,
  portMax,
  type Direction,
  type PodPeer,
  type PolicyPeer,
  type PolicyPort,
  type Protocol,
} from '#agent/network/policy/parse-policy.ts';
import type { LabelSelector } from '#api/generated/objects.ts';
import type { JsonObject, KubeObject } from '#api/meta/object.ts';
import { labelSelectorFromObject, type LabelMatcher } from '#api/meta/selector.ts';
import { at, isObject, listOf, numberOf, objectOf, stringOf } from '#api/wire/json.ts';
import { parseCidr } from '#base/ip.ts';
import type { Tier, TierAction, TierPolicy, TierRule } from './tier-policy.ts';

/** The place of a BaselineAdminNetworkPolicy, which has none of its own: after all that have (at most 1000). */
const lastPriority = 1_001;

/**
 * Reads a policy of any of the three kinds. What cannot be read, as a later version may have what this one does not know, closes: a
 * rule that accepts means nobody, and any other denies everything (documentation of ClusterNetworkPolicyIngressPeer). So do names of
 * domains, which are not supported.
 */
export function parseTierPolicy(kind: string, object: KubeObject): TierPolicy {
  const spec = objectOf(at(object, 'spec'));
  const name = object.metadata?.name ?? '';
  const subject = peerOfSelectors(spec['subject']);
  const ingress = listOf(spec['ingress']).map((rule, index) =>
    readRule(rule, 'in', `ingress rule ${index + 1}`),
  );
  const egress = listOf(spec['egress']).map((rule, index) =>
    readRule(rule, 'out', `egress rule ${index + 1}`),
  );
  const problems = [...ingress, ...egress].flatMap(({ problem }) => problem ?? []);
  return {
    kind,
    name,
    tier: tierOf(kind, spec),
    priority: kind === 'BaselineAdminNetworkPolicy' ? lastPriority : numberOf(spec['priority']),
    subject,
    rules: { in: ingress.map(({ rule }) => rule), out: egress.map(({ rule }) => rule) },
    problems:
      subject === undefined ? ['its subject is not understood: it selects no pods', ...problems] : problems,
  };
}

function tierOf(kind: string, spec: JsonObject): Tier {
  if (kind === 'ClusterNetworkPolicy') return spec['tier'] === 'Baseline' ? 'baseline' : 'admin';
  return kind === 'BaselineAdminNetworkPolicy' ? 'baseline' : 'admin';
}

const actions: Readonly<Record<string, TierAction>> = {
  Accept: 'accept',
  Allow: 'accept',
  Deny: 'deny',
  Pass: 'pass',
};

interface Read {
  readonly rule: TierRule;
  readonly problem?: string;
}

function readRule(value: unknown, direction: Direction, place: string): Read {
  const given = objectOf(value);
  const name = stringOf(given['name']);
  const action = actions[stringOf(given['action'])] ?? 'deny';
  const { from, to, ports, protocols, name: _name, action: _action, ...others } = given;
  const peers = listOf(direction === 'in' ? from : to);
  const reasons = [
    ...Object.keys(others).map((key) => `${key} is not understood`),
    ...(actions[stringOf(given['action'])] === undefined ? ['its action is not understood'] : []),
    ...(peers.length === 0 ? [`it has no ${direction === 'in' ? 'from' : 'to'}`] : []),
  ];
  const readPeers = peers.map((peer) => readPeer(peer, direction, reasons));
  const named = [...listOf(ports), ...listOf(protocols)];
  const readPorts = named.map((port) => readPort(port, reasons));
  const [reason] = reasons;
  if (reason !== undefined) return closed({ name, action }, reason, place);
  return {
    rule: { name, action, peers: readPeers.flat(), ports: named.length === 0 ? undefined : readPorts.flat() },
  };
}

function closed(
  { name, action }: { readonly name: string; readonly action: TierAction },
  reason: string,
  place: string,
): Read {
  const rule: TierRule =
    action === 'accept'
      ? { name, action, peers: [], ports: undefined }
      : { name, action: 'deny', peers: undefined, ports: undefined };
  const instead = action === 'accept' ? 'it accepts nothing' : 'it denies everything';
  return { rule, problem: `${place}${name === '' ? '' : ` (${name})`}: ${reason}: ${instead}` };
}

/** What cannot be read is added to `reasons`. */
function readPeer(value: unknown, direction: Direction, reasons: string[]): readonly PolicyPeer[] {
  const [key, ...more] = Object.keys(objectOf(value));
  if (key === 'domainNames') reasons.push('domainNames are not supported');
  const peer = more.length > 0 || key === undefined ? undefined : peersOf(key, objectOf(value), direction);
  if (peer === undefined && key !== 'domainNames') reasons.push('a peer is not understood');
  return peer ?? [];
}

function peersOf(key: string, value: JsonObject, direction: Direction): readonly PolicyPeer[] | undefined {
  if (key === 'namespaces' || key === 'pods') {
    const peer = peerOfSelectors(value);
    return peer === undefined ? undefined : [peer];
  }
  if (direction === 'in') return undefined;
  if (key === 'nodes') {
    const nodes = selectorOf(value['nodes']);
    return nodes === undefined ? undefined : [{ kind: 'nodes', nodes }];
  }
  if (key !== 'networks') return undefined;
  const blocks = listOf(value['networks']).map((text) => parseCidr(stringOf(text)));
  return blocks.every((cidr) => cidr !== undefined)
    ? blocks.map((cidr) => ({ kind: 'block', cidr, except: [] }))
    : undefined;
}

/** `namespaces`: all pods of those; `pods`: by both selectors. */
function peerOfSelectors(value: unknown): PodPeer | undefined {
  const [key, ...more] = Object.keys(objectOf(value));
  if (more.length > 0) return undefined;
  if (key === 'namespaces') {
    const namespaces = selectorOf(at(value, 'namespaces'));
    return namespaces === undefined ? undefined : { kind: 'pods', namespaces, pods: everything };
  }
  if (key !== 'pods') return undefined;
  const { namespaceSelector = {}, podSelector = {}, ...others } = objectOf(at(value, 'pods'));
  const [namespaces, pods] = [selectorOf(namespaceSelector), selectorOf(podSelector)];
  if (namespaces === undefined || pods === undefined || Object.keys(others).length > 0) return undefined;
  return { kind: 'pods', namespaces, pods };
}

/** undefined: something that is none, such as that of a version in which it had another form; read as one, it would select all. */
function selectorOf(value: unknown): LabelMatcher | undefined {
  if (!isObject(value)) return undefined;
  const { matchLabels, matchExpressions, ...others } = value;
  const isOne =
    Object.keys(others).length === 0 &&
    Object.values(objectOf(matchLabels)).every((each) => typeof each === 'string') &&
    listOf(matchExpressions).every(isExpression);
  return isOne ? labelSelectorFromObject(value as LabelSelector) : undefined;
}

/** As upstream reads them: an operator that is none, or one without the values that it compares with, is an error. */
function isExpression(value: unknown): boolean {
  const { operator, values } = objectOf(value);
  if (operator === 'In' || operator === 'NotIn') return listOf(values).length > 0;
  return operator === 'Exists' || operator === 'DoesNotExist';
}

const allProtocols: readonly Protocol[] = ['tcp', 'udp', 'sctp'];

/** One of `ports` of v1alpha1, or of `protocols` since. What cannot be read is added to `reasons`. */
function readPort(value: unknown, reasons: string[]): readonly PolicyPort[] {
  const [key = '', ...more] = Object.keys(objectOf(value));
  const port = more.length > 0 ? undefined : portsOf(key, objectOf(value)[key]);
  if (port === undefined) reasons.push('a port is not understood');
  return port ?? [];
}

function portsOf(key: string, value: unknown): readonly PolicyPort[] | undefined {
  switch (key) {
    case 'portNumber':
      return numbers(at(value, 'protocol'), at(value, 'port'), at(value, 'port'));
    case 'portRange':
      return numbers(at(value, 'protocol'), at(value, 'start'), at(value, 'end'));
    case 'namedPort':
    case 'destinationNamedPort':
      // A port of a pod by its name alone, whichever its protocol.
      return typeof value === 'string' && value !== ''
        ? allProtocols.map((protocol) => ({ kind: 'name', protocol, name: value }))
        : undefined;
    case 'tcp':
    case 'udp':
    case 'sctp':
      return destination(key.toUpperCase(), objectOf(value));
    default:
      return undefined;
  }
}

function destination(
  protocol: string,
  { destinationPort, ...others }: JsonObject,
): readonly PolicyPort[] | undefined {
  if (Object.keys(others).length > 0) return undefined;
  if (destinationPort === undefined) return numbers(protocol, 0, portMax);
  const { number, range, ...more } = objectOf(destinationPort);
  if (Object.keys(more).length > 0) return undefined;
  return range === undefined
    ? numbers(protocol, number, number)
    : numbers(protocol, at(range, 'start'), at(range, 'end'));
}

function numbers(protocol: unknown, from: unknown, to: unknown): readonly PolicyPort[] | undefined {
  const word = parseProtocol(protocol === undefined ? undefined : stringOf(protocol));
  const isRange = [from, to].every((each) => Number.isInteger(each)) && numberOf(from) <= numberOf(to);
  if (word === undefined || !isRange) return undefined;
  return [{ kind: 'numbers', protocol: word, from: numberOf(from), to: Math.min(numberOf(to), portMax) }];
}
