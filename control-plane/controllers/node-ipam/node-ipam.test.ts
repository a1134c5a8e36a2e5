import { expect, it } from 'vitest';
import { createFakeClock } from '#base/clock.ts';
import { untilTurnsEnd } from '#base/quiet.fixture.ts';
import { PodwrightError } from '#base/errors.ts';
import { silentLogger } from '#base/log.ts';
import { watchPresence } from '#base/presence.ts';
import { nodes } from '#api/schema/kind-ref.ts';
import type { ApiClient } from '#client/client.ts';
import { createFakeApiClient } from '#client/client.fake.ts';
import { createInformers } from '#client/informers.ts';
import { runNodeIpam } from './reconcile.ts';

function setUp(nodeCount: number, ...clusterCidrs: readonly string[]) {
  return setUpWith({ nodeCount, clusterCidrs, clientOf: (client) => client });
}

function setUpWith({
  nodeCount,
  clusterCidrs,
  clientOf,
}: {
  readonly nodeCount: number;
  readonly clusterCidrs: readonly string[];
  /** What the loop asks. */
  readonly clientOf: (client: ApiClient) => ApiClient;
}) {
  const clock = createFakeClock(Date.UTC(2026, 0, 1));
  const client = createFakeApiClient(clock);
  for (let index = 0; index < nodeCount; index++)
    client.seed(nodes, { metadata: { name: `n-${index + 10}` }, spec: {} });
  const asked = clientOf(client);
  const informers = createInformers({ client: asked, clock, random: () => 0.5 });
  const events: string[] = [];
  const recorder = () => ({
    record: (...[{ object }, , reason, message]: readonly [{ object: unknown }, string, string, string]) => {
      const { name = '' } = (object as { metadata?: { name?: string } }).metadata ?? {};
      events.push(`${reason} ${name}: ${message}`);
    },
    flush: async () => undefined,
    [Symbol.asyncDispose]: async () => undefined,
  });
  const presence = watchPresence(clock);
  const context = { client: asked, informers, clock, logger: silentLogger, presence, recorder };
  const controller = runNodeIpam(context, { clusterCidrs });
  const patches = () => client.writes.filter((write) => write.startsWith('patch nodes')).length;
  const settle = async (): Promise<void> => {
    await controller.idle();
    await untilTurnsEnd();
    await controller.idle();
  };
  const rangeOf = (name: string) =>
    client.all(nodes).find(({ metadata }) => metadata?.name === name)?.spec?.podCIDR;
  return { clock, client, controller, events, patches, settle, rangeOf };
}

it('runNodeIpam() gives each of 2,000 nodes a range of its own by one write', async () => {
  const { client, controller, events, patches, settle } = setUp(2_000, '10.128.0.0/9');
  await settle();
  expect(new Set(client.all(nodes).map(({ spec }) => spec?.podCIDR)).size).toBe(2_000);
  expect([patches(), events.length]).toEqual([2_000, 0]);
  await controller[Symbol.asyncDispose]();
});

it('runNodeIpam() gives nobody else the range of a node whose write was done and not answered', async () => {
  let isLost = true;
  const clientOf = (client: ApiClient): ApiClient => ({
    ...client,
    patch: async (...args: Parameters<ApiClient['patch']>) => {
      const answer = await client.patch(...args);
      if (!isLost) return answer as never;
      isLost = false;
      throw new PodwrightError('E_CONNECTION', 'patch node: connection reset');
    },
    // What is written is told late.
    watch: async function* (_kind, _options, signal) {
      yield* [];
      const { promise, resolve } = Promise.withResolvers<void>();
      signal.addEventListener('abort', () => resolve());
      await promise;
    },
  });
  const { controller, settle, rangeOf } = setUpWith({
    nodeCount: 3,
    clusterCidrs: ['10.244.0.0/16'],
    clientOf,
  });
  await settle();
  const ranges = ['n-10', 'n-11', 'n-12'].map(rangeOf);
  expect(ranges).toEqual(['10.244.0.0/24', '10.244.1.0/24', '10.244.2.0/24']);
  await controller[Symbol.asyncDispose]();
});

it('runNodeIpam() tells a node once that no range is left, and gives it the first that becomes free', async () => {
  const { clock, client, controller, events, patches, settle, rangeOf } = setUp(20, '10.244.0.0/20');
  await settle();
  expect([patches(), events.length]).toEqual([16, 4]);
  expect(events[0]).toBe(
    'CIDRNotAvailable n-26: Node n-26 status is now: CIDRNotAvailable: all 16 ranges /24 of 10.244.0.0/20 are ' +
      'taken (--cluster-cidr, --node-cidr-mask-size)',
  );
  for (let minute = 0; minute < 60; minute++) {
    clock.advance(60_000);
    await settle();
  }
  expect([patches(), events.length]).toEqual([16, 4]);
  await client.delete(nodes, { name: 'n-13' });
  await settle();
  expect([patches(), events.length, rangeOf('n-26')]).toEqual([17, 4, '10.244.3.0/24']);
  await controller[Symbol.asyncDispose]();
});

it('runNodeIpam() gives a node of a cluster of both families a range of each, or none', async () => {
  const { client, controller, events, settle } = setUp(3, 'fd00:10:244::/56', '10.244.0.0/23');
  await settle();
  expect(client.all(nodes).map(({ spec }) => [spec?.podCIDR, spec?.podCIDRs])).toEqual([
    ['fd00:10:244::/64', ['fd00:10:244::/64', '10.244.0.0/24']],
    ['fd00:10:244:1::/64', ['fd00:10:244:1::/64', '10.244.1.0/24']],
    [undefined, undefined],
  ]);
  expect(events).toEqual([expect.stringContaining('all 2 ranges /24 of 10.244.0.0/23 are taken')]);
  await controller[Symbol.asyncDispose]();
});
