import { describe, expect, it } from 'vitest';
import { builtIn } from '#control-plane/apiserver/built-in.ts';
import { isFinished, planDeletion } from '#api/strategy/deletion.ts';
import type { Kind } from '#api/schema/kinds.ts';
import { at, objectsOf } from '#api/wire/json.ts';
import { podNamed, startTestServer } from '#control-plane/apiserver/test-server.fixture.ts';
import { parseDeleteOptions, plainDelete } from './delete.ts';

const pods = builtIn('', 'v1', 'pods');
const configMaps = builtIn('', 'v1', 'configmaps');
const namespaces = builtIn('', 'v1', 'namespaces');
const nowMs = Date.parse('2026-11-20T10:00:00Z');
const running = {
  metadata: { name: 'p', generation: 1 },
  spec: { nodeName: 'n', terminationGracePeriodSeconds: 10 },
  status: { phase: 'Running' },
};

describe('planDeletion()', () => {
  it.each([
    ['a pod that runs gets its own grace', pods, running, {}, '2026-11-20T10:00:10Z', 10],
    [
      'a pod that runs gets the grace asked for',
      pods,
      running,
      { gracePeriodSeconds: 3 },
      '2026-11-20T10:00:03Z',
      3,
    ],
    ['a pod without a node needs none', pods, { ...running, spec: {} }, {}, '2026-11-20T10:00:00Z', 0],
    [
      'a pod that is over needs none',
      pods,
      { ...running, status: { phase: 'Failed' } },
      {},
      '2026-11-20T10:00:00Z',
      0,
    ],
    [
      'another kind needs none',
      configMaps,
      { metadata: { name: 'c' } },
      { gracePeriodSeconds: 9 },
      '2026-11-20T10:00:00Z',
      0,
    ],
  ])('%s', (_name, kind, object, options, deletionTimestamp, deletionGracePeriodSeconds) => {
    const planned = planDeletion(kind, object, { ...plainDelete, ...options }, nowMs);
    expect(planned['metadata']).toMatchObject({ deletionTimestamp, deletionGracePeriodSeconds });
    expect(isFinished(kind, planned)).toBe(deletionGracePeriodSeconds === 0);
  });

  it('moves the end closer, never farther', () => {
    const going = planDeletion(pods, running, plainDelete, nowMs);
    expect(planDeletion(pods, going, { ...plainDelete, gracePeriodSeconds: 60 }, nowMs + 1000)).toBe(going);
    const sooner = planDeletion(pods, going, { ...plainDelete, gracePeriodSeconds: 4 }, nowMs + 1000);
    expect(sooner['metadata']).toMatchObject({
      deletionTimestamp: '2026-11-20T10:00:04Z',
      deletionGracePeriodSeconds: 4,
    });
  });

  it('keeps the finalizers of others, and sets that of the propagation', () => {
    const object = { metadata: { name: 'c', finalizers: ['a.b/c', 'orphan'] } };
    const plan = (propagationPolicy?: 'Background' | 'Foreground' | 'Orphan'): unknown =>
      planDeletion(configMaps, object, { ...plainDelete, propagationPolicy }, nowMs)['metadata'];
    expect(plan()).toMatchObject({ finalizers: ['a.b/c', 'orphan'] });
    expect(plan('Background')).toMatchObject({ finalizers: ['a.b/c'] });
    expect(plan('Foreground')).toMatchObject({ finalizers: ['a.b/c', 'foregroundDeletion'] });
    expect(plan('Orphan')).toMatchObject({ finalizers: ['a.b/c', 'orphan'] });
  });

  it.each([
    { key: '', first: ['orphan'], orphan: ['orphan'], foreground: ['foregroundDeletion'] },
    {
      key: 'a/b',
      first: ['a/b', 'orphan'],
      orphan: ['a/b', 'orphan'],
      foreground: ['a/b', 'foregroundDeletion'],
    },
  ])('an unsaid propagation is that of the kind, unless finalizers say another: "$key"', (row) => {
    const plan = (kind: Pick<Kind, 'group' | 'kind'>, ...more: string[]): unknown => {
      const finalizers = [...(row.key === '' ? [] : [row.key]), ...more];
      const object = { metadata: { name: 'c', finalizers } };
      return at(planDeletion(kind, object, plainDelete, nowMs), 'metadata.finalizers') ?? [];
    };
    const jobs = builtIn('batch', 'v1', 'jobs');
    expect(plan(jobs)).toEqual(row.first);
    expect(plan(jobs, 'orphan')).toEqual(row.orphan);
    expect(plan(jobs, 'foregroundDeletion')).toEqual(row.foreground);
    expect(plan(jobs, 'foregroundDeletion', 'orphan')).toEqual(row.foreground);
    expect(plan(configMaps)).toEqual(row.key === '' ? [] : [row.key]);
    expect(plan(configMaps, 'orphan', 'foregroundDeletion')).toEqual(row.orphan);
    const events = builtIn('', 'v1', 'events');
    expect(plan(events, 'orphan')).toEqual(row.key === '' ? [] : [row.key]);
  });

  it('changes its mind about dependents when it is told again, while the object waits', () => {
    const object = { metadata: { name: 'c', finalizers: ['a/b'] } };
    const going = planDeletion(
      configMaps,
      object,
      { ...plainDelete, propagationPolicy: 'Foreground' },
      nowMs,
    );
    const again = planDeletion(configMaps, going, { ...plainDelete, propagationPolicy: 'Background' }, nowMs);
    expect(at(going, 'metadata.finalizers')).toEqual(['a/b', 'foregroundDeletion']);
    expect(at(again, 'metadata.finalizers')).toEqual(['a/b']);
    expect(planDeletion(configMaps, again, plainDelete, nowMs)).toBe(again);
  });

  it('leaves a namespace until its content is gone', () => {
    const namespace = {
      metadata: { name: 't' },
      spec: { finalizers: ['kubernetes'] },
      status: { phase: 'Active' },
    };
    const planned = planDeletion(namespaces, namespace, plainDelete, nowMs);
    expect(planned).toMatchObject({ status: { phase: 'Terminating' } });
    expect(isFinished(namespaces, planned)).toBe(false);
    expect(isFinished(namespaces, { ...planned, spec: { finalizers: [] } })).toBe(true);
  });
});

describe('parseDeleteOptions()', () => {
  it('reads what kubectl sends', () => {
    const options = {
      propagationPolicy: 'Background',
      gracePeriodSeconds: 1,
      preconditions: { uid: 'u' },
      dryRun: ['All'],
    };
    expect(parseDeleteOptions(options)).toEqual({
      propagationPolicy: 'Background',
      gracePeriodSeconds: 1,
      preconditions: { uid: 'u', resourceVersion: undefined },
      dryRun: true,
    });
    expect(parseDeleteOptions({ orphanDependents: true }).propagationPolicy).toBe('Orphan');
  });

  it.each([
    [{ propagationPolicy: 'Nope' }, 'propagationPolicy: Unsupported value: "Nope"'],
    [{ dryRun: ['Some'] }, 'dryRun: Unsupported value: ["Some"]'],
    [{ gracePeriodSeconds: 'x' }, 'gracePeriodSeconds: Invalid value: "x": must be an integer'],
    [{ propagationPolicy: 'Orphan', orphanDependents: true }, 'cannot be both set'],
  ])('refuses %j', (options, message) => {
    expect(() => parseDeleteOptions(options)).toThrow(message);
  });
});

describe('deleteCollection()', () => {
  const path = '/api/v1/namespaces/default/configmaps';
  const count = 300;

  it('answers with the objects in order, as they were or as they are now, and leaves what is not asked for', async () => {
    await using test = await startTestServer();

    for (let index = 0; index < count; index++) {
      const name = `c${String(index).padStart(3, '0')}`;
      const finalizers = index % 50 === 7 ? ['a.b/c'] : [];
      await test.make(path, {
        metadata: { name, labels: { third: String(index % 3) }, finalizers },
        data: { index: `${index} ü` },
      });
    }
    const asked = `${path}?labelSelector=third%21%3D0`;
    const before = objectsOf((await test.call('GET', asked)).json['items']);
    const dry = await test.call('DELETE', `${asked}&dryRun=All`);
    expect(objectsOf(dry.json['items'])).toHaveLength(200);
    expect(objectsOf((await test.call('GET', asked)).json['items'])).toEqual(before);

    const { status, json } = await test.call('DELETE', asked);
    expect(status).toBe(200);
    expect(json).toMatchObject({ kind: 'ConfigMapList', apiVersion: 'v1' });
    const answered = objectsOf(json['items']);
    expect(answered.map((item) => at(item, 'metadata.name'))).toEqual(
      before.map((item) => at(item, 'metadata.name')),
    );
    const held = objectsOf((await test.call('GET', asked)).json['items']);
    expect(held).toHaveLength(4);
    expect(answered.filter((item) => at(item, 'metadata.deletionTimestamp') !== undefined)).toEqual(held);
    const isHeld = new Set(held.map((item) => at(item, 'metadata.name')));
    const isGone = (item: object): boolean => !isHeld.has(at(item, 'metadata.name'));
    expect(answered.filter(isGone)).toEqual(before.filter(isGone));
    expect(objectsOf((await test.call('GET', path)).json['items'])).toHaveLength(100 + 4);
  });

  it('shows pods that went when they were told to go, and of a view what it shows', async () => {
    await using test = await startTestServer();

    await test.make('/api/v1/namespaces/default/serviceaccounts', { metadata: { name: 'default' } });
    await test.make('/api/v1/namespaces/default/pods', podNamed('p'));
    const pods = await test.call('DELETE', '/api/v1/namespaces/default/pods');
    expect(pods.json['items']).toMatchObject([{ metadata: { name: 'p', deletionGracePeriodSeconds: 0 } }]);
    const involvedObject = { kind: 'Pod', namespace: 'default', name: 'p' };
    await test.make('/api/v1/namespaces/default/events', {
      metadata: { name: 'e', namespace: 'default' },
      ...{ involvedObject, type: 'Normal', reason: 'r', message: 'n', source: { component: 'c' } },
    });
    const events = await test.call('DELETE', '/apis/events.k8s.io/v1/namespaces/default/events');
    expect(events.json['items']).toMatchObject([{ regarding: { name: 'p' }, note: 'n' }]);
  });
});
