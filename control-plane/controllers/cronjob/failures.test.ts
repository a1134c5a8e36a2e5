import { expect, it } from 'vitest';
import * as failure from '#api/errors/status.ts';
import { cronJobs, events, jobs } from '#api/schema/kind-ref.ts';
import type { CronJobSpec } from '#api/generated/objects.ts';
import { startCluster, type Cluster } from '#control-plane/controllers/cluster.fixture.ts';

const namespace = 'default';
const suspended = { suspend: true, template: { spec: { containers: [] } } };

/** A CronJob that is due, whose last Job runs, or has ended. */
function seedDue({ client }: Cluster, ended: boolean, spec: Partial<CronJobSpec> = {}): void {
  const { uid = '' } =
    client.seed(cronJobs, {
      metadata: { namespace, name: 'cron', creationTimestamp: '2025-12-31T20:00:00Z' },
      spec: { schedule: '0 * * * *', jobTemplate: { spec: suspended }, suspend: true, ...spec },
    }).metadata ?? {};
  const owner = { apiVersion: 'batch/v1', kind: 'CronJob', name: 'cron', uid, controller: true };
  const last = client.seed(jobs, {
    metadata: { namespace, name: 'last', ownerReferences: [owner] },
    spec: suspended,
    status: ended ? { conditions: [{ type: 'Complete', status: 'True' }] } : {},
  });
  const active = [{ namespace, name: 'last', uid: last.metadata?.uid }];
  const before = client.all(cronJobs).find(({ metadata }) => metadata?.name === 'cron');
  if (before === undefined) return;
  const status = { active, lastScheduleTime: '2025-12-31T22:00:00Z' };
  client.seed(cronJobs, { ...before, spec: { ...before.spec, suspend: false }, status });
}

/** `reason count: message` of what was told of it. */
const told = ({ client }: Cluster): readonly string[] =>
  client
    .all(events)
    .filter(({ involvedObject }) => involvedObject.kind === 'CronJob')
    .map(
      ({ reason, count = 1, message }) => `${reason} ${reason === 'FailedCreate' ? 'n' : count}: ${message}`,
    );

const statusOf = ({ client }: Cluster) =>
  client.all(cronJobs).find(({ metadata }) => metadata?.name === 'cron')?.status;

it('what ended is told once, and written, though the next Job cannot be made', async () => {
  await using cluster = await startCluster();
  cluster.client.intercept = ({ verb, resource }) =>
    verb === 'create' && resource === 'jobs' ? failure.forbidden({ ...jobs }, 'cron-1', 'no') : undefined;
  seedDue(cluster, true);
  await cluster.settle(5000);
  expect(told(cluster)).toEqual([
    'SawCompletedJob 1: Saw completed job: last, condition: Complete',
    expect.stringMatching(/^FailedCreate n: Error creating job: .*forbidden: no$/),
  ]);
  expect(statusOf(cluster)).toEqual({ lastScheduleTime: '2025-12-31T22:00:00Z' });
});

it('a Job that cannot be read is not replaced', async () => {
  await using cluster = await startCluster();
  cluster.client.intercept = ({ verb, resource }) =>
    verb === 'get' && resource === 'jobs' ? failure.forbidden({ ...jobs }, 'last', 'no') : undefined;
  seedDue(cluster, false, { concurrencyPolicy: 'Replace' });
  await cluster.settle(500);
  expect(told(cluster)).toContainEqual(expect.stringMatching(/^FailedGet \d+: Get job: .*forbidden: no$/));
  expect(cluster.client.all(jobs)).toHaveLength(1);
  cluster.client.intercept = () => undefined;
  await cluster.settle(5000);
  expect(cluster.client.all(jobs).map(({ metadata }) => metadata?.name)).toEqual([
    expect.stringMatching(/^cron-\d+$/),
  ]);
});
