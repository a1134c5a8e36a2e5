/** `up --fast-path`: what goes by programs in the kernel is what goes by rules, and what a policy forbids stays forbidden. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { socketBalancerRefusal } from '#native/bpf/sockets/socket-balancer.linux.ts';
import { pidsOf } from './processes.ts';
import { canTestClusters, eventually, startCluster, type TestCluster } from './cluster.ts';

const canRun = canTestClusters() && socketBalancerRefusal() === undefined;
const image = 'podwright/demo:1';

const deny = {
  apiVersion: 'networking.k8s.io/v1',
  kind: 'NetworkPolicy',
  metadata: { name: 'deny' },
  spec: { podSelector: { matchLabels: { run: 'web' } }, policyTypes: ['Ingress'] },
};

describe.skipIf(!canRun)('the fast path (needs root, kubectl, cgroup v2)', { timeout: 120_000 }, () => {
  let cluster: TestCluster;
  let address = '';
  let backend = '';

  beforeAll(async () => {
    cluster = await startCluster({ nodes: 1, more: ['--fast-path', 'all'] });
    await cluster.must(`run web --image=${image} --expose --port=8080`);
    await cluster.must(`run client --image=${image}`);
    await cluster.must('wait --for=condition=Ready pod/web pod/client --timeout=120s');
    address = await cluster.must('get service web -o jsonpath={.spec.clusterIP}');
    backend = await cluster.must('get pod web -o jsonpath={.status.podIP}');
  }, 120_000);
  afterAll(async () => cluster?.[Symbol.asyncDispose](), 120_000);

  const asks = (host: string): Promise<{ readonly stdout: string }> =>
    cluster.kubectl(`exec client -- timeout 2 wget -qO- http://${host}:8080/`);
  const answers = (host: string): Promise<boolean> =>
    eventually(`an answer of ${host}`, async () => (await asks(host)).stdout.includes('Hello from web'));
  /** IPv4 as /proc/net/tcp has it. */
  const inHex = (ip: string): string =>
    ip
      .split('.')
      .toReversed()
      .map((byte) => Number(byte).toString(16).padStart(2, '0').toUpperCase())
      .join('');

  it('a connection to a Service is one to its pod from the beginning', async () => {
    await answers(address);
    await eventually('a socket of the client that is connected to the pod', async () => {
      const input = `(sleep 2 | nc ${address} 8080 >/dev/null) & sleep 0.3; cat /proc/net/tcp\n`;
      const { stdout } = await cluster.kubectl('exec -i client -- sh', { input });
      return stdout.includes(`${inHex(backend)}:1F90`) && !stdout.includes(inHex(address));
    });
  });

  it('goes on while the agent is killed, and after', async () => {
    for (const pid of pidsOf(new RegExp(`podwright\\.ts agent .*${cluster.dataDir}/`)))
      process.kill(pid, 'SIGKILL');
    expect((await cluster.inHost('node-1', ['nft', 'list', 'tables'])).stdout).toContain('podwright-proxy');
    await answers(address);
  });

  it('what a policy forbids is cut where it passes by the network stack, and forbidden by way of the Service and without', async () => {
    const { stdout } = await cluster.kubectl('exec -i web -- sh', {
      input: '(sleep 300 | nc -l -p 9000 > /tmp/got) >/dev/null 2>&1 &\n',
    });
    expect(stdout).toBe('');
    const input = `(while sleep 0.1; do echo said; done | nc ${backend} 9000) >/dev/null 2>&1 &\n`;
    await cluster.must('exec -i client -- sh', { input });
    const size = async (): Promise<number> => Number(await cluster.must('exec web -- stat -c %s /tmp/got'));
    const start = await eventually('what the client said', async () => (await size()) || undefined);
    await eventually('more of it', async () => (await size()) > start + 20);
    await cluster.must('apply -f -', { input: JSON.stringify(deny) });
    await eventually('silence', async () => {
      const before = await size();
      await new Promise((resolve) => void setTimeout(resolve, 500));
      return (await size()) === before;
    });
    for (const host of [address, backend])
      await eventually(`no answer of ${host}`, async () => (await asks(host)).stdout === '');
    await cluster.must('delete networkpolicy deny');
    for (const host of [address, backend]) await answers(host);
  });
});
