import type { MetricSpec, Pod } from '#api/generated/objects.ts';
import { formatTime } from '#api/meta/time.ts';
import type { ScaleMemory } from './behavior.ts';
import type { AutoscalerState } from './plan.ts';
import type { PodSample } from './pod-groups.ts';
import type { Reading } from './propose.ts';
import { autoscalerDefaults, type Autoscaler } from './settings.ts';

export const nowMs: number = Date.UTC(2026, 0, 1, 12);

/** A pod of 100m that is ready since long. */
export function podOf(name: string, change: Partial<Pod> = {}): Pod {
  const long = formatTime(nowMs - 3_600_000);
  return {
    metadata: { name, namespace: 'a', labels: { app: 'web' } },
    spec: { containers: [{ name: 'c', image: 'i', resources: { requests: { cpu: '100m' } } }] },
    status: {
      phase: 'Running',
      startTime: long,
      conditions: [{ type: 'Ready', status: 'True', lastTransitionTime: long }],
    },
    ...change,
  };
}

export const pending: Partial<Pod> = { status: { phase: 'Pending' } };

export function cpu(averageUtilization: number): MetricSpec {
  return { type: 'Resource', resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization } } };
}

export function external(
  name: string,
  target: { readonly value?: string; readonly averageValue?: string },
): MetricSpec {
  const type = target.value === undefined ? 'AverageValue' : 'Value';
  return { type: 'External', external: { metric: { name }, target: { type, ...target } } };
}

/** What each pod uses, by its number: `p0`, `p1`, …; undefined: nobody knows. */
export function samplesOf(millis: readonly (number | undefined)[]): Reading {
  const samples = new Map<string, PodSample>();
  for (const [index, milli] of millis.entries())
    if (milli !== undefined) samples.set(`p${index}`, { milli, atMs: nowMs - 5_000, windowMs: 10_000 });
  return { kind: 'pods', samples };
}

export function podsOf(count: number): readonly Pod[] {
  return Array.from({ length: count }, (_, index) => podOf(`p${index}`));
}

export interface Given {
  readonly spec?: Partial<Autoscaler['spec']>;
  readonly replicas?: number;
  readonly pods?: readonly Pod[];
  readonly readings?: readonly Reading[];
  readonly memory?: Partial<ScaleMemory>;
}

/** Three pods that use what they are to use: nothing is to be done. */
export function stateOf({ spec = {}, replicas = 3, pods, readings, memory }: Given): AutoscalerState {
  return {
    scaler: {
      metadata: { name: 'h', namespace: 'a' },
      spec: {
        ...{ minReplicas: 1, maxReplicas: 10, metrics: [cpu(50)] },
        scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'web' },
        ...spec,
      },
    },
    target: {
      scale: { spec: { replicas }, status: { replicas, selector: 'app=web' } },
      pods: pods ?? podsOf(replicas),
      readings: readings ?? [samplesOf(Array.from({ length: replicas }, () => 50))],
    },
    settings: autoscalerDefaults,
    memory: memory === undefined ? undefined : { recommendations: [], ups: [], downs: [], ...memory },
    nowMs,
  };
}
