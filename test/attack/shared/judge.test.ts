import { describe, expect, it } from 'vitest';

import type { JsonObject } from '#api/meta/object.ts';
import { digestOf, historyOf, type Dump, type Operation, type Told, type Written } from './history.ts';
import { judge, type Seen } from './judge.ts';
import { judgeEnd } from './judge-watchers.ts';
import { outageOf } from './pulse.ts';

const configMap = (uid: string, writer: string, data: JsonObject = {}): JsonObject => ({
  metadata: { uid, annotations: { writer } },
  data,
});
const service = (uid: string, address: string, port: number): JsonObject => ({
  metadata: { uid, annotations: { writer: uid } },
  spec: { clusterIPs: [address], ports: [{ nodePort: port }] },
});
const count = (text: string): JsonObject => ({ metadata: { uid: 'c' }, data: { count: text } });

const written: readonly Written[] = [
  { revision: 10, key: 'configmaps/a', value: configMap('u1', '1-0') },
  { revision: 11, key: 'configmaps/count', value: count('0') },
  { revision: 12, key: 'configmaps/a', value: configMap('u1', '1-1', { p2: 'x' }) },
  { revision: 13, key: 'configmaps/a', value: configMap('u1', '1-2', { p2: 'x', p1: '1-2' }) },
  { revision: 14, key: 'configmaps/count', value: count('1') },
  { revision: 15, key: 'configmaps/a', value: undefined },
  { revision: 16, key: 'services/s', value: service('s1', '10.0.0.1', 30_000) },
  { revision: 17, key: 'services/s', value: undefined },
  { revision: 18, key: 'services/t', value: service('t1', '10.0.0.1', 30_000) },
];

/** An operation that takes half of the time of its revision. */
const done = (revision: number, more: Partial<Operation> & Pick<Operation, 'verb' | 'key'>): Operation => ({
  client: 1,
  token: '',
  startMs: revision * 10,
  endMs: revision * 10 + 5,
  fate: 'done',
  status: 200,
  revision,
  ...more,
});

const operations: readonly Operation[] = [
  done(10, { verb: 'create', key: 'configmaps/a', token: '1-0' }),
  done(12, { verb: 'compare', key: 'configmaps/a', token: '1-1', base: 10 }),
  done(13, { verb: 'patch', key: 'configmaps/a', token: '1-2' }),
  done(14, { verb: 'compare', key: 'configmaps/count', base: 11, count: 1 }),
  done(15, { verb: 'delete', key: 'configmaps/a', uid: 'u1' }),
  done(16, { verb: 'create', key: 'services/s', token: 's1' }),
  done(17, { verb: 'delete', key: 'services/s', uid: 's1' }),
  done(18, { verb: 'create', key: 'services/t', token: 't1' }),
  done(14, { verb: 'read', key: 'configmaps/count', startMs: 175, endMs: 176 }),
  done(17, { verb: 'list', key: 'configmaps', startMs: 177, items: new Map([['configmaps/count', 14]]) }),
];

const told = (resource: string): readonly Told[] =>
  written
    .filter(({ key, revision }) => key.startsWith(resource) && revision > 11)
    .map(({ revision, key, value }) => ({
      revision,
      key,
      type: value === undefined ? ('DELETED' as const) : ('MODIFIED' as const),
      digest: value === undefined ? 'last' : digestOf(value),
      object: value ?? {},
    }));

const listed = new Map([
  ['configmaps/a', { revision: 10, digest: digestOf(configMap('u1', '1-0')) }],
  ['configmaps/count', { revision: 11, digest: digestOf(count('0')) }],
]);

const healthy: Seen = {
  written,
  operations,
  watched: ['one', 'other'].map((name) => ({
    name,
    resource: 'configmaps' as const,
    stretches: [{ from: 11, listed, events: told('configmaps') }],
  })),
  takeovers: [{ leaseMs: 15_000, outageMs: 0, boundMs: 9000, replicaSetMs: 9100 }],
};

/** The operation at an index, otherwise. */
const but = (index: number, more: Partial<Operation>): Seen => ({
  ...healthy,
  operations: operations.map((each, at) => (at === index ? { ...each, ...more } : each)),
});
const and = (more: Operation): Seen => ({ ...healthy, operations: [...operations, more] });
/** The events of the second watcher, otherwise. */
const tellsOther = (change: (events: readonly Told[]) => readonly Told[]): Seen => ({
  ...healthy,
  watched: healthy.watched.map((watched, at) =>
    at === 0
      ? watched
      : { ...watched, stretches: watched.stretches.map((s) => ({ ...s, events: change(s.events) })) },
  ),
});
const without = (revision: number): Seen => ({
  ...healthy,
  written: written.filter((entry) => entry.revision !== revision),
});
const refused = { fate: 'refused', revision: undefined } as const;

describe('judge()', () => {
  it('finds nothing in what is as it should be', () => {
    expect(judge(healthy)).toEqual([]);
  });

  it.each([
    {
      name: 'a write whose fate nobody knows and that was done',
      seen: but(2, { fate: 'unknown', status: 0 }),
    },
    {
      name: 'a write whose fate nobody knows and that was not done',
      seen: and({ ...done(18, { verb: 'replace', key: 'configmaps/a', token: '9-9' }), fate: 'unknown' }),
    },
    {
      name: 'a conflict with what came in between',
      seen: and({
        ...done(13, { verb: 'compare', key: 'configmaps/a', token: '9', base: 10 }),
        ...refused,
        status: 409,
      }),
    },
    {
      name: 'not found while it was being deleted',
      seen: and({ ...done(15, { verb: 'patch', key: 'configmaps/a', token: '9' }), ...refused, status: 404 }),
    },
    {
      name: 'a takeover that the store held up',
      seen: {
        ...healthy,
        takeovers: [{ leaseMs: 15_000, outageMs: 9000, boundMs: 20_000, replicaSetMs: 21_000 }],
      },
    },
    { name: 'a watcher that is behind', seen: tellsOther((events) => events.slice(0, 2)) },
  ])('finds nothing in $name', ({ seen }) => {
    expect(judge(seen)).toEqual([]);
  });

  it.each([
    { name: 'an acknowledged write that is not there', seen: but(2, { token: '1-7' }), want: 'is not there' },
    { name: 'one at another revision', seen: but(0, { revision: 9 }), want: 'is not there' },
    {
      name: 'one write acknowledged to two',
      seen: and(done(14, { client: 2, verb: 'compare', key: 'configmaps/count', base: 11, count: 1 })),
      want: 'acknowledged, and so was client 1',
    },
    { name: 'a write on another state', seen: but(1, { base: 9 }), want: 'written on revision 10' },
    {
      name: 'a creation over what was there',
      seen: but(1, { verb: 'create' }),
      want: 'created where revision 10 was',
    },
    {
      name: "a patch that takes others' fields along",
      seen: {
        ...healthy,
        written: written.map((entry) =>
          entry.revision === 13 ? { ...entry, value: configMap('u1', '1-2', { p1: '1-2' }) } : entry,
        ),
      },
      want: "others' fields",
    },
    { name: 'a deletion that was not done', seen: but(4, { uid: 'u9' }), want: 'and not done' },
    {
      name: 'a refused write that was done',
      seen: but(2, { ...refused, status: 409 }),
      want: 'refused with 409, and done',
    },
    {
      name: 'a write done twice',
      seen: {
        ...healthy,
        written: [...written, { revision: 19, key: 'configmaps/a', value: configMap('u2', '1-2') }],
      },
      want: 'done again at revision 19',
    },
    {
      name: 'a write of nobody',
      seen: {
        ...healthy,
        written: [...written, { revision: 19, key: 'configmaps/a', value: configMap('u2', '8-8') }],
      },
      want: "8-8 is nobody's",
    },
    {
      name: 'a read of the past',
      seen: but(8, { revision: 11 }),
      want: 'read revision 11, after revision 16',
    },
    { name: 'a read that does not find', seen: but(8, { revision: undefined }), want: 'not found, after' },
    { name: 'a list of the past', seen: but(9, { revision: 12 }), want: 'a list of revision 12' },
    { name: 'a list that lacks an object', seen: but(9, { items: new Map() }), want: 'instead of 14' },
    {
      name: 'a write into the past',
      seen: but(3, { startMs: 171, endMs: 172 }),
      want: 'written at revision 14, after revision 16',
    },
    {
      name: 'a conflict with nobody',
      seen: and({
        ...done(17, { verb: 'compare', key: 'configmaps/count', base: 14 }),
        ...refused,
        status: 409,
      }),
      want: 'a conflict, and there was none',
    },
    {
      name: 'not found, and there all the time',
      seen: and({ ...done(17, { verb: 'patch', key: 'configmaps/count' }), ...refused, status: 404 }),
      want: 'not found, and it was there',
    },
    {
      name: 'exists, and does not',
      seen: and({
        ...done(18, { verb: 'create', key: 'configmaps/a', token: '9' }),
        ...refused,
        status: 409,
      }),
      want: 'exists already, and it did not',
    },
    { name: 'a count that is lost', seen: without(14), want: '0, of 1 acknowledged' },
    {
      name: 'a count that goes back',
      seen: {
        ...healthy,
        written: [...written, { revision: 19, key: 'configmaps/count', value: count('1') }],
      },
      want: 'configmaps/count@19: 1 after 1',
    },
    { name: 'an address given twice', seen: without(17), want: "serviceips/10.0.0.1 is services/s's" },
    { name: 'a port given twice', seen: without(17), want: "servicenodeports/30000 is services/s's" },
    {
      name: 'a revision that comes back',
      seen: { ...healthy, written: [...written, { revision: 17, key: 'configmaps/b', value: undefined }] },
      want: 'revision 17 of configmaps/b after revision 18',
    },
    {
      name: 'a revision that is something else for another watcher',
      seen: tellsOther((events) => events.map((each) => ({ ...each, digest: 'x' }))),
      want: 'other: revision 12 is',
    },
    {
      name: 'an event that is not told',
      seen: tellsOther((events) => events.filter((each) => each.revision !== 13)),
      want: 'event 1 is configmaps/count@14 instead of configmaps/a@13',
    },
    {
      name: 'an event told twice',
      seen: tellsOther((events) => events.flatMap((each) => (each.revision === 15 ? [each, each] : [each]))),
      want: 'event 4 is configmaps/a@15 gone instead of undefined',
    },
    {
      name: 'a late takeover',
      seen: {
        ...healthy,
        takeovers: [{ leaseMs: 15_000, outageMs: 0, boundMs: 15_000, replicaSetMs: 14_000 }],
      },
      want: 'a pod was bound 15000 ms after the kill',
    },
  ])('finds $name', ({ seen, want }) => {
    expect(judge(seen).join('\n')).toContain(want);
  });
});

describe('judgeEnd()', () => {
  const holder = (uid: string) => ({ revision: 18, value: { kind: 'Service', uid } });
  const dump: Dump = new Map([
    ['/registry/configmaps/campaign/count', { revision: 14, value: count('1') }],
    ['/registry/services/specs/campaign/t', { revision: 18, value: service('t1', '10.0.0.1', 30_000) }],
    ['/registry/ranges/serviceips/10.0.0.1', holder('t1')],
    ['/registry/ranges/servicenodeports/30000', holder('t1')],
    ['/registry/configmaps/default/other', { revision: 3, value: count('1') }],
  ]);
  const end = (change: (entries: Map<string, { revision: number; value: JsonObject }>) => void): string => {
    const changed = new Map(dump);
    change(changed);
    return judgeEnd(changed, healthy.watched, historyOf(written)).join('\n');
  };

  it('finds nothing where all end alike', () => {
    expect(end(() => undefined)).toBe('');
  });

  it.each([
    {
      name: 'an object that is not stored',
      key: '/registry/configmaps/campaign/count',
      want: 'one ends with configmaps/count',
    },
    {
      name: 'a Service that history has',
      key: '/registry/services/specs/campaign/t',
      want: 'history ends with services/t',
    },
    {
      name: 'an address that nobody claims',
      key: '/registry/ranges/serviceips/10.0.0.1',
      want: 'without a claim',
    },
  ])('finds $name', ({ key, want }) => {
    expect(end((entries) => entries.delete(key))).toContain(want);
  });

  it('finds other bytes, and claims of nobody', () => {
    const key = '/registry/configmaps/campaign/count';
    expect(end((entries) => entries.set(key, { revision: 14, value: count('2') }))).toContain(
      'of other bytes',
    );
    const claim = '/registry/ranges/serviceips/10.0.0.9';
    expect(end((entries) => entries.set(claim, holder('gone')))).toContain(
      'serviceips/10.0.0.9 is claimed by gone',
    );
  });
});

it('outageOf() counts what no write came through, after the time of an election', () => {
  const beats = [0, 500, 1000, 9000, 9500];
  expect(outageOf(beats, 0, 9600)).toBe(6000);
  expect(outageOf(beats, 4000, 9600)).toBe(5000);
  expect(outageOf(beats, 0, 5000)).toBe(2000);
  expect(outageOf(beats, 9000, 15_000)).toBe(3500);
  expect(outageOf(beats, 9000, 9600)).toBe(0);
});
