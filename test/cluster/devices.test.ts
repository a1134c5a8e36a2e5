/** Devices of a plugin that is a program of its own, over kills of either side. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { repositoryRoot } from '#bin/paths.ts';
import { canTestClusters, eventually, startCluster, type TestCluster } from './cluster.ts';
import { pidsOf } from './processes.ts';

const gpu = 'example.com/gpu';
const podOf = (name: string): string =>
  JSON.stringify({
    ...{ apiVersion: 'v1', kind: 'Pod', metadata: { name } },
    spec: {
      terminationGracePeriodSeconds: 0,
      containers: [
        {
          ...{ name: 'c', image: 'podwright/demo:1', resources: { limits: { [gpu]: 1 } } },
          command: ['sh', '-c', 'head -c 1 /dev/$DEVICES >/tmp/read && echo $DEVICES; exec sleep 100000'],
        },
      ],
    },
  });

describe.skipIf(!canTestClusters())('devices (needs kubectl)', () => {
  let cluster: TestCluster;
  let driver: ChildProcess | undefined;

  beforeAll(async () => {
    cluster = await startCluster();
  });

  afterAll(async () => {
    driver?.kill('SIGKILL');
    await cluster?.[Symbol.asyncDispose]();
  });

  const drive = async (): Promise<ChildProcess> => {
    const program = join(repositoryRoot, 'agent/device/driver-program.fixture.ts');
    const sockets = join(cluster.dataDir, 'node-1/kubelet/device-plugins');
    const started = spawn(process.execPath, [program, sockets, gpu, 'g0', 'g1'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const [text] = await Promise.race([once(started.stdout, 'data'), once(started, 'exit')]);
    if (String(text) !== 'registered\n') throw new Error(`the driver ended: ${text}`);
    return started;
  };
  const amounts = (): Promise<string> =>
    cluster.must(
      "get node node-1 -o jsonpath={.status.capacity.example\\.com/gpu}{'/'}{.status.allocatable.example\\.com/gpu}",
    );
  const isAmount = (wanted: string): Promise<boolean> =>
    eventually(wanted, async () => (await amounts()) === wanted);
  const create = (name: string): Promise<string> => cluster.must('create -f -', { input: podOf(name) });
  const said = (name: string): Promise<string> =>
    eventually(
      `what ${name} says`,
      async () => (await cluster.kubectl(`logs ${name}`)).stdout.trim() || undefined,
    );

  it('are given once, and stay with their containers', async () => {
    driver = await drive();
    await isAmount('2/2');
    await create('one');
    expect(await said('one')).toBe('g0');
    driver.kill('SIGKILL');
    await isAmount('2/0');
    const [agent = 0] = pidsOf(new RegExp(`podwright\\.ts agent .*${cluster.dataDir}/node-1 `));
    process.kill(agent, 'SIGKILL');
    // It registers with the agent that comes after.
    driver = await drive();
    await isAmount('2/2');
    await create('two');
    expect(await said('two')).toBe('g1');
    const health = 'get pod one -o jsonpath={.status.containerStatuses[0].allocatedResourcesStatus}';
    expect(JSON.parse(await cluster.must(health))).toEqual([
      { name: gpu, resources: [{ resourceID: 'g0', health: 'Healthy' }] },
    ]);
  });
});
