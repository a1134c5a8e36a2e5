import { hostname } from 'node:os';
import { describe, expect, it } from 'vitest';
import { systemClock, type Clock } from '#base/clock.ts';
import { at } from '#api/wire/json.ts';
import { identityOf } from './identity.ts';
import { isOver } from './identity-lease.ts';
import { startTestServer } from './test-server.fixture.ts';

const labels = { 'apiserver.kubernetes.io/identity': 'kube-apiserver' };
const path = '/apis/coordination.k8s.io/v1/namespaces/kube-system/leases';

describe('identityOf()', () => {
  it('is a name of 128 bits of the host, the same every time', () => {
    expect(identityOf('server')).toMatch(/^apiserver-[a-z2-7]{26}$/);
    expect(identityOf('server')).toBe(identityOf('server'));
    expect(identityOf('server')).not.toBe(identityOf('server2'));
    // SHA-256 of "a" begins with ca978112 ca1bbdca fac231b3 9a23dc4d.
    expect(identityOf('a')).toBe('apiserver-zklycewkdo64v6wcggzzui64ju');
  });
});

describe('isOver()', () => {
  const lease = (spec: object, own: object = labels): Parameters<typeof isOver>[0] => ({
    metadata: { name: 'l', labels: own },
    spec,
  });
  const renewTime = '2026-01-01T00:00:00.000000Z';
  const atMs = Date.parse(renewTime);
  it.each([
    { name: 'held', given: lease({ renewTime, leaseDurationSeconds: 3600 }), after: 3_599_000, want: false },
    { name: 'out', given: lease({ renewTime, leaseDurationSeconds: 3600 }), after: 3_600_001, want: true },
    { name: 'of somebody else', given: lease({ renewTime }, {}), after: 1e9, want: false },
    { name: 'without a time', given: lease({ leaseDurationSeconds: 3600 }), after: 0, want: true },
    { name: 'without a duration', given: lease({ renewTime }), after: 0, want: true },
  ])('$name', ({ given, after, want }) => {
    expect(isOver(given, atMs + after)).toBe(want);
  });
});

it('is renewed while the server runs, made again if somebody deletes it, and of servers that went is collected', async () => {
  let skippedMs = 0;
  const due = new Set<() => void>();
  // Time passes when the test says so, for what waits ten seconds or more.
  const clock: Clock = {
    ...systemClock,
    now: () => Date.now() + skippedMs,
    after: (ms, callback) => {
      if (ms < 10_000) return systemClock.after(ms, callback);
      due.add(callback);
      return { [Symbol.dispose]: () => due.delete(callback) };
    },
  };
  const elapse = (ms: number): void => {
    skippedMs += ms;
    for (const callback of [...due]) {
      due.delete(callback);
      callback();
    }
  };
  await using test = await startTestServer({ clock });
  const own = `${path}/${identityOf(hostname())}`;
  const old = { leaseDurationSeconds: 3600, renewTime: '2020-01-01T00:00:00.000000Z' };
  await test.make(path, { metadata: { name: 'apiserver-gone', labels }, spec: old });
  await test.make(path, { metadata: { name: 'anybody' }, spec: old });
  const before = (await test.call('GET', own)).json;

  elapse(3_600_000);
  await expect.poll(async () => (await test.call('GET', `${path}/apiserver-gone`)).status).toBe(404);
  await expect
    .poll(async () => at((await test.call('GET', own)).json, 'spec.renewTime'))
    .not.toBe(at(before, 'spec.renewTime'));
  expect(at((await test.call('GET', own)).json, 'spec.holderIdentity')).toBe(
    at(before, 'spec.holderIdentity'),
  );
  expect((await test.call('GET', `${path}/anybody`)).status).toBe(200);

  await test.call('DELETE', own);
  await expect
    .poll(async () => {
      elapse(10_000);
      return (await test.call('GET', own)).status;
    })
    .toBe(200);
});
