import type { Store, StoredValue, StoreEvent, StoreTxn, TxnResult } from '#control-plane/store/store.ts';

type Expectation = StoreTxn['expect'][number];

/**
 * A store whose revisions are counted from where it stands now: etcd has revision 1 when nothing was written yet, and tests share
 * one. So the suite of the port can speak of revisions from 1 on.
 */
export function countedFrom(store: Store): Store {
  const first = store.revision;
  const less = (revision: number): number => (revision === 0 ? 0 : revision - first);
  const value = <V extends StoredValue | undefined>(stored: V): V =>
    stored === undefined
      ? stored
      : {
          ...stored,
          createRevision: less(stored.createRevision),
          modRevision: less(stored.modRevision),
        };
  const event = (told: StoreEvent): StoreEvent => ({
    ...told,
    current: value(told.current),
    previous: value(told.previous),
  });
  const result = (answer: TxnResult): TxnResult =>
    answer.ok
      ? { ...answer, revision: less(answer.revision), values: answer.values.map(value) }
      : { ...answer, revision: less(answer.revision), current: answer.current.map(value) };
  const expected = ({ key, modRevision }: Expectation): Expectation => ({
    key,
    modRevision: modRevision === 0 ? 0 : modRevision + first,
  });
  return {
    get revision() {
      return less(store.revision);
    },
    get compactRevision() {
      return less(store.compactRevision);
    },
    get failure() {
      return store.failure;
    },
    get: async (key, revision) =>
      value(await (revision === undefined ? store.get(key) : store.get(key, revision + first))),
    range: async (prefix, { revision, ...options } = {}) => {
      const found = await store.range(prefix, {
        ...options,
        ...(revision === undefined ? {} : { revision: revision + first }),
      });
      return { ...found, revision: less(found.revision), values: found.values.map(value) };
    },
    commit: async ({ expect, ops }) =>
      result(
        await store.commit({
          expect: expect.map(expected),
          ops,
        }),
      ),
    update: async (key, decide) => {
      const done = await store.update(key, (current, read) => {
        const change = decide(value(current), (other) => value(read(other)));
        return change && { ops: change.ops, expect: (change.expect ?? []).map(expected) };
      });
      return { revision: less(done.revision), previous: value(done.previous), value: value(done.value) };
    },
    watch: (prefix, afterRevision, onEvents, options) =>
      store.watch(prefix, afterRevision + first, (events) => onEvents(events.map(event)), options),
    compact: (revision) => store.compact(revision + first),
    grantLease: (ttlSeconds) => store.grantLease(ttlSeconds),
    revokeLease: (lease) => store.revokeLease(lease),
    [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
  };
}
