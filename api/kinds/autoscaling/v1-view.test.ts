import assert from 'node:assert/strict';
import { describe, expect, it } from 'vitest';
import { applyDefaults } from '#api/defaults/defaults.ts';
import { kinds } from '#api/schema/kinds.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { at } from '#api/wire/json.ts';
import { autoscalerFromV1, autoscalerToV1 } from './v1-view.ts';

const cpu = {
  type: 'Resource',
  resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 50 } },
};
const memory = {
  type: 'Resource',
  resource: { name: 'memory', target: { type: 'AverageValue', averageValue: '1Gi' } },
};
const selector = { matchLabels: { a: 'b' } };
const others: readonly JsonObject[] = [
  memory,
  {
    type: 'Object',
    object: {
      describedObject: { kind: 'Service', name: 's', apiVersion: 'v1' },
      metric: { name: 'm', selector },
      target: { type: 'Value', value: '10' },
    },
  },
  {
    type: 'Object',
    object: {
      describedObject: { kind: 'Service', name: 's' },
      metric: { name: 'm' },
      target: { type: 'AverageValue', averageValue: '3' },
    },
  },
  {
    type: 'Pods',
    pods: { metric: { name: 'm', selector }, target: { type: 'AverageValue', averageValue: '2' } },
  },
  { type: 'External', external: { metric: { name: 'q', selector }, target: { type: 'Value', value: '7' } } },
  {
    type: 'ContainerResource',
    containerResource: {
      name: 'cpu',
      container: 'c',
      target: { type: 'Utilization', averageUtilization: 60 },
    },
  },
];
const scaler = (spec: JsonObject, status: JsonObject = {}, annotations?: JsonObject): JsonObject => ({
  metadata: { name: 'h', ...(annotations === undefined ? {} : { annotations }) },
  spec: { maxReplicas: 3, ...spec },
  status,
});

describe('a HorizontalPodAutoscaler in v1', () => {
  it.each<{ readonly name: string; readonly stored: JsonObject }>([
    { name: 'of a share of CPU', stored: scaler({ metrics: [cpu] }) },
    { name: 'of other metrics beside it', stored: scaler({ metrics: [cpu, ...others] }) },
    { name: 'without any of CPU', stored: scaler({ metrics: others }) },
    {
      name: 'with a behavior',
      stored: scaler({ metrics: [cpu], behavior: { scaleDown: { selectPolicy: 'Min' } } }),
    },
    { name: 'with annotations of its own', stored: scaler({ metrics: [cpu, memory] }, {}, { a: 'b' }) },
    {
      name: 'with a status',
      stored: scaler(
        { metrics: [cpu, memory] },
        {
          currentReplicas: 1,
          conditions: [{ type: 'AbleToScale', status: 'True' }],
          currentMetrics: [
            {
              type: 'Resource',
              resource: { name: 'cpu', current: { averageUtilization: 40, averageValue: '4m' } },
            },
            { type: 'Pods', pods: { metric: { name: 'm' }, current: { averageValue: '3' } } },
          ],
        },
      ),
    },
  ])('$name comes back as it was', ({ stored }) => {
    expect(autoscalerFromV1(autoscalerToV1(stored))).toEqual(stored);
  });

  it('shows what it has fields for, and the rest as upstream writes it', () => {
    const current = [{ type: 'Resource', resource: { name: 'cpu', current: { averageUtilization: 40 } } }];
    const shown = autoscalerToV1(scaler({ metrics: [memory, cpu] }, { currentMetrics: current }));
    expect(shown['spec']).toEqual({ maxReplicas: 3, targetCPUUtilizationPercentage: 50 });
    expect(shown['status']).toEqual({ currentCPUUtilizationPercentage: 40 });
    expect(at(shown, 'metadata.annotations')).toEqual({
      'autoscaling.alpha.kubernetes.io/metrics':
        '[{"type":"Resource","resource":{"name":"memory","targetAverageValue":"1Gi"}}]',
      'autoscaling.alpha.kubernetes.io/current-metrics':
        '[{"type":"Resource","resource":{"name":"cpu","currentAverageUtilization":40}}]',
    });
  });

  it('has no share by default where it has other metrics', () => {
    const [kind] = kinds.filter(
      ({ group, version, kind: name }) =>
        `${group}/${version}/${name}` === 'autoscaling/v1/HorizontalPodAutoscaler',
    );
    assert(kind !== undefined);
    const defaulted = (object: JsonObject): unknown =>
      at(
        applyDefaults(kind, { apiVersion: 'autoscaling/v1', ...object }),
        'spec.targetCPUUtilizationPercentage',
      );
    expect(defaulted(autoscalerToV1(scaler({ metrics: others })))).toBeUndefined();
    expect(defaulted(scaler({}))).toBe(80);
  });

  it('has a share of 80 where it names no metric, and bears annotations that are nonsense', () => {
    const metrics = (annotations?: JsonObject): unknown =>
      at(autoscalerFromV1(scaler({}, {}, annotations)), 'spec.metrics');
    const byDefault = [
      { ...cpu, resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 80 } } },
    ];
    expect(metrics()).toEqual(byDefault);
    for (const text of ['', '{', '1', '[1]', 'null'])
      expect(metrics({ 'autoscaling.alpha.kubernetes.io/metrics': text })).toEqual(byDefault);
  });
});
