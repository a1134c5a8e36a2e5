import assert from 'node:assert/strict';
import { expect, it } from 'vitest';
import { configMaps, secrets, serviceAccounts } from '#api/schema/kind-ref.ts';
import { forbidden } from '#api/errors/status.ts';
import { builtIn } from '#control-plane/apiserver/built-in.ts';
import { createFakeClock } from '#base/clock.ts';
import { silentLogger } from '#base/log.ts';
import { watchPresence } from '#base/presence.ts';
import { untilQuiet } from '#base/quiet.fixture.ts';
import { createFakeApiClient } from '#client/client.fake.ts';
import { createInformers } from '#client/informers.ts';
import { runLegacyTokenCleaner } from './reconcile.ts';

it('one token that may not be marked keeps no other', async () => {
  const clock = createFakeClock(Date.UTC(2026, 0, 1));
  const client = createFakeApiClient(clock);
  const since = { namespace: 'kube-system', name: 'kube-apiserver-legacy-service-account-token-tracking' };
  client.seed(configMaps, { metadata: since, data: { since: '2020-01-01' } });
  const names = ['a', 'b', 'c'];
  client.seed(serviceAccounts, {
    metadata: { namespace: 'default', name: 'robot' },
    secrets: names.map((name) => ({ name })),
  });
  for (const name of names) {
    client.seed(secrets, {
      metadata: {
        ...{ namespace: 'default', name, creationTimestamp: '2020-01-01T00:00:00Z' },
        annotations: { 'kubernetes.io/service-account.name': 'robot' },
      },
      type: 'kubernetes.io/service-account-token',
    });
  }
  client.intercept = ({ verb, resource, name }) =>
    verb === 'patch' && resource === 'secrets' && name === 'a'
      ? forbidden(builtIn('', 'v1', 'secrets'), name, 'no')
      : undefined;
  await using stack = new AsyncDisposableStack();
  const informers = stack.use(createInformers({ client, clock }));
  const recorder = (): never => assert.fail('it tells of no events');
  const context = { ...{ client, informers, clock, logger: silentLogger }, presence: watchPresence(clock) };
  stack.use(runLegacyTokenCleaner({ ...context, recorder }));
  await untilQuiet();

  const label = 'kubernetes.io/legacy-token-invalid-since';
  const marked = client.all(secrets).map(({ metadata }) => metadata?.labels?.[label]);
  expect(marked).toEqual([undefined, '2026-01-01', '2026-01-01']);
});
