/** Pods and Services of both address families, by TCP, UDP and names, on clusters of both and of IPv6 alone. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import type { Pod } from '#api/generated/objects.ts';
import { familyOfIp, type IpFamily } from '#base/ip.ts';
import { shellWord } from '#base/shell-word.ts';
import { canTestClusters, eventually, startCluster, type TestCluster } from './cluster.ts';

const canRun = canTestClusters();

/** Answers by TCP at 8080 and UDP at 8081 who it is and whom it sees. */
const serverScript = `
  const answer = ({ address }) => JSON.stringify({ pod: os.hostname(), from: address.replace('::ffff:', '') });
  http.createServer((q, r) => r.end(answer({ address: q.socket.remoteAddress }))).listen(8080, '::');
  const udp = dgram.createSocket('udp6', (_, from) => udp.send(answer(from), from.port, from.address));
  udp.bind(8081, '::');
`;

/** Asks each target of its argument, and prints what each answers; null: nothing. */
const clientScript = `
  const tcp = (host, port) => fetch('http://' + host + ':' + port, { signal: AbortSignal.timeout(3000) }).then((r) => r.json());
  const udp = (host, port) => new Promise((resolve, reject) => {
    const bare = host.replace(/[[\\]]/g, '');
    const socket = dgram.createSocket(bare.includes(':') ? 'udp6' : 'udp4', (text) => resolve(JSON.parse(text)));
    for (let sent = 0; sent < 3; sent++) setTimeout(() => socket.send('x', port, bare), sent * 700);
    setTimeout(reject, 3000);
  });
  const asked = JSON.parse(process.argv[1]).map(([how, host, port]) => (how === 'tcp' ? tcp : udp)(host, port));
  Promise.all(asked.map((answer) => answer.catch(() => null))).then((all) => { console.log(JSON.stringify(all)); process.exit(); });
`;

type Target = readonly [how: 'tcp' | 'udp', host: string, port: number];
interface Answer {
  readonly pod: string;
  readonly from: string;
}

/** The machine's Node in a pod: the demo image has no program that speaks IPv6 to an address. */
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
        volumes: [{ name: 'machine', hostPath: { path: '/' } }],
        containers: [
          {
            name: 'web',
            image: 'podwright/demo:1',
            command: ['chroot', '/machine', process.execPath, '-e', serverScript],
            volumeMounts: [{ name: 'machine', mountPath: '/machine' }],
            ports: [{ containerPort: 8080, hostPort: 9090 }],
            readinessProbe: { httpGet: { port: 8080 }, periodSeconds: 1, timeoutSeconds: 5 },
          },
        ],
      },
    },
  },
};

const serviceOf = (name: string, spec: object): object => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name },
  spec: {
    selector: { app: 'web' },
    ports: [
      { name: 'tcp', port: 80, targetPort: 8080 },
      { name: 'udp', port: 81, protocol: 'UDP', targetPort: 8081 },
    ],
    ...spec,
  },
});

const inUrl = (address: string): string => (familyOfIp(address) === 6 ? `[${address}]` : address);

const clusters = [
  { ipFamily: 'dual', families: [4, 6] },
  { ipFamily: 'ipv6', families: [6] },
] as const;

describe.skipIf(!canRun).each(clusters)(
  'podwright up --nodes 2 --ip-family $ipFamily (needs kubectl)',
  { timeout: 300_000 },
  ({ ipFamily, families }) => {
    let cluster: TestCluster;
    let pods: readonly Pod[];
    let nodeIps: readonly string[];

    const addressesOf = (pod: Pod | undefined): readonly string[] =>
      (pod?.status?.podIPs ?? []).map(({ ip }) => ip ?? '');
    const inPod = async (
      pod: Pod | undefined,
      targets: readonly Target[],
    ): Promise<readonly (Answer | null)[]> => {
      const command = ['chroot', '/machine', process.execPath, '-e', clientScript, JSON.stringify(targets)];
      const quoted = command.map(shellWord).join(' ');
      return JSON.parse(await cluster.must(`exec -i ${pod?.metadata?.name} -- sh`, { input: quoted }));
    };
    const inHost = async (host: string, targets: readonly Target[]): Promise<readonly (Answer | null)[]> => {
      const command = [process.execPath, '-e', clientScript, JSON.stringify(targets)];
      return JSON.parse((await cluster.inHost(host, command)).stdout);
    };
    /** Asks until all answer. */
    const answered = (
      what: string,
      ask: () => Promise<readonly (Answer | null)[]>,
    ): Promise<readonly Answer[]> =>
      eventually(what, async () => {
        const answers = await ask();
        return answers.every((answer) => answer !== null) && answers;
      });
    const clusterIpsOf = async (name: string): Promise<readonly string[]> =>
      JSON.parse(await cluster.must(`get service ${name} -o jsonpath={.spec.clusterIPs}`));
    const isOf = (family: IpFamily) => (ip: string) => familyOfIp(ip) === family;

    beforeAll(async () => {
      cluster = await startCluster({ nodes: 2, more: ['--ip-family', ipFamily] });
      const both = { ipFamilyPolicy: 'PreferDualStack' };
      const items = [
        daemonSet,
        serviceOf('web', both),
        serviceOf('ports', { ...both, type: 'NodePort' }),
        serviceOf('here', { ...both, type: 'LoadBalancer', externalTrafficPolicy: 'Local' }),
        serviceOf('kept', { ...both, sessionAffinity: 'ClientIP' }),
        serviceOf('names', { ...both, clusterIP: 'None' }),
      ];
      await cluster.must('apply -f -', { input: JSON.stringify({ apiVersion: 'v1', kind: 'List', items }) });
      await cluster.must('rollout status daemonset web --timeout=120s');
      pods = JSON.parse(await cluster.must('get pods -l app=web -o json')).items;
      const nodes = JSON.parse(await cluster.must('get nodes -o json')).items;
      nodeIps = nodes.flatMap(
        ({
          status,
        }: {
          readonly status: {
            readonly addresses: readonly { readonly type: string; readonly address: string }[];
          };
        }) => status.addresses.filter(({ type }) => type === 'InternalIP').map(({ address }) => address),
      );
    }, 300_000);

    afterAll(() => cluster?.[Symbol.asyncDispose](), 300_000);

    it('gives pods and nodes an address of each family, the first of the first', () => {
      for (const pod of pods) {
        expect(addressesOf(pod).map(familyOfIp)).toEqual(families);
        expect(pod.status?.podIP).toBe(addressesOf(pod)[0]);
        expect((pod.status?.hostIPs ?? []).map(({ ip }) => familyOfIp(ip ?? ''))).toEqual(families);
      }
      expect(nodeIps.map(familyOfIp)).toEqual([...families, ...families]);
    });

    it('leads pods to pods of the other node by TCP and UDP, as who they are', async () => {
      const [asking, other] = pods;
      const targets = addressesOf(other).flatMap((ip): readonly Target[] => [
        ['tcp', inUrl(ip), 8080],
        ['udp', inUrl(ip), 8081],
      ]);
      const answers = await answered('the other pod', () => inPod(asking, targets));
      expect(answers.map(({ from }) => from)).toEqual(addressesOf(asking).flatMap((ip) => [ip, ip]));
      const [ping] = addressesOf(other).filter(isOf(6));
      await cluster.must(`exec ${asking?.metadata?.name} -- ping6 -c 1 -W 5 ${ping}`);
    });

    it('leads pods, nodes and others to Services by their addresses, ports of nodes and of pods', async () => {
      const [web, nodePort] = [
        await clusterIpsOf('web'),
        await cluster.must('get service ports -o jsonpath={.spec.ports[0].nodePort}'),
      ];
      expect(web.map(familyOfIp)).toEqual(families);
      const inside = web.flatMap((ip): readonly Target[] => [
        ['tcp', inUrl(ip), 80],
        ['udp', inUrl(ip), 81],
      ]);
      const outside = nodeIps.flatMap((ip): readonly Target[] => [
        ['tcp', inUrl(ip), Number(nodePort)],
        ['tcp', inUrl(ip), 9090],
      ]);
      await answered('Services in a pod', () => inPod(pods[0], [...inside, ...outside]));
      await answered('Services on a node', () => inHost('node-1', [...inside, ...outside]));
      await answered('Services outside', () => inHost('server', outside));
    });

    it('keeps the sources of those outside where the policy is Local, and clients at their pod', async () => {
      const port = Number(await cluster.must('get service here -o jsonpath={.spec.ports[0].nodePort}'));
      const outside = nodeIps.map((ip): Target => ['tcp', inUrl(ip), port]);
      const seen = await answered('the Service', () => inHost('server', outside));
      expect(seen.map(({ from }) => familyOfIp(from))).toEqual(nodeIps.map(familyOfIp));
      for (const { from } of seen) expect(nodeIps).not.toContain(from);
      for (const ip of await clusterIpsOf('kept')) {
        const times = Array.from({ length: 6 }, (): Target => ['tcp', inUrl(ip), 80]);
        const answers = await answered('the kept', () => inPod(pods[0], times));
        expect(new Set(answers.map(({ pod }) => pod)).size).toBe(1);
      }
    });

    it('names Services and endpoints in both, forwards and back', async () => {
      const [asking] = pods;
      const lookUp = (name: string): Promise<string> =>
        cluster.must(`exec ${asking?.metadata?.name} -- nslookup ${name}`);
      const own = addressesOf(pods[1]);
      await eventually('the names', async () =>
        own.every(async (ip) => (await lookUp('names.default.svc.cluster.local')).includes(ip)),
      );
      for (const ip of await clusterIpsOf('web')) {
        expect(await lookUp('web.default.svc.cluster.local')).toContain(ip);
        expect(await lookUp(ip)).toContain('name = web.default.svc.cluster.local');
      }
    });

    it('has its IPv6 routes back when somebody took them', async () => {
      const routes = async (): Promise<string> =>
        (await cluster.inHost('node-1', ['ip', '-6', 'route', 'show', 'proto', '112'])).stdout;
      const before = await routes();
      const [, toPods = ''] = /^(\S+) via fd00:172:31:255::c dev eth0/m.exec(before) ?? [];
      expect(toPods).toMatch(/^fd00:10:244:.*\/64$/);
      for (const destination of [toPods, 'fd00:10:96::/112'])
        await cluster.inHost('node-1', ['ip', '-6', 'route', 'del', destination]);
      await eventually('the routes', async () => (await routes()) === before);
    });
  },
);
