/** Services as load balancers and zones meet them, on two nodes. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { canTestClusters, eventually, startCluster, type TestCluster } from './cluster.ts';

const canRun = canTestClusters();
const image = 'podwright/demo:1';
/** An address that a load balancer would have given; only hosts of the cluster know a way to it. */
const vip = '203.0.113.9';

const serviceOf = (spec: object): string =>
  JSON.stringify({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'web' },
    spec: { selector: { app: 'web' }, ports: [{ port: 80, targetPort: 8080 }], ...spec },
  });

describe.skipIf(!canRun)('Services on podwright up --nodes 2 (needs kubectl)', () => {
  let cluster: TestCluster;
  let hosts: ReadonlyMap<string, string>;
  const ipOf = (host: string): string => hosts.get(host) ?? '';

  /** Status and body of a GET from the server's host, which is no node; status 0: no connection, or no answer. */
  const get = async (url: string): Promise<{ readonly status: number; readonly body: string }> => {
    const script = `fetch(${JSON.stringify(url)}, { signal: AbortSignal.timeout(10_000) })
      .then(async (r) => ({ status: r.status, body: await r.text() }), () => ({ status: 0, body: '' }))
      .then((answer) => { console.log(JSON.stringify(answer)); process.exit(); })`;
    const { stdout } = await cluster.inHost('server', [process.execPath, '-e', script]);
    return JSON.parse(stdout);
  };
  const apply = (spec: object): Promise<string> => cluster.must('apply -f -', { input: serviceOf(spec) });

  beforeAll(async () => {
    cluster = await startCluster({ nodes: 2 });
    hosts = new Map((await cluster.state()).hosts.map(({ name, ip }) => [name, ip]));
    await cluster.must('label node node-1 topology.kubernetes.io/zone=a');
    await cluster.must('label node node-2 topology.kubernetes.io/zone=b');
    await cluster.must(`create deployment web --image=${image} --replicas=4`);
    await cluster.must('rollout status deployment web --timeout=120s');
  });

  afterAll(() => cluster?.[Symbol.asyncDispose]());

  it('tells load balancers which nodes have endpoints, on a port that stays', async () => {
    const spec = { type: 'LoadBalancer', externalTrafficPolicy: 'Local' };
    await apply(spec);
    const port = await cluster.must('get service web -o jsonpath={.spec.healthCheckNodePort}');
    expect(Number(port)).toBeGreaterThanOrEqual(30_000);
    for (const ip of [ipOf('node-1'), ipOf('node-2')]) {
      const answer = await eventually(`health of ${ip}`, async () => {
        const found = await get(`http://${ip}:${port}/healthz`);
        return found.status === 200 && found;
      });
      const body = { service: { namespace: 'default', name: 'web' }, serviceProxyHealthy: true };
      expect(JSON.parse(answer.body)).toMatchObject(body);
      expect(await get(`http://${ip}:10256/healthz`)).toMatchObject({ status: 200 });
    }
    await apply(spec);
    expect(await cluster.must('get service web -o jsonpath={.spec.healthCheckNodePort}')).toBe(port);
    await cluster.must('cordon node-2');
    await cluster.must('delete pods -l app=web --field-selector spec.nodeName=node-2 --wait=false');
    await eventually('no endpoints on node-2', async () => {
      const { status } = await get(`http://${ipOf('node-2')}:${port}/healthz`);
      return status === 503;
    });
    expect(await get(`http://${ipOf('node-1')}:${port}/healthz`)).toMatchObject({ status: 200 });
    await cluster.must('uncordon node-2');
  });

  it('lets in the sources that loadBalancerSourceRanges names', async () => {
    await cluster.inHost('server', ['ip', 'route', 'add', vip, 'via', ipOf('node-1')]);
    await apply({ type: 'LoadBalancer', loadBalancerSourceRanges: [`${ipOf('server')}/32`] });
    const ingress = JSON.stringify({ status: { loadBalancer: { ingress: [{ ip: vip }] } } });
    await cluster.must(`patch service web --subresource=status --type=merge -p ${ingress}`);
    await eventually('an answer', async () => (await get(`http://${vip}/`)).status === 200);
    await apply({ type: 'LoadBalancer', loadBalancerSourceRanges: ['198.51.100.0/24'] });
    await eventually('no answer', async () => (await get(`http://${vip}/`)).status === 0);
  });

  it('prefers endpoints of its zone where trafficDistribution says so', async () => {
    await cluster.must('scale deployment web --replicas=0');
    await eventually('no pods', async () => (await cluster.must('get pods -l app=web -o name')) === '');
    await cluster.must('scale deployment web --replicas=4');
    await cluster.must('rollout status deployment web --timeout=120s');
    await apply({ type: 'ClusterIP', trafficDistribution: 'PreferSameZone' });
    const address = await cluster.must('get service web -o jsonpath={.spec.clusterIP}');
    const map = async (host: string): Promise<ReadonlySet<string>> => {
      const rules = await cluster.inHost(host, ['nft', 'list', 'table', 'ip', 'podwright-proxy']);
      const backends = rules.stdout.matchAll(
        new RegExp(`${address} \\. tcp \\. 80 \\. \\S+ : (\\S+) \\.`, 'g'),
      );
      return new Set([...backends].map(([, ip = '']) => ip));
    };
    for (const node of ['node-1', 'node-2']) {
      await eventually(`backends of ${node}`, async () => {
        const rows = await cluster.must(
          `get pods -l app=web --field-selector spec.nodeName=${node} -o jsonpath={.items[*].status.podIP}`,
        );
        const [wanted, found] = [new Set(rows.split(' ')), await map(node)];
        return wanted.size > 0 && wanted.symmetricDifference(found).size === 0;
      });
    }
  });
});
