import { describe, expect, it } from 'vitest';
import * as fc from 'fast-check';
import { itemsOf, samplesOfObjects, samplesOfPods, totalOfAll, totalOfOne } from './metric-answers.ts';

const answer = (status: number, value: unknown) => ({
  status,
  body: typeof value === 'string' ? value : JSON.stringify(value),
});
const timestamp = '2026-01-01T00:00:00Z';
const atMs = Date.parse(timestamp);
const asked = 'pods.metrics.k8s.io';
const pod = (containers: object) => ({
  metadata: { name: 'p', namespace: 'a' },
  ...{ timestamp, window: '10s', containers },
});

describe('itemsOf()', () => {
  const missing = 'the server could not find the requested resource';
  it.each([
    ['a path that nobody has', 404, '404 page not found', `${missing} (get ${asked})`],
    ['the same as a Status', 404, { kind: 'Status', message: missing }, `${missing} (get ${asked})`],
    ['what a server says itself', 403, { kind: 'Status', message: 'no' }, 'no'],
    ['a server that is away', 503, '', `the server is currently unable to handle the request (get ${asked})`],
    [
      ...(['another failure', 500, 'x'] as const),
      `the server responded with the status code 500 but did not return more information (get ${asked})`,
    ],
  ])('%s', (_name, status, body, want) => {
    expect(itemsOf(answer(status, body), 'resource', asked)).toBe(
      `unable to fetch metrics from resource metrics API: ${want}`,
    );
  });

  it('needs items', () => {
    expect(itemsOf(answer(200, { items: [] }), 'external', asked)).toBe(
      'no metrics returned from external metrics API',
    );
    expect(itemsOf(answer(200, { items: [{ value: '1' }] }), 'external', asked)).toEqual([{ value: '1' }]);
  });
});

describe('what is measured', () => {
  const usage = { cpu: '10500u', memory: '1Ki' };
  it('of pods and containers', () => {
    const items = [
      pod([
        { name: 'c', usage },
        { name: 'd', usage: { cpu: '1' } },
      ]),
    ];
    const read = (resource: string, container?: string) => samplesOfPods(items, { resource, container });
    const sample = (milli: number) => ({
      ...{ kind: 'pods', samples: new Map([['p', { milli, atMs, windowMs: 10_000 }]]) },
    });
    expect(read('cpu')).toEqual(sample(1011));
    expect(read('cpu', 'c')).toEqual(sample(11));
    expect(read('memory', 'c')).toEqual(sample(1_024_000));
    expect(read('memory')).toEqual({ kind: 'pods', samples: new Map() });
    expect(read('cpu', 'x')).toEqual({
      kind: 'failure',
      text: 'failed to get container metrics: container x not present in metrics for pod a/p',
    });
  });

  it.each([
    ['v1beta1', { window: 30 }, 30_000],
    ['v1beta2', { windowSeconds: 20 }, 20_000],
    ['neither', {}, 60_000],
  ])('of objects, as %s', (_name, more, windowMs) => {
    const item = { describedObject: { name: 'p' }, timestamp, value: '2', ...more };
    expect(samplesOfObjects([item])).toEqual({
      ...{ kind: 'pods', samples: new Map([['p', { milli: 2000, atMs, windowMs }]]) },
    });
  });

  it('of one, and of all', () => {
    expect(totalOfOne([{ value: '3' }])).toEqual({ kind: 'total', milli: 3000 });
    expect(totalOfOne([{ value: '3' }, { value: '4' }])).toMatchObject({ kind: 'failure' });
    expect(totalOfAll([{ value: '3' }, { value: '500m' }])).toEqual({ kind: 'total', milli: 3500 });
    expect(totalOfAll('no')).toEqual({ kind: 'failure', text: 'no' });
  });

  it('may be anything', () => {
    fc.assert(
      fc.property(fc.array(fc.object()), (objects) => {
        const items = itemsOf(answer(200, { items: objects }), 'custom', asked);
        samplesOfPods(items, { resource: 'cpu', container: undefined });
        samplesOfObjects(items);
        totalOfOne(items);
        totalOfAll(items);
      }),
      { numRuns: 300 },
    );
  });
});
