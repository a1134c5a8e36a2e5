import { expect, it } from 'vitest';
import { createFakeClock } from '#base/clock.ts';
import type { Pod } from '#api/generated/objects.ts';
import { createPendingPods } from './pending-pods.ts';

function pod(name: string, priority = 0): Pod {
  return { metadata: { name, namespace: 'default', uid: name }, spec: { containers: [], priority } };
}

function setUp() {
  const clock = createFakeClock();
  let readyCount = 0;
  const pending = createPendingPods(clock, () => (readyCount += 1));
  const takeName = (): string | undefined => pending.take()?.metadata?.name;
  return { clock, pending, takeName, readyCount: () => readyCount };
}

it('takes the highest priority first, then in order of arrival', () => {
  const { pending, takeName, readyCount } = setUp();
  for (const one of [pod('a'), pod('b', 5), pod('c')]) pending.put(one);
  expect([takeName(), takeName(), takeName(), takeName()]).toEqual(['b', 'a', 'c', undefined]);
  expect(readyCount()).toBe(1);
});

it('takes by the priority that a pod has when it is taken', () => {
  const { pending, takeName } = setUp();
  for (const one of [pod('a', 1), pod('b', 2), pod('a', 3), pod('b', 0)]) pending.put(one);
  expect([takeName(), takeName(), takeName()]).toEqual(['a', 'b', undefined]);
});

it('takes each pod once, however often it came and went before', () => {
  const { pending, takeName } = setUp();
  for (let round = 0; round < 5_000; round++) {
    pending.put(pod(`p-${round % 3}`, round % 7));
    if (round % 2 === 0) pending.delete(`default/p-${round % 3}`);
  }
  const taken = [takeName(), takeName(), takeName(), takeName()].filter((name) => name !== undefined);
  expect(new Set(taken).size).toBe(taken.length);
  expect(taken.length).toBe(pending.size);
});

it('wakes only the unschedulable pods that a change may help', () => {
  const { clock, pending, takeName } = setUp();
  for (const name of ['a', 'b']) {
    pending.put(pod(name));
    pending.putUnschedulable(pending.take() ?? pod(name), new Set([`refuses-${name}`]));
  }
  clock.advance(2000);
  pending.wakeUnschedulable((_pod, refusedBy) => refusedBy.has('refuses-b'));
  expect([takeName(), takeName()]).toEqual(['b', undefined]);
});

it('an unschedulable pod waits for a change, and then for others while it backs off', () => {
  const { clock, pending, takeName, readyCount } = setUp();
  pending.put(pod('a'));
  pending.putUnschedulable(pending.take() ?? pod('a'), new Set());
  clock.advance(500);
  expect(takeName()).toBeUndefined();
  pending.wakeUnschedulable(() => true);
  expect([readyCount(), pending.counts()]).toEqual([2, { active: 0, backoff: 1, unschedulable: 0 }]);
  pending.put(pod('b', -5));
  expect([takeName(), takeName(), takeName()]).toEqual(['b', 'a', undefined]);
  // Its back-off, of which it used nothing, is none of the next.
  clock.advance(10_000);
  expect(takeName()).toBeUndefined();
});

it('a pod that backs off is ready as others are, once that has passed', () => {
  const { clock, pending, takeName } = setUp();
  pending.put(pod('a', 5));
  pending.putUnschedulable(pending.take() ?? pod('a'), new Set());
  pending.wakeUnschedulable(() => true);
  pending.put(pod('b'));
  clock.advance(1000);
  expect([takeName(), takeName(), takeName()]).toEqual(['a', 'b', undefined]);
});

it('of those that back off the first comes first, of those of a second the most important', () => {
  const { clock, pending, takeName } = setUp();
  const names = ['first', 'second', 'third', 'late'];
  clock.advance(500);
  for (const name of names) {
    const one = pod(name, names.indexOf(name));
    pending.put(one);
    pending.putUnschedulable(pending.take() ?? one, new Set());
    clock.advance(name === 'third' ? 490 : 10);
  }
  clock.advance(50);
  pending.wakeUnschedulable(() => true);
  expect([...names.map(takeName), takeName()]).toEqual(['third', 'second', 'first', 'late', undefined]);
});

it('a pod whose try failed does not come early, one that is put again neither', () => {
  const { clock, pending, takeName, readyCount } = setUp();
  pending.put(pod('a'));
  pending.putFailed(pending.take() ?? pod('a'));
  pending.put(pod('a', 3));
  expect([takeName(), readyCount()]).toEqual([undefined, 1]);
  clock.advance(1000);
  expect([takeName(), readyCount()]).toEqual(['a', 2]);
});

it('each that backs off is taken once, by the priority that it has then', () => {
  const { clock, pending, takeName } = setUp();
  const names = Array.from({ length: 50 }, (_, index) => `p-${index}`);
  for (const name of names) {
    pending.put(pod(name));
    pending.putUnschedulable(pending.take() ?? pod(name), new Set());
  }
  clock.advance(100);
  pending.wakeUnschedulable(() => true);
  for (let round = 0; round < 2_000; round++) pending.put(pod(`p-${round % 50}`, round));
  pending.delete('default/p-0');
  const taken = names.map(takeName);
  expect(taken.slice(0, 3)).toEqual(['p-49', 'p-48', 'p-47']);
  expect(new Set(taken)).toEqual(new Set([...names.slice(1), undefined]));
});

it('an unschedulable pod is tried again in the end though nothing changed', () => {
  const { clock, pending, takeName } = setUp();
  pending.put(pod('a'));
  pending.putUnschedulable(pending.take() ?? pod('a'), new Set());
  clock.advance(299_000);
  expect(takeName()).toBeUndefined();
  clock.advance(1000);
  expect(takeName()).toBe('a');
});

it('a new status does not wake an unschedulable pod, a new spec does', () => {
  const { clock, pending, takeName } = setUp();
  pending.put(pod('a'));
  pending.putUnschedulable(pending.take() ?? pod('a'), new Set());
  pending.put({ ...pod('a'), status: { message: 'm' } });
  clock.advance(2000);
  expect(takeName()).toBeUndefined();
  pending.put(pod('a', 7));
  expect(takeName()).toBe('a');
});

it('a pod that changed while it was tried is tried again as it is now', () => {
  const { pending } = setUp();
  const changed: Pod = { ...pod('a'), metadata: { ...pod('a').metadata, labels: { app: 'a' } } };
  const tryWith = (now: Pod): void => {
    const tried = pending.take();
    pending.put(now);
    if (tried !== undefined) pending.putUnschedulable(tried, new Set(['p']));
  };
  pending.put(pod('a'));
  tryWith(changed);
  expect(pending.counts()).toEqual({ active: 0, backoff: 1, unschedulable: 0 });
  tryWith({ ...changed, status: { message: 'm' } });
  expect(pending.refused().map((one) => one.pod.status?.message)).toEqual(['m']);
});

it('back-off doubles to ten seconds', () => {
  const { clock, pending, takeName } = setUp();
  pending.put(pod('a'));
  for (const waitMs of [1000, 2000, 4000, 8000, 10_000, 10_000]) {
    pending.putFailed(pending.take() ?? pod('a'));
    clock.advance(waitMs - 1);
    expect(takeName()).toBeUndefined();
    clock.advance(1);
  }
  expect(takeName()).toBe('a');
});

it('another pod of the name begins anew, a deleted one is forgotten', () => {
  const { pending, takeName } = setUp();
  pending.put(pod('a'));
  pending.putUnschedulable(pending.take() ?? pod('a'), new Set());
  pending.put({ ...pod('a'), metadata: { name: 'a', namespace: 'default', uid: 'other' } });
  expect(takeName()).toBe('a');
  pending.put(pod('b'));
  pending.delete('default/b');
  expect(takeName()).toBeUndefined();
  expect(pending.size).toBe(1);
});
