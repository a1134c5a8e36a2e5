import { expect, it } from 'vitest';
import * as kinds from '#api/schema/kind-ref.ts';
import {
  gang,
  podOf,
  startGangCluster,
  type GangCluster,
} from '#control-plane/scheduler/gang/gang.fixture.ts';

/** Numbers by name and labels, without buckets. */
function read({ metrics }: GangCluster): Readonly<Record<string, number>> {
  const samples = metrics.metrics.flatMap(({ name, read: samplesOf }) =>
    samplesOf().map(({ metricName = name, labels, value }) => {
      const said = Object.values(labels).join(' ');
      return [said === '' ? metricName : `${metricName} ${said}`, value] as const;
    }),
  );
  return Object.fromEntries(samples.filter(([name]) => !/_bucket|_sum|duration/.test(name)));
}

it('tells what was tried, what waits and why, and who went', async () => {
  await using cluster = await startGangCluster({ a: '2' });

  await cluster.client.create(kinds.pods, podOf('low-1', undefined, { priority: 1 }));
  await cluster.client.create(kinds.pods, podOf('low-2', undefined, { priority: 1 }));
  await cluster.client.create(kinds.pods, podOf('gated', 'nowhere'));
  await cluster.client.create(kinds.podGroups, gang('g', 2));
  for (const name of ['g-1', 'g-2']) await cluster.client.create(kinds.pods, podOf(name, 'g'));
  await cluster.settle();
  expect(read(cluster)).toMatchObject({
    'scheduler_schedule_attempts_total default-scheduler scheduled': 2,
    'scheduler_schedule_attempts_total default-scheduler unschedulable': 2,
    scheduler_pod_scheduling_attempts_count: 2,
    scheduler_preemption_attempts_total: 1,
    'scheduler_pending_pods active': 0,
    'scheduler_pending_pods backoff': 0,
    'scheduler_pending_pods unschedulable': 2,
    'scheduler_pending_pods gated': 1,
    'scheduler_unschedulable_pods default-scheduler NodeResourcesFit': 2,
    'scheduler_queue_incoming_pods_total active UnschedulablePodAdd': 4,
    'scheduler_queue_incoming_pods_total unschedulable ScheduleAttemptFailure': 2,
    scheduler_pod_scheduled_after_flush_total: 0,
    'scheduler_cache_size nodes': 1,
    'scheduler_cache_size pods': 2,
  });
  const series = new Set(
    cluster.metrics.metrics.flatMap(({ read: samplesOf }) =>
      samplesOf().map(({ metricName, labels }) => `${metricName} ${Object.values(labels).join(' ')}`),
    ),
  );
  for (const point of ['PreFilter Success', 'Filter Success', 'Filter Unschedulable', 'Reserve Success'])
    expect(series).toContain(
      `scheduler_framework_extension_point_duration_seconds_count ${point} default-scheduler`,
    );
  expect(series).toContain(
    'scheduler_plugin_execution_duration_seconds_count NodeResourcesFit Filter Success',
  );
  expect(series).toContain('scheduler_pod_scheduling_sli_duration_seconds_count 1');
  await cluster.client.create(kinds.pods, podOf('high', undefined, { priority: 9 }));
  await cluster.settle(12_000);
  expect(read(cluster)).toMatchObject({
    scheduler_preemption_victims_count: 1,
    'scheduler_schedule_attempts_total default-scheduler scheduled': 3,
  });
});
