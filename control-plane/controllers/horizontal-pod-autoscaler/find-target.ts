import type { Pod, Scale } from '#api/generated/objects.ts';
import { matchesLabels, parseLabelSelector, type LabelMatcher } from '#api/meta/selector.ts';
import { parseGroupVersion } from '#api/schema/kinds.ts';
import type { Clock } from '#base/clock.ts';
import { describeRefusal } from '#client/api-error.ts';
import type { ApiClient, Informer } from '#client/client.ts';
import { readScale } from '#client/subresources/scale.ts';
import { selectedIn } from '#control-plane/controllers/pods/by-label.ts';
import { createScaledKinds, type ScaledKind } from '#control-plane/controllers/scaled/scaled-kinds.ts';
import { needsMetrics, type Target, type Unselectable } from './plan.ts';
import { createMetricsReader } from './read-metrics.ts';
import type { Autoscaler } from './settings.ts';

/** Whom an autoscaler scales. */
export interface FoundTarget extends ScaledKind {
  readonly scale: Scale;
}

/** Finds whom autoscalers scale, and what their pods use. */
export interface TargetFinder {
  /** A text says why there is none. Never rejects. */
  find(scaler: Autoscaler): Promise<FoundTarget | string>;
  /** Pods and metrics, where they matter. */
  measure(key: string, scaler: Autoscaler, found: FoundTarget): Promise<Target>;
  /** The autoscaler is no more: its pods are others'. */
  forget(key: string): void;
}

/** Whose pods an autoscaler found last. */
interface Selection {
  readonly namespace: string | undefined;
  readonly matcher: LabelMatcher;
}

export interface FinderOptions {
  readonly client: ApiClient;
  readonly clock: Clock;
  /** Indexed by `label` (`byLabel`). */
  readonly pods: Informer<Pod>;
}

/** By discovery, the subresource scale, and the APIs of metrics. */
export function createTargetFinder({ client, clock, pods }: FinderOptions): TargetFinder {
  const kinds = createScaledKinds(client, clock);
  const reader = createMetricsReader(client, kinds, clock);
  const selections = new Map<string, Selection>();
  const select = (key: string, { metadata }: Autoscaler, { status }: Scale): Target['pods'] => {
    const { selector = '' } = status ?? {};
    const selection = selectionOf(metadata?.namespace, selector);
    if ('reason' in selection) return selection;
    selections.set(key, selection);
    const { namespace, matcher } = selection;
    const found = pods
      .byIndex('label', selectedIn(namespace, matcher))
      .filter((pod) => matchesLabels(matcher, pod.metadata?.labels));
    const sharing = [...selections].filter(
      ([, other]) =>
        other.namespace === namespace &&
        found.some((pod) => matchesLabels(other.matcher, pod.metadata?.labels)),
    );
    if (sharing.length <= 1) return found;
    const names = sharing.map(([name]) => name).join(' ');
    const text = `pods by selector ${selector} are controlled by multiple HPAs: [${names}]`;
    return { reason: 'AmbiguousSelector', text };
  };
  return {
    find: async ({ metadata, spec }) => {
      const { apiVersion = 'v1', kind, name } = spec.scaleTargetRef;
      try {
        const found = await kinds.findInGroup({ apiVersion, kind });
        if (found === undefined) {
          const group = JSON.stringify(parseGroupVersion(apiVersion).group);
          return `no matches for kind ${JSON.stringify(kind)} in group ${group}`;
        }
        const scale = await readScale(client, found.ref, { namespace: metadata?.namespace, name });
        return { ...found, scale };
      } catch (error) {
        return describeRefusal(error);
      }
    },
    measure: async (key, scaler, { scale }) => {
      if (!needsMetrics(scaler, scale)) return { scale, pods: [], readings: [] };
      const found = select(key, scaler, scale);
      if ('reason' in found) return { scale, pods: found, readings: [] };
      const of = {
        namespace: scaler.metadata?.namespace ?? '',
        selector: scale.status?.selector ?? '',
      };
      const metrics = scaler.spec.metrics ?? [];
      return { scale, pods: found, readings: await Promise.all(metrics.map((one) => reader.read(one, of))) };
    },
    forget: (key) => void selections.delete(key),
  };
}

function selectionOf(namespace: string | undefined, selector: string): Selection | Unselectable {
  if (selector === '') return { reason: 'SelectorRequired', text: 'selector is required' };
  try {
    return { namespace, matcher: parseLabelSelector(selector) };
  } catch (error) {
    const text = `couldn't convert selector into a corresponding internal selector object: ${describeRefusal(error)}`;
    return { reason: 'InvalidSelector', text };
  }
}
