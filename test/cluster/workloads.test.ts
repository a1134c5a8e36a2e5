/** What controllers decide by how pods end and by the clock: Jobs, CronJobs, evictions under a budget. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { canTestClusters, eventually, startCluster, type TestCluster } from './cluster.ts';

const canRun = canTestClusters();
const image = 'podwright/demo:1';

describe.skipIf(!canRun)('workloads of podwright up (needs kubectl)', () => {
  let cluster: TestCluster;

  beforeAll(async () => {
    cluster = await startCluster();
  });

  afterAll(async () => {
    await cluster?.[Symbol.asyncDispose]();
  });

  const makeJob = (name: string, script: string, spec: object): Promise<string> => {
    const containers = [{ name: 'c', image, command: ['sh', '-c', script] }];
    const template = { spec: { restartPolicy: 'Never', terminationGracePeriodSeconds: 0, containers } };
    const job = { apiVersion: 'batch/v1', kind: 'Job', metadata: { name }, spec: { ...spec, template } };
    return cluster.must('apply -f -', { input: JSON.stringify(job) });
  };
  const reasonOf = (name: string, condition: string): Promise<string> =>
    cluster.must(`get job ${name} -o jsonpath={.status.conditions[?(@.type=="${condition}")].reason}`);

  it('a Job fails at the exit code that its podFailurePolicy names', async () => {
    const rules = [{ action: 'FailJob', onExitCodes: { operator: 'In', values: [42] } }];
    await makeJob('failing', 'exit 42', { podFailurePolicy: { rules } });
    await cluster.must('wait job/failing --for=condition=Failed --timeout=120s');
    expect(await reasonOf('failing', 'Failed')).toBe('PodFailurePolicy');
  });

  it('a Job succeeds by its successPolicy, and the pods that still run go', async () => {
    const script = 'test $JOB_COMPLETION_INDEX = 1 || sleep 3600';
    const spec = { completions: 2, parallelism: 2, completionMode: 'Indexed' };
    await makeJob('leading', script, { ...spec, successPolicy: { rules: [{ succeededIndexes: '1' }] } });
    await cluster.must('wait job/leading --for=condition=Complete --timeout=120s');
    expect(await reasonOf('leading', 'Complete')).toBe('SuccessPolicy');
    const left = await cluster.must('get pods -l job-name=leading -o jsonpath={.items[*].status.phase}');
    expect(left).toBe('Succeeded');
  });

  it('a pod that is deleted before it ran is replaced once it is Failed', async () => {
    const containers = [{ name: 'c', image: 'nowhere.invalid/x:1' }];
    const template = { spec: { restartPolicy: 'Never', terminationGracePeriodSeconds: 0, containers } };
    const spec = { podReplacementPolicy: 'Failed', template };
    const job = { apiVersion: 'batch/v1', kind: 'Job', metadata: { name: 'waiting' }, spec };
    await cluster.must('apply -f -', { input: JSON.stringify(job) });
    await eventually('a pod on its node', async () => {
      return (
        (await cluster.must('get pods -l job-name=waiting -o jsonpath={.items[*].status.hostIP}')) !== ''
      );
    });
    await cluster.must('delete pods -l job-name=waiting');
    await eventually('a counted failure', async () => {
      return (await cluster.must('get job waiting -o jsonpath={.status.failed}')) === '1';
    });
    await cluster.must('delete job waiting');
  });

  it('a CronJob starts Jobs, and kubectl makes one of it', async () => {
    await cluster.must(`create cronjob tick --image=${image} --schedule "@every 1s" -- true`);
    const succeeded = (): Promise<string> =>
      cluster.must('get cronjob tick -o jsonpath={.status.lastSuccessfulTime}');
    await eventually('a successful run', async () => (await succeeded()) !== '');
    await cluster.must('patch cronjob tick -p {"spec":{"suspend":true}}');
    await cluster.must('create job manual --from=cronjob/tick');
    await cluster.must('wait job/manual --for=condition=Complete --timeout=120s');
    await cluster.must('delete cronjob tick');
    await eventually(
      'its Jobs to go',
      async () => !(await cluster.must('get jobs -o name')).includes('manual'),
    );
  });

  it('an eviction waits for room in the disruption budget', async () => {
    await cluster.must(`create deployment guarded --image=${image}`);
    await cluster.must('create pdb guarded --selector=app=guarded --max-unavailable=0');
    const status = (field: string): Promise<string> =>
      cluster.must(`get pdb guarded -o jsonpath={.status.${field}}`);
    await eventually('a healthy pod', async () => (await status('currentHealthy')) === '1');
    const refused = await cluster.kubectl('drain node-1 --timeout=1s');
    expect(refused.stderr).toContain("Cannot evict pod as it would violate the pod's disruption budget.");
    await cluster.must('patch pdb guarded -p {"spec":{"maxUnavailable":1}}');
    await cluster.must('drain node-1 --timeout=120s');
    await eventually('no healthy pod', async () => (await status('currentHealthy')) === '0');
    await cluster.must('uncordon node-1');
  });
});
