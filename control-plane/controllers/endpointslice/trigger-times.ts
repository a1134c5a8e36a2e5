import { findCondition } from '#api/meta/condition.ts';
import { triggerTimeAnnotation } from '#api/meta/trigger-time.ts';
import type { Pod, Service } from '#api/generated/objects.ts';

interface Known {
  readonly service: number;
  /** Since when each pod is ready, or is not, by name (ms). */
  readonly pods: ReadonlyMap<string, number>;
}

/** What was seen of each Service last: of what is new since, the oldest is what set a write off (TriggerTimeTracker of k8s.io/endpointslice). */
export class TriggerTimes {
  readonly #known = new Map<string, Known>();
  /** Of a pod as it is; objects of a cache never change. */
  readonly #since = new WeakMap<Pod, number>();

  /** Unix ms; undefined where nothing is new. To be told of each look, also of one that writes nothing. */
  take(key: string, service: Service, pods: readonly Pod[]): number | undefined {
    const known = this.#known.get(key);
    const made = parse(service.metadata?.creationTimestamp) ?? 0;
    const times = new Map<string, number>();
    let oldest: number | undefined = known !== undefined && made > known.service ? made : undefined;
    for (const pod of pods) {
      const since = this.#readySince(pod);
      if (since === 0) continue;
      const name = pod.metadata?.name ?? '';
      times.set(name, since);
      if (since > (known?.pods.get(name) ?? 0)) oldest = Math.min(oldest ?? since, since);
    }
    this.#known.set(key, { service: made, pods: times });
    // A Service that was not known: it is what is new, however long its pods are ready.
    return known === undefined ? made || undefined : oldest;
  }

  forget(key: string): void {
    this.#known.delete(key);
  }

  #readySince(pod: Pod): number {
    const known = this.#since.get(pod);
    if (known !== undefined) return known;
    const since = parse(findCondition(pod.status?.conditions, 'Ready')?.lastTransitionTime) ?? 0;
    this.#since.set(pod, since);
    return since;
  }
}

function parse(text: string | undefined): number | undefined {
  return Date.parse(text ?? '') || undefined;
}

/** Annotations of what is about to be written: without a time the one of before goes. Pure. */
export function withTriggerTime(
  annotations: Readonly<Record<string, string>> | undefined,
  triggerMs: number | undefined,
): Readonly<Record<string, string>> | undefined {
  const { [triggerTimeAnnotation]: _before, ...others } = annotations ?? {};
  if (triggerMs === undefined) return Object.keys(others).length === 0 ? undefined : others;
  return { ...others, [triggerTimeAnnotation]: renderTime(triggerMs) };
}

/** As Go's RFC3339Nano: a fraction only where there is one. */
function renderTime(ms: number): string {
  return new Date(ms).toISOString().replace(/\.?0*Z$/, 'Z');
}
