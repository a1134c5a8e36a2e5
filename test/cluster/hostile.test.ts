/** Pods that the API takes and that no node can like: whatever they hold, they go, and leave nothing. */
import { existsSync } from 'node:fs';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { clusterCgroupsOf } from '#bin/up/cluster-cgroups.ts';
import { canTestClusters, eventually, run, startCluster, type TestCluster } from './cluster.ts';

const image = 'podwright/demo:1';

const port = (more: object): object => ({ ports: [{ containerPort: 80, ...more }] });
const volume = (source: object): object => ({ volumes: [{ name: 'v', ...source }] });
const mount = (mountPath: string): object => ({ volumeMounts: [{ name: 'v', mountPath }] });
const empty = volume({ emptyDir: {} });

/** Each by its spec, and what its one container has. */
const pods: Readonly<Record<string, { readonly spec?: object; readonly container?: object }>> = {
  'host-ip-6': { container: port({ hostPort: 8001, hostIP: '::1' }) },
  'host-ip-mapped': { container: port({ hostPort: 8002, hostIP: '::ffff:127.0.0.1' }) },
  'host-ip-broadcast': { container: port({ hostPort: 8003, hostIP: '255.255.255.255' }) },
  'host-ip-any': { container: port({ hostPort: 8004, hostIP: '0.0.0.0' }) },
  'host-port-kubelet': { container: port({ hostPort: 10_250 }) },
  'host-port-sctp': { container: port({ hostPort: 8005, protocol: 'SCTP' }) },
  'mount-proc': { spec: empty, container: mount('/proc/self/fd') },
  'mount-proc-itself': { spec: empty, container: mount('/proc') },
  'mount-sys': { spec: empty, container: mount('/sys/kernel') },
  'mount-root': { spec: empty, container: mount('/') },
  'mount-relative': { spec: empty, container: mount('a/../../b') },
  'mount-colon': { spec: empty, container: mount('/a:b') },
  'message-relative': { container: { terminationMessagePath: 'a/b' } },
  'message-proc': { container: { terminationMessagePath: '/proc/self/exe' } },
  'message-dots': { container: { terminationMessagePath: '/../../../../tmp/podwright-hostile' } },
  'directory-relative': { container: { workingDir: 'a/b' } },
  'no-configmap': { spec: volume({ configMap: { name: 'missing' } }), container: mount('/v') },
  'no-host-path': {
    spec: volume({ hostPath: { path: '/nonexistent', type: 'Directory' } }),
    container: mount('/v'),
  },
  'no-image': { container: { image: 'podwright/none:1', imagePullPolicy: 'Never' } },
  'no-command': { container: { command: ['/nonexistent'] } },
  'never-ready': { container: { readinessProbe: { exec: { command: ['false'] } } } },
  'ignores-term': {
    spec: { terminationGracePeriodSeconds: 1 },
    container: { command: ['sh', '-c', 'trap "" TERM; sleep 3600'] },
  },
};

function podOf(
  name: string,
  { spec, container }: { readonly spec?: object; readonly container?: object },
): object {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name },
    spec: {
      automountServiceAccountToken: false,
      containers: [{ name: 'c', image, command: ['sleep', '3600'], ...container }],
      ...spec,
    },
  };
}

/** What a node keeps for pods, counted. */
const counts = `
cd /run/podwright-*
for what in pods netns cni/results; do echo $what $(ls $what 2>/dev/null | wc -l); done
echo leases $(find leases -name '*.*.*.*' 2>/dev/null | wc -l)
echo mounts $(grep -c -e /pods/ -e /netns/ /proc/self/mountinfo)
echo links $(ip -o link | wc -l)
echo ports $(nft list table ip cni-portmap 2>/dev/null | grep -c -E '(tcp|udp|sctp) . [0-9]+ : ')
`;

describe.skipIf(!canTestClusters())('hostile pods (needs root, kubectl, ip and nft)', () => {
  let cluster: TestCluster;
  beforeAll(async () => {
    cluster = await startCluster();
    // The first pod of a node makes what stays: the bridge, the table of ports, the directories of cgroups.
    await cluster.must('create -f -', {
      input: JSON.stringify(podOf('first', { container: port({ hostPort: 8000 }) })),
    });
    await cluster.must('wait --for=condition=Ready pod/first --timeout=120s');
    await cluster.must('delete pod first --grace-period=1');
    await eventually('it has gone', async () => (await count()).includes('pods 0\nnetns 0\n'));
  }, 180_000);
  afterAll(async () => {
    await cluster?.[Symbol.asyncDispose]();
  });

  const count = async (): Promise<string> => {
    const { hosts } = await cluster.state();
    const [cgroup = ''] = clusterCgroupsOf(cluster.dataDir);
    const node = hosts.find(({ name }) => name === 'node-1');
    const inside = ['nsenter', `--target=${node?.pid}`, '--net', '--mount', '--', 'sh', '-c', counts];
    const cgroups = await run(['sh', '-c', `find "${cgroup}/node-1" -type d | wc -l`]);
    return `${(await run(inside)).stdout}cgroups ${cgroups.stdout}`;
  };

  it.each(['--grace-period=1', '--force --grace-period=0'])(
    'are removed with %s, and leave nothing',
    async (how) => {
      const before = await count();
      expect(before).toMatch(/pods 0\nnetns 0\n/);
      const items = Object.entries(pods).map(([name, parts]) => podOf(name, parts));
      await cluster.must('create -f -', { input: JSON.stringify({ apiVersion: 'v1', kind: 'List', items }) });
      // Whatever becomes of them: each was tried, or waits for what is not there.
      await eventually(
        'all were looked at',
        async () => {
          const lines = (await cluster.must('get pods --no-headers')).trim().split('\n');
          return lines.every((line) => !/\s(ContainerCreating)\s/.test(line) || line.startsWith('no-'));
        },
        180_000,
      );
      expect(existsSync('/tmp/podwright-hostile')).toBe(false);
      const names = Object.keys(pods).join(' ');
      await cluster.must(`delete pod ${names} --wait=false ${how}`);
      await eventually(
        'none is left',
        async () => (await cluster.must('get pods --no-headers')).trim() === '',
        180_000,
      );
      await eventually('nothing is left', async () => (await count()) === before, 60_000).catch(async () => {
        expect(await count()).toBe(before);
      });
    },
    600_000,
  );
});
