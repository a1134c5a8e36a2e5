/** What a pod has as a whole (KEP-5419, on by default since 1.36). Pure. */
import type { Pod, PodStatus, ResourceRequirements } from '#api/generated/objects.ts';
import { formatQuantity } from '#api/meta/quantity.ts';
import { parseResources, runningAmounts } from '#api/pod/requests.ts';
import { withAllocation } from '#agent/kubelet/allocation.ts';
import { isResizing } from '#agent/kubelet/render/resize.ts';
import type { ContainerView } from '#agent/kubelet/sync/container-view.ts';
import type { KnownFacts } from '#agent/kubelet/sync/pod-input.ts';

/** What it was given (`allocatedResources`), and what it has of it (`resources`), which while it is resized is what it had. */
export function podResources(
  pod: Pod,
  views: readonly ContainerView[],
  { resize, rejection }: KnownFacts,
): Pick<PodStatus, 'resources' | 'allocatedResources'> {
  if (rejection !== undefined) return {};
  const whole = wholeOf(withAllocation(pod, resize.allocated));
  const had = isResizing(pod, views, resize) ? pod.status?.resources : undefined;
  return {
    resources: had ?? whole,
    ...(whole.requests === undefined ? {} : { allocatedResources: whole.requests }),
  };
}

/** The last answer for a pod, which is told at each look. */
const answers = new WeakMap<Pod, ResourceRequirements>();

/** Without overhead, which whoever counts pods adds. */
function wholeOf(pod: Pod): ResourceRequirements {
  const known = answers.get(pod);
  if (known !== undefined) return known;
  const [requests, limits] = [amountsOf(pod, 'requests'), limitsOf(pod)];
  const answer = {
    ...(Object.keys(limits).length === 0 ? {} : { limits }),
    ...(Object.keys(requests).length === 0 ? {} : { requests }),
  };
  answers.set(pod, answer);
  return answer;
}

type Amounts = Readonly<Record<string, string>>;

/** What the pod says itself, and what its containers come to of the others. */
function amountsOf({ spec }: Pod, field: 'requests' | 'limits'): Amounts {
  if (spec === undefined) return {};
  const all = new Map([...runningAmounts(spec, field), ...parseResources(spec.resources?.[field])]);
  return Object.fromEntries([...all].map(([name, amount]) => [name, formatQuantity(amount)]));
}

/** A container without a limit has none by those of the others. */
function limitsOf(pod: Pod): Amounts {
  const { resources, initContainers = [], containers = [] } = pod.spec ?? {};
  const all = [...initContainers, ...containers];
  const isLimited = (name: string): boolean =>
    resources?.limits?.[name] !== undefined ||
    all.every((container) => container.resources?.limits?.[name] !== undefined);
  return Object.fromEntries(Object.entries(amountsOf(pod, 'limits')).filter(([name]) => isLimited(name)));
}
