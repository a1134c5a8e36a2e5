/** A pod that uses processor time is joined by others, as `kubectl autoscale` asks for. */
import { expect, test } from 'vitest';
import { canTestClusters, eventually, startCluster } from './cluster.ts';

test.skipIf(!canTestClusters())(
  'kubectl autoscale: a pod that uses its processor is joined by others (needs root, kubectl)',
  { timeout: 300_000 },
  async () => {
    await using cluster = await startCluster({
      environment: { PODWRIGHT_HORIZONTAL_POD_AUTOSCALER_SYNC_PERIOD: '1s' },
    });
    const resources = { requests: { cpu: '10m' }, limits: { cpu: '100m' } };
    const container = {
      ...{ name: 'c', image: 'podwright/demo:1', resources },
      command: ['/bin/sh', '-c', 'while :; do :; done'],
    };
    const deployment = {
      ...{ apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name: 'busy' } },
      spec: {
        selector: { matchLabels: { app: 'busy' } },
        template: {
          metadata: { labels: { app: 'busy' } },
          spec: { terminationGracePeriodSeconds: 0, containers: [container] },
        },
      },
    };
    await cluster.must('apply -f -', { input: JSON.stringify(deployment) });
    await cluster.must('rollout status deployment/busy --timeout=120s');
    await cluster.must('autoscale deployment busy --min=1 --max=2 --cpu-percent=50');
    await eventually('a second pod', async () =>
      (await cluster.must('get deployment busy -o jsonpath={.status.readyReplicas}')).includes('2'),
    );
    const described = await cluster.must('describe hpa busy');
    expect(described).toMatch(/SuccessfulRescale .* New size: 2; reason: cpu resource utilization/);
    expect(described).toMatch(/AbleToScale +True/);
  },
);
