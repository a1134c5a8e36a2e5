/** The fabric of a cluster, changed by its ConfigMap while pods run: they keep addresses and processes, and reach each other. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import type { Node, Pod } from '#api/generated/objects.ts';
import { canTestClusters, eventually, startCluster, type TestCluster } from './cluster.ts';

const canRun = canTestClusters();

const daemonSet = {
  apiVersion: 'apps/v1',
  kind: 'DaemonSet',
  metadata: { name: 'web' },
  spec: {
    selector: { matchLabels: { app: 'web' } },
    template: {
      metadata: { labels: { app: 'web' } },
      spec: {
        terminationGracePeriodSeconds: 0,
        containers: [
          { name: 'web', image: 'podwright/demo:1', command: ['httpd', '-f', '-p', '8080', '-h', '/etc'] },
        ],
      },
    },
  },
};

const service = {
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name: 'web' },
  spec: { selector: { app: 'web' }, ports: [{ port: 80, targetPort: 8080 }] },
};

const fabricMap = (fabric: string): object => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name: 'podwright-fabric', namespace: 'kube-system' },
  data: { fabric },
});

describe.skipIf(!canRun)('the fabric of podwright up (needs kubectl)', () => {
  let cluster: TestCluster;
  const apply = (...items: readonly object[]): Promise<string> =>
    cluster.must('apply -f -', { input: JSON.stringify({ apiVersion: 'v1', kind: 'List', items }) });
  const items = async <T>(what: string): Promise<readonly T[]> => {
    const { items: found }: { readonly items: readonly T[] } = JSON.parse(
      await cluster.must(`get ${what} -o json`),
    );
    return found;
  };
  /** By node. */
  const pods = async () =>
    (await items<Pod>('pods -l app=web'))
      .map(({ metadata, spec, status }) => ({
        node: spec?.nodeName ?? '',
        name: metadata?.name ?? '',
        ip: status?.podIP ?? '',
        restarts: status?.containerStatuses?.[0]?.restartCount,
      }))
      .toSorted((a, b) => (a.node < b.node ? -1 : 1));
  const published = async (): Promise<readonly string[]> =>
    (await items<Node>('nodes')).map(
      ({ metadata }) => JSON.parse(metadata?.annotations?.['podwright/fabric'] ?? '{}').kind,
    );
  const reaches = async (pod: string, address: string): Promise<boolean> =>
    (await cluster.kubectl(`exec ${pod} -- timeout 2 wget -q -O /dev/null http://${address}/hostname`))
      .code === 0;
  const mtuOf = async (pod: string): Promise<string> =>
    (await cluster.must(`exec ${pod} -- cat /sys/class/net/eth0/mtu`)).trim();

  beforeAll(async () => {
    cluster = await startCluster({ nodes: 2, more: ['--fabric', 'vxlan'] });
    await apply(daemonSet, service);
    await cluster.must('rollout status daemonset/web --timeout=120s');
  }, 180_000);

  afterAll(() => cluster?.[Symbol.asyncDispose]());

  it('is the one of the option, then that of the ConfigMap, and no pod is started again', async () => {
    const before = await pods();
    const [first, second] = before;
    const { name: pod, ip: own } = first ?? { name: '', ip: '' };
    const other = second?.ip ?? '';
    const serviceIp = await cluster.must('get service web -o jsonpath={.spec.clusterIP}');
    for (const { kind, mtu } of [
      { kind: 'vxlan', mtu: '1450' },
      { kind: 'udp', mtu: '1472' },
      { kind: 'host-gw', mtu: '1500' },
      { kind: 'vxlan', mtu: '1450' },
    ]) {
      if (kind !== 'vxlan' || (await published()).includes('host-gw')) await apply(fabricMap(kind));
      await eventually(`${kind} everywhere`, async () => (await published()).every((each) => each === kind));
      await eventually(`a pod's way by ${kind}`, () => reaches(pod, `${other}:8080`));
      await eventually(`MTU ${mtu}`, async () => (await mtuOf(pod)) === mtu);
      // Pods of both nodes answer for the Service, to a pod and to a process of a node.
      for (let asked = 0; asked < 6; asked++) expect(await reaches(pod, serviceIp)).toBe(true);
      for (const address of [`${own}:8080`, `${other}:8080`, serviceIp]) {
        const asked = ['curl', '-sf', '-m', '5', `http://${address}/hostname`];
        await eventually(
          `${address} from node-1`,
          async () => (await cluster.inHost('node-1', asked)).code === 0,
        );
      }
    }
    expect(await pods()).toEqual(before);
  }, 300_000);

  const condition = async (): Promise<readonly string[]> =>
    (await items<Node>('nodes')).map(({ status }) => {
      const own = status?.conditions?.find(({ type }) => type === 'FabricDegraded');
      return `${own?.status} ${own?.reason} ${own?.message}`;
    });

  it('stays as it is when the ConfigMap is wrong, which the Nodes say until it is right', async () => {
    await eventually('sound', async () =>
      (await condition()).every((text) => text.startsWith('False FabricSound')),
    );
    const [first, second] = await pods();
    await apply(fabricMap('vlxan'));
    await eventually('told', async () =>
      (await condition()).every((text) =>
        text.startsWith('True FabricNotAsAsked vlxan is none of host-gw, vxlan'),
      ),
    );
    expect(await reaches(first?.name ?? '', `${second?.ip}:8080`)).toBe(true);
    expect(await published()).toEqual(['vxlan', 'vxlan']);
    await eventually('an event', async () =>
      (await cluster.must('get events -n default')).includes('vlxan is none of'),
    );
    await apply(fabricMap('vxlan'));
    await eventually('sound again', async () =>
      (await condition()).every((text) => text.startsWith('False FabricSound')),
    );
  }, 300_000);
});
