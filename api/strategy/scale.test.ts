import { describe, expect, it } from 'vitest';
import { scaleOf, withScale } from './scale.ts';

const metadata = {
  name: 'd',
  namespace: 'n',
  uid: 'u',
  resourceVersion: '5',
  creationTimestamp: '2026-01-01T00:00:00Z',
  labels: { a: 'b' },
};

describe('scaleOf()', () => {
  it('is the Scale that kube-apiserver gives of a Deployment', () => {
    const deployment = {
      metadata,
      spec: { replicas: 2, selector: { matchLabels: { a: 'b' } } },
      status: { replicas: 3 },
    };
    const { labels: _labels, ...own } = metadata;
    expect(scaleOf({ group: 'apps', kind: 'Deployment' }, deployment)).toEqual({
      kind: 'Scale',
      apiVersion: 'autoscaling/v1',
      metadata: own,
      spec: { replicas: 2 },
      status: { replicas: 3, selector: 'a=b' },
    });
  });

  it('reads the plain selector of a ReplicationController, and leaves zero out', () => {
    const controller = { metadata, spec: { replicas: 0, selector: { b: 'c', a: 'b' } } };
    expect(scaleOf({ group: '', kind: 'ReplicationController' }, controller)).toMatchObject({
      spec: {},
      status: { replicas: 0, selector: 'a=b,b=c' },
    });
  });
});

describe('withScale()', () => {
  it('sets replicas, 0 when absent', () => {
    const deployment = { metadata, spec: { replicas: 2, paused: true } };
    expect(withScale({ kind: 'Deployment' }, deployment, { spec: { replicas: 5 } })['spec']).toEqual({
      replicas: 5,
      paused: true,
    });
    expect(withScale({ kind: 'Deployment' }, deployment, { spec: {} })['spec']).toEqual({
      replicas: 0,
      paused: true,
    });
  });
});
