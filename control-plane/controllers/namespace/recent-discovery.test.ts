import { expect, it } from 'vitest';
import { createFakeClock } from '#base/clock.ts';
import { createFakeApiClient } from '#client/client.fake.ts';
import { createRecentDiscovery } from './recent-discovery.ts';

function setUp() {
  const clock = createFakeClock();
  const client = createFakeApiClient(clock);
  let asked = 0;
  let broken = '';
  client.intercept = ({ resource }) => {
    asked += 1;
    return resource === broken ? new Error('down') : undefined;
  };
  const takeAsked = (): number => {
    const count = asked;
    asked = 0;
    return count;
  };
  const discovery = createRecentDiscovery(client, clock);
  return { clock, discovery, takeAsked, breakPath: (path: string) => (broken = path) };
}

it('a hundred namespaces that go together have the kinds asked for once', async () => {
  const { clock, discovery, takeAsked } = setUp();
  clock.advance(1000);
  await discovery.since(500);
  const once = takeAsked();
  expect(once).toBeGreaterThan(2);
  for (let index = 0; index < 100; index++) await discovery.since(600 + index);
  expect(takeAsked()).toBe(0);
  await discovery.since(1001);
  expect(takeAsked()).toBe(once);
});

it('what did not answer is asked again', async () => {
  const { discovery, takeAsked, breakPath } = setUp();
  breakPath('/apis/apps/v1');
  expect((await discovery.since(0)).failed).toEqual(['apps/v1']);
  breakPath('/apis');
  await expect(discovery.since(0)).rejects.toThrow('down');
  breakPath('');
  takeAsked();
  expect((await discovery.since(0)).failed).toEqual([]);
  expect(takeAsked()).toBeGreaterThan(2);
});
