import { memberOf } from '#api/wire/json.ts';
import { PodwrightError } from '#base/errors.ts';
import type { Pod } from '#api/generated/objects.ts';
import { parseQuantity, quantityToInteger, quantityToMilli } from '#api/meta/quantity.ts';
import type { DownwardValues } from '#agent/volume/volume.ts';
import { containersOf } from '#agent/kubelet/sync/pod-input.ts';

export interface DownwardInput {
  readonly pod: Pod;
  readonly podIps: readonly string[];
  readonly hostIps: readonly string[];
  /** Stand in for limits that a container does not have. */
  readonly allocatable: {
    readonly cpuMilli: number;
    readonly memoryBytes: number;
    readonly storageBytes: number;
  };
}

/** The downward API of a pod: https://kubernetes.io/docs/concepts/workloads/pods/downward-api/. Pure. */
export function downwardValues(input: DownwardInput): DownwardValues {
  return {
    field: (path) => fieldValue(path, input),
    resource: (containerName, resource, divisor) =>
      resourceValue(containerName, { resource, divisor }, input),
  };
}

function fieldValue(fieldPath: string, { pod, podIps, hostIps }: DownwardInput): string {
  const { metadata = {}, spec } = pod;
  const subscript = /^metadata\.(labels|annotations)\['(.*)'\]$/.exec(fieldPath);
  if (subscript !== null) {
    const [, map, key = ''] = subscript;
    return memberOf(map === 'labels' ? metadata.labels : metadata.annotations, key) ?? '';
  }
  switch (fieldPath) {
    case 'metadata.name':
      return metadata.name ?? '';
    case 'metadata.namespace':
      return metadata.namespace ?? '';
    case 'metadata.uid':
      return metadata.uid ?? '';
    case 'metadata.labels':
      return renderMap(metadata.labels);
    case 'metadata.annotations':
      return renderMap(metadata.annotations);
    case 'spec.nodeName':
      return spec?.nodeName ?? '';
    case 'spec.serviceAccountName':
      return spec?.serviceAccountName ?? '';
    case 'status.hostIP':
      return hostIps[0] ?? '';
    case 'status.hostIPs':
      return hostIps.join(',');
    case 'status.podIP':
      return podIps[0] ?? '';
    case 'status.podIPs':
      return podIps.join(',');
    default:
      throw new PodwrightError('E_INVALID', `unsupported fieldPath: ${fieldPath}`);
  }
}

/** `key="value"` lines in order of keys, as Go's %q quotes. */
function renderMap(map: Readonly<Record<string, string>> | undefined): string {
  return Object.keys(map ?? {})
    .toSorted()
    .map((key) => `${key}=${JSON.stringify(map?.[key] ?? '')}`)
    .join('\n');
}

/** What pods may have limits of as a whole (KEP-2837), and the node has for who has none. */
const isOfPods: ReadonlySet<string> = new Set(['cpu', 'memory']);

function resourceValue(
  containerName: string,
  { resource, divisor }: { readonly resource: string; readonly divisor: string | undefined },
  { pod, allocatable }: DownwardInput,
): string {
  const container = containersOf(pod).find(({ spec }) => spec.name === containerName)?.spec;
  if (container === undefined) throw new PodwrightError('E_INVALID', `container ${containerName} not found`);
  const [kind = '', ...rest] = resource.split('.');
  const name = rest.join('.');
  const fallback: Readonly<Record<string, number>> = {
    cpu: allocatable.cpuMilli,
    memory: allocatable.memoryBytes,
    'ephemeral-storage': allocatable.storageBytes,
  };
  if (!Object.hasOwn(fallback, name) && !name.startsWith('hugepages-')) {
    throw new PodwrightError('E_INVALID', `unsupported container resource: ${resource}`);
  }
  const { limits, requests } = container.resources ?? {};
  const milliUnits = name === 'cpu';
  const measure = (text: string | undefined): number => {
    if (text === undefined) return 0;
    return milliUnits ? quantityToMilli(parseQuantity(text)) : quantityToInteger(parseQuantity(text));
  };
  // Who has no limit, or one of 0, has the pod's, else the node's (defaultPodLimitsForDownwardAPI).
  const ofPod = isOfPods.has(name) ? memberOf(pod.spec?.resources?.limits, name) : undefined;
  const amount =
    kind === 'limits'
      ? measure(memberOf(limits, name)) || measure(ofPod) || (fallback[name] ?? 0)
      : measure(memberOf(requests, name));
  const unit =
    divisor === undefined || divisor === '' || divisor === '0' ? (milliUnits ? 1000 : 1) : measure(divisor);
  return String(Math.ceil(amount / unit));
}
