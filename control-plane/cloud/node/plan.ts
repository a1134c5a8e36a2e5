import { formatIp, parseIp } from '#base/ip.ts';
import { providedNodeIpAnnotation, uninitializedTaint } from '#api/meta/cloud-node.ts';
import { equalJson } from '#api/wire/json.ts';
import type { Node, NodeAddress } from '#api/generated/objects.ts';
import type { CloudInstance } from '#control-plane/cloud/cloud.ts';

export const isUninitialized = ({ spec }: Node): boolean =>
  spec?.taints?.some(({ key }) => key === uninitializedTaint.key) === true;

/** Addresses that a node is to have, or why they cannot be told; undefined: those that it has. */
export type AddressPlan =
  | { readonly addresses: readonly NodeAddress[] | undefined }
  | { readonly problem: string };

/**
 * The cloud's, with the node's own Hostname where the cloud has none. What the kubelet was told to be its address comes first and is the only one of its
 * type; the cloud has to know it. Pure.
 */
export function planAddresses({ metadata, status }: Node, { addresses }: CloudInstance): AddressPlan {
  if (addresses.length === 0) return { addresses: undefined };
  const own = (status?.addresses ?? []).filter(({ type }) => type === 'Hostname');
  const all = addresses.some(({ type }) => type === 'Hostname') ? addresses : [...addresses, ...own];
  const provided = metadata?.annotations?.[providedNodeIpAnnotation];
  const wanted = provided === undefined ? all : preferIps(all, provided);
  if ('problem' in wanted) return wanted;
  return { addresses: equalJson(status?.addresses ?? [], wanted) ? undefined : wanted };
}

function preferIps(
  all: readonly NodeAddress[],
  provided: string,
): readonly NodeAddress[] | { readonly problem: string } {
  const first: NodeAddress[] = [];
  for (const text of provided.split(',').map((each) => each.trim())) {
    const ip = parseIp(text);
    if (ip === undefined) return { problem: `failed to parse node IP ${JSON.stringify(text)}` };
    const same = all.filter(({ address }) => {
      const other = parseIp(address);
      return other !== undefined && formatIp(other) === formatIp(ip);
    });
    if (same.length === 0)
      return { problem: `failed to get node address from cloud provider that matches ip: ${text}` };
    first.push(...same);
  }
  const types = new Set(first.map(({ type }) => type));
  return [...first, ...all.filter(({ type }) => !types.has(type))];
}

/** Labels of Kubernetes' own by what the cloud says: both names of each, as kube-cloud-controller-manager keeps them. */
const wellKnown = [
  ['type', ['beta.kubernetes.io/instance-type', 'node.kubernetes.io/instance-type']],
  ['zone', ['failure-domain.beta.kubernetes.io/zone', 'topology.kubernetes.io/zone']],
  ['region', ['failure-domain.beta.kubernetes.io/region', 'topology.kubernetes.io/region']],
] as const;

const isOfKubernetes = (label: string): boolean => /(^|\.)(kubernetes|k8s)\.io\//.test(label);

/** The cloud's own labels that a node has not, or has with another value. Pure. */
export function planLabels({ metadata }: Node, { labels = {} }: CloudInstance): Record<string, string> {
  const missing = Object.entries(labels).filter(
    ([label, value]) => !isOfKubernetes(label) && metadata?.labels?.[label] !== value,
  );
  return Object.fromEntries(missing);
}

/** Of each pair of names the first says what the second is; undefined: nothing is to be done. Pure. */
export function planOtherNames({ metadata }: Node): Record<string, string> {
  const { labels = {} } = metadata ?? {};
  const wrong = wellKnown.flatMap(([, [first, second]]) => {
    const value = labels[first];
    return value === undefined || labels[second] === value ? [] : [[second, value] as const];
  });
  return Object.fromEntries(wrong);
}

/**
 * The node as the cloud knows it, without the taint. Labels of the cloud's own that the node has already stay as they are. A node without a
 * providerID, of which the cloud gives none, is a problem: it could never have one later. Pure.
 */
export function planInitialized(
  node: Node,
  instance: CloudInstance,
): { readonly node: Node } | { readonly problem: string } {
  const name = node.metadata?.name ?? '';
  const providerID = node.spec?.providerID ?? '';
  if (providerID === '' && instance.providerId === '')
    return { problem: `cloud provider does not set node provider ID for node ${name}` };
  const known = wellKnown.flatMap(([of, names]) => {
    const value = instance[of] ?? '';
    return value === '' ? [] : names.map((label) => [label, value] as const);
  });
  const taints = (node.spec?.taints ?? []).filter(({ key }) => key !== uninitializedTaint.key);
  const { labels = {} } = node.metadata ?? {};
  return {
    node: {
      ...node,
      metadata: {
        ...node.metadata,
        labels: { ...planLabels(node, instance), ...labels, ...Object.fromEntries(known) },
      },
      spec: {
        ...node.spec,
        providerID: providerID === '' ? instance.providerId : providerID,
        taints: taints.length === 0 ? undefined : taints,
      },
    },
  };
}
