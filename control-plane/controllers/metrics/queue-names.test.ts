import { expect, it } from 'vitest';
import { countedControllers } from '#client/controller.ts';
import { startCluster } from '#control-plane/controllers/cluster.fixture.ts';
import { queueNames } from './queue-names.ts';

/** Of podwright alone, or without a queue in kube-controller-manager. */
const own: ReadonlySet<string> = new Set([
  'certificatesigningrequest-cleaner-controller',
  'cluster-policy-status-controller',
  'garbage-collector-discovery',
  'legacy-service-account-token-cleaner',
  'node-certificate-approving-controller',
  'pod-garbage-collector',
]);

it('each loop has the name of its queue in kube-controller-manager, or is known to have none', async () => {
  await using _cluster = await startCluster();

  const running = countedControllers();
  expect(running.filter((name) => queueNames[name] === undefined && !own.has(name))).toEqual([]);
  expect(new Set(Object.values(queueNames)).size).toBe(Object.keys(queueNames).length);
});
