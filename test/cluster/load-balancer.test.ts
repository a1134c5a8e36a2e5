/** Addresses of load balancers on the nodes' link: a host that is no node reaches them, and goes on when the node that announced them is dead. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { canTestClusters, eventually, startCluster, type TestCluster } from './cluster.ts';
import { pidsOf } from './processes.ts';

const lease = 'get lease podwright-load-balancers -n kube-public -o jsonpath={.spec.holderIdentity}';

describe.skipIf(!canTestClusters())(
  'announced addresses (needs root, kubectl, ip)',
  { timeout: 180_000 },
  () => {
    let cluster: TestCluster;
    beforeAll(async () => {
      const more = ['--ip-family', 'dual', '--load-balancer-cidr', '203.0.113.0/29,fd00:9::/112'];
      cluster = await startCluster({ nodes: 2, more });
      await cluster.must('run web --image=podwright/demo:1 --port=8080');
      const spec = { type: 'LoadBalancer', ipFamilyPolicy: 'RequireDualStack' };
      await cluster.must(
        `expose pod web --port=80 --target-port=8080 --overrides=${JSON.stringify({ spec })}`,
      );
      await cluster.must('wait --for=condition=Ready pod/web --timeout=120s');
      const link = (await inServer('ip', '-o', 'addr')).match(/(\S+)\s+inet 172\.31\.255\.1\//)?.[1] ?? '';
      await inServer('ip', 'route', 'replace', '203.0.113.0/29', 'dev', link);
      await inServer('ip', '-6', 'route', 'replace', 'fd00:9::/112', 'dev', link);
    }, 180_000);
    afterAll(() => cluster?.[Symbol.asyncDispose](), 120_000);

    const inServer = async (...command: readonly string[]): Promise<string> =>
      (await cluster.inHost('server', command)).stdout;
    const expectAnswers = async (): Promise<void> => {
      for (const host of ['203.0.113.1', '[fd00:9::1]'])
        await eventually(`an answer at ${host}`, async () =>
          (await inServer('curl', '-sS', '-m', '2', `http://${host}/`)).includes('Hello from web'),
        );
    };
    const macOf = async (): Promise<string | undefined> =>
      /lladdr (\S+)/.exec(await inServer('ip', 'neigh', 'show', 'to', '203.0.113.1'))?.[1];

    test('are answered for by one node, and by the other once its agent says nothing more', async () => {
      await expectAnswers();
      const [first, mac] = [await cluster.must(lease), await macOf()];
      const [pid = 0] = pidsOf(new RegExp(`bin/.*agent.*${cluster.dataDir}/${first}`));
      expect(pid).toBeGreaterThan(1);
      process.kill(pid, 'SIGSTOP');
      try {
        // Nobody asked: the link was told.
        await eventually('another answers', async () => ![mac, undefined].includes(await macOf()));
        expect(await cluster.must(lease)).not.toBe(first);
        await expectAnswers();
      } finally {
        process.kill(pid, 'SIGCONT');
      }
      const events = (): Promise<string> => cluster.must('get events -o jsonpath={.items[*].message}');
      for (const name of ['node-1', 'node-2'])
        await eventually(`the event of ${name}`, async () =>
          (await events()).includes(`announcing from node ${name}`),
        );
      await cluster.must('delete service web');
      await eventually('the Lease goes', async () => (await cluster.kubectl(lease)).code !== 0);
    });
  },
);
