import type { Node } from '#api/generated/objects.ts';
import { signers } from '#api/kinds/certificates/signers.ts';
import { classOfIp } from '#base/ip-class.ts';
import { kubeletServingFault, nodeGroup, nodePrefix, type ReadRequest } from './node-request.ts';

/** Who is where in the cluster, for one request of a node. */
export interface Places {
  /** The node that asks; undefined where there is none of the name. */
  readonly node: Node | undefined;
  /** Addresses that other nodes say are theirs. */
  readonly ofOthers: ReadonlySet<string>;
  /** Where the API servers are, and the address of their Service. */
  readonly ofServers: ReadonlySet<string>;
}

export type ServingPlan =
  /** Not for us: another signer, or somebody else's request. */
  | { readonly kind: 'nothing' }
  | { readonly kind: 'approve' }
  /** Left for somebody to look at, or until the Node says otherwise. */
  | { readonly kind: 'leave'; readonly why: string };

/** By whose name the API server is known within the cluster, and what every host calls itself. */
const reservedName = /^(kubernetes|localhost)(\.|$)/;
const nameTypes: ReadonlySet<string> = new Set(['Hostname', 'InternalDNS', 'ExternalDNS']);

/** The node that a request for a serving certificate speaks of; undefined for requests of others. */
export function nodeOfServing(request: ReadRequest): string | undefined {
  const { csr, contents } = request;
  const { signerName, username = '', groups = [] } = csr.spec;
  const isOwn =
    signerName === signers.kubeletServing &&
    username.startsWith(nodePrefix) &&
    groups.includes(nodeGroup) &&
    contents.commonName === username &&
    kubeletServingFault(request) === undefined;
  return isOwn ? username.slice(nodePrefix.length) : undefined;
}

/**
 * Whether a node may show what it asks for: names and addresses that its Node has, and nobody else. Pure. (Decision 0027; upstream approves
 * no such request by itself.)
 */
export function planServing(request: ReadRequest, { node, ofOthers, ofServers }: Places): ServingPlan {
  const name = nodeOfServing(request);
  if (name === undefined) return { kind: 'nothing' };
  if (node === undefined) return leave(`there is no Node ${name}`);
  const addresses = node.status?.addresses ?? [];
  const names = new Set([
    name,
    ...addresses.filter(({ type }) => nameTypes.has(type)).map(({ address }) => address),
  ]);
  const ips = new Set(addresses.filter(({ type }) => !nameTypes.has(type)).map(({ address }) => address));
  const { dnsNames, ipAddresses } = request.contents;
  const [strange] = [
    ...dnsNames.filter((each) => !names.has(each)),
    ...ipAddresses.filter((each) => !ips.has(each)),
  ];
  if (strange !== undefined) return leave(`${strange} is not among the addresses of Node ${name}`);
  const [reserved] = [
    ...dnsNames.filter((each) => reservedName.test(each)),
    ...ipAddresses.filter((each) => classOfIp(each) !== 'ordinary' || ofServers.has(each)),
  ];
  if (reserved !== undefined)
    return leave(`${reserved} may be the API server's: look at it and approve it by hand`);
  const taken = [...dnsNames, ...ipAddresses].find((each) => ofOthers.has(each));
  return taken === undefined ? { kind: 'approve' } : leave(`${taken} is another node's too`);
}

function leave(why: string): ServingPlan {
  return { kind: 'leave', why };
}
