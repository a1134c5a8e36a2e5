/** Claims of pods on a cluster of two nodes, with no add-on: what a chart's StatefulSet needs, and what is left of it. */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { canTestClusters, eventually, run, startCluster, type TestCluster } from './cluster.ts';
import { pidsOf } from './processes.ts';

const image = 'podwright/demo:1';
const canLoop = existsSync('/dev/loop-control') && existsSync('/usr/sbin/losetup');
const nodes = ['node-1', 'node-2'] as const;

const claimSpec = (size = '8Mi', rest: object = {}) => ({
  accessModes: ['ReadWriteOnce'],
  resources: { requests: { storage: size } },
  ...rest,
});
const shell = (name: string, script: string, volumes: object, rest: object = {}) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name },
  spec: {
    terminationGracePeriodSeconds: 0,
    restartPolicy: 'Never',
    containers: [
      {
        name: 'c',
        image,
        command: ['sh', '-c', script],
        volumeMounts: [{ name: 'data', mountPath: '/data' }],
      },
    ],
    volumes: [{ name: 'data', ...volumes }],
    ...rest,
  },
});
/** As charts write it: nobody's user, the volume by its group, each pod on a node of its own where there are enough. */
const set = {
  apiVersion: 'apps/v1',
  kind: 'StatefulSet',
  metadata: { name: 'db' },
  spec: {
    serviceName: 'db',
    replicas: 3,
    podManagementPolicy: 'Parallel',
    selector: { matchLabels: { app: 'db' } },
    template: {
      metadata: { labels: { app: 'db' } },
      spec: {
        terminationGracePeriodSeconds: 0,
        securityContext: { runAsUser: 1001, runAsGroup: 1001, fsGroup: 2001 },
        containers: [
          {
            name: 'db',
            image,
            command: [
              'sh',
              '-c',
              '[ -e /data/id ] || cat /proc/sys/kernel/random/uuid >/data/id; sleep 3600',
            ],
            readinessProbe: { exec: { command: ['test', '-s', '/data/id'] }, periodSeconds: 1 },
            volumeMounts: [{ name: 'data', mountPath: '/data' }],
          },
        ],
      },
    },
    volumeClaimTemplates: [{ metadata: { name: 'data' }, spec: claimSpec() }],
  },
};

describe.skipIf(!canTestClusters())('claims (needs kubectl)', () => {
  let cluster: TestCluster;
  beforeAll(async () => {
    cluster = await startCluster({ nodes: 2 });
  });
  afterAll(async () => {
    await cluster?.[Symbol.asyncDispose]();
  });

  const apply = (object: object): Promise<string> =>
    cluster.must('apply -f -', { input: JSON.stringify(object) });
  const volumesIn = (node: string): string => join(cluster.dataDir, node, 'volumes');
  const onDisk = (): readonly string[] =>
    nodes.flatMap((node) => (existsSync(volumesIn(node)) ? readdirSync(volumesIn(node)) : []));
  // One process of kubectl each: they cost more than what they wait for.
  const waits = (what: string): Promise<string> => cluster.must(`wait ${what} --timeout=120s`);
  const until = (pod: string, phase: string): Promise<string> =>
    waits(`pod ${pod} --for=jsonpath={.status.phase}=${phase}`);
  const gone = async (what: string): Promise<void> => {
    await cluster.kubectl(`wait ${what} --all --for=delete --timeout=120s`); // It minds where there are none left.
    expect(await cluster.must(`get ${what} --no-headers`)).toBe('');
  };
  const kill = (pattern: string): void => {
    for (const pid of pidsOf(new RegExp(pattern))) process.kill(pid, 'SIGKILL');
  };
  const killAgent = (node: string): void => kill(`podwright\\.ts agent .*${cluster.dataDir}/${node} `);
  const killServer = (): void => kill(`podwright\\.ts server .*${cluster.dataDir}/server `);
  const ids = (): Promise<readonly string[]> =>
    Promise.all([0, 1, 2].map((index) => cluster.must(`exec db-${index} -- cat /data/id`)));

  it('a StatefulSet of three finds its data again, whatever is killed meanwhile', async () => {
    await apply(set);
    killAgent('node-1');
    killServer();
    await eventually(
      'a server',
      async () => (await cluster.kubectl('rollout status sts db --timeout=100s')).code === 0,
    );
    const before = await ids();
    expect(new Set(before).size).toBe(3);
    expect(await cluster.must('get pvc -o jsonpath={.items[*].spec.storageClassName}')).toBe(
      'standard standard standard',
    );
    const names = (await cluster.must('get pv -o jsonpath={.items[*].metadata.name}')).split(' ');
    expect(onDisk().toSorted()).toEqual(names.toSorted());

    await cluster.must('delete sts db --cascade=foreground');
    for (const node of nodes) killAgent(node);
    await apply(set);
    await cluster.must('rollout status sts db --timeout=100s');
    expect(await ids()).toEqual(before);
    expect(onDisk().length).toBe(3);
  });

  it('of a pod that runs are told in its stats, and grow', async () => {
    const node = await cluster.must('get pod db-0 -o jsonpath={.spec.nodeName}');
    const summary = await cluster.must(`get --raw /api/v1/nodes/${node}/proxy/stats/summary`);
    expect(summary).toMatch(/"pvcRef":\{"namespace":"default","name":"data-db-0"\}/);
    const metrics = await cluster.must(`get --raw /api/v1/nodes/${node}/proxy/metrics`);
    expect(metrics).toMatch(
      /^kubelet_volume_stats_used_bytes\{namespace="default",persistentvolumeclaim="data-db-0"\} \d/m,
    );
    await cluster.must(`patch pvc data-db-0 -p '{"spec":{"resources":{"requests":{"storage":"16Mi"}}}}'`);
    await waits('pvc data-db-0 --for=jsonpath={.status.capacity.storage}=16Mi');
    expect(await cluster.must('get pvc data-db-0 -o jsonpath={.status.conditions}')).toBe('');
  });

  it('that are deleted take their directories along, though agents are killed at it', async () => {
    await cluster.must('delete sts db --cascade=foreground');
    await cluster.must('delete pvc --all --wait=false');
    for (const node of nodes) killAgent(node);
    await gone('pv');
    expect(onDisk()).toEqual([]);
  });

  it('of an ephemeral volume come and go with the pod', async () => {
    const template = { spec: claimSpec() };
    await apply(
      shell('eph', 'echo x >/data/f; sleep 3600', { ephemeral: { volumeClaimTemplate: template } }),
    );
    await until('eph', 'Running');
    expect(onDisk().length).toBe(1);
    expect(await cluster.must('get pvc eph-data -o jsonpath={.status.phase}')).toBe('Bound');
    await cluster.must('delete pod eph');
    await gone('pv,pvc');
    expect(onDisk()).toEqual([]);
  });

  it('of a local volume that somebody made: one pod writes, the next reads, and nothing is mounted on the node', async () => {
    const path = join(cluster.dataDir, 'made');
    mkdirSync(path);
    const term = { key: 'kubernetes.io/hostname', operator: 'In', values: ['node-2'] };
    await apply({
      apiVersion: 'v1',
      kind: 'PersistentVolume',
      metadata: { name: 'made' },
      spec: {
        accessModes: ['ReadWriteOnce'],
        capacity: { storage: '1Gi' },
        storageClassName: 'by-hand',
        local: { path },
        nodeAffinity: { required: { nodeSelectorTerms: [{ matchExpressions: [term] }] } },
      },
    });
    await apply({
      apiVersion: 'v1',
      kind: 'PersistentVolumeClaim',
      metadata: { name: 'made' },
      spec: claimSpec('1Mi', { storageClassName: 'by-hand' }),
    });
    const use = { persistentVolumeClaim: { claimName: 'made' } };
    await apply(shell('writer', 'echo written >/data/f', use));
    await until('writer', 'Succeeded');
    await apply(shell('reader', 'grep -q written /data/f', use));
    await until('reader', 'Succeeded');
    const { stdout } = await cluster.inHost('node-2', ['cat', '/proc/self/mountinfo']);
    expect(stdout).not.toMatch(/\/volumes\/(?:pvc-|persistentVolumeClaim|ephemeral)/);
    await cluster.must('delete pod writer reader');
    await cluster.must('delete pvc made');
    await waits('pv made --for=jsonpath={.status.phase}=Released');
    expect(readFileSync(join(path, 'f'), 'utf8')).toBe('written\n');
  });

  it.skipIf(!canLoop)('of mode Block are devices in the container', async () => {
    const file = join(cluster.dataDir, 'disk.img');
    writeFileSync(file, Buffer.alloc(1_048_576, 'podwright'));
    const found = await run(['losetup', '--find', '--show', file]);
    expect([found.code, found.stderr]).toEqual([0, '']);
    const path = found.stdout.trim();
    try {
      const term = { key: 'kubernetes.io/hostname', operator: 'In', values: ['node-1'] };
      const affinity = { required: { nodeSelectorTerms: [{ matchExpressions: [term] }] } };
      const spec = { storageClassName: 'disks', volumeMode: 'Block', accessModes: ['ReadWriteOncePod'] };
      await apply({
        apiVersion: 'v1',
        kind: 'PersistentVolume',
        metadata: { name: 'disk' },
        spec: { ...spec, capacity: { storage: '1Mi' }, local: { path }, nodeAffinity: affinity },
      });
      await apply({
        apiVersion: 'v1',
        kind: 'PersistentVolumeClaim',
        metadata: { name: 'disk' },
        spec: { ...claimSpec('1Mi'), ...spec },
      });
      const script =
        'test -b /dev/xvda && head -c 9 /dev/xvda | grep -q podwright && echo written | dd of=/dev/xvda conv=notrunc,fsync';
      const pod = shell('raw', script, { persistentVolumeClaim: { claimName: 'disk' } });
      const [container] = pod.spec.containers;
      const volumeDevices = [{ name: 'data', devicePath: '/dev/xvda' }];
      const containers = [{ ...container, volumeMounts: [], volumeDevices }];
      await apply({ ...pod, spec: { ...pod.spec, containers } });
      await until('raw', 'Succeeded');
      expect(readFileSync(file).subarray(0, 8).toString()).toBe('written\n');
      await cluster.must('delete pod raw');
      await cluster.must('delete pvc disk');
      await cluster.must('delete pv disk');
    } finally {
      await run(['losetup', '--detach', path]);
    }
  });
});
