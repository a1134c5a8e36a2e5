/**
 * Requests through a Service while what answers them is rolled, scaled and deleted, on two nodes. `npm test` runs a short form; the full
 * one is PODWRIGHT_ROLLING_RPS=5000 PODWRIGHT_ROLLING_SECONDS=120.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { scratchDirectory } from '#base/scratch-directory.fixture.ts';

import { canTestClusters, run, startCluster, type TestCluster } from '#test/cluster/cluster.ts';

const compiler = '/usr/bin/gcc';
const canRun = canTestClusters() && existsSync(compiler);
/** Of all clients together. */
const rate = Number(process.env['PODWRIGHT_ROLLING_RPS'] ?? 400);
const seconds = Number(process.env['PODWRIGHT_ROLLING_SECONDS'] ?? 10);
const image = 'podwright/demo:1';

interface Counts {
  readonly asked: number;
  readonly answered: number;
  readonly failed: number;
  /** Of the rate, what the client could not begin. */
  readonly late: number;
}

describe.skipIf(!canRun)('Services whose pods come and go (needs kubectl and gcc)', () => {
  const directory = scratchDirectory('rolling-');
  const load = join(directory, 'load');
  let cluster: TestCluster;

  const deployment = (name: string, args: readonly string[], more: object = {}): object => ({
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name },
    spec: {
      replicas: 3,
      selector: { matchLabels: { app: name } },
      template: {
        metadata: { labels: { app: name } },
        spec: {
          volumes: [{ name: 'load', hostPath: { path: directory } }],
          containers: [
            {
              ...{ name: 'main', image, command: ['/load/load', ...args] },
              volumeMounts: [{ name: 'load', mountPath: '/load' }],
              ...more,
            },
          ],
        },
      },
    },
  });
  const service = (name: string, port: object): object => ({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name },
    spec: { selector: { app: name }, ports: [port] },
  });
  const apply = (...items: readonly object[]): Promise<string> =>
    cluster.must('apply -f -', { input: JSON.stringify({ apiVersion: 'v1', kind: 'List', items }) });
  const addressOf = (name: string): Promise<string> =>
    cluster.must(`get service ${name} -o jsonpath={.spec.clusterIP}`);
  /** From the network of a node, or of a pod's own. */
  const ask = async (host: string, to: string, [perSecond, keeps]: readonly [number, 0 | 1]) => {
    const command = [load, 'ask', to, '80', String(Math.round(perSecond)), String(seconds), String(keeps)];
    const { stdout, stderr } = await cluster.inHost(host, command, { timeoutMs: (seconds + 60) * 1000 });
    return { counts: JSON.parse(stdout) as Counts, stderr };
  };
  const pods = async (app: string): Promise<readonly string[]> =>
    (await cluster.must(`get pods -l app=${app} -o name`)).trim().split('\n');

  beforeAll(async () => {
    const source = join(import.meta.dirname, 'load.c');
    const built = await run([compiler, '-O2', '-static', '-o', load, source]);
    if (built.code !== 0) throw new Error(built.stderr);
    cluster = await startCluster({ nodes: 2 });
    for (const host of ['node-1', 'node-2']) {
      // What a client's ports and a node's table last for at such a rate; both are of the cluster's own namespaces.
      const settings = [
        'ipv4.ip_local_port_range=1024 65000',
        'netfilter.nf_conntrack_tcp_timeout_time_wait=5',
      ];
      await cluster.inHost(host, ['sysctl', '-q', '-w', ...settings.map((one) => `net.${one}`)]);
    }
    const readinessProbe = { httpGet: { path: '/', port: 8080 }, periodSeconds: 1 };
    await apply(
      deployment('web', ['serve', '8080', 'web'], { readinessProbe }),
      service('web', { port: 80, targetPort: 8080 }),
      deployment('udp', ['echo', '8080', '$(POD)'], {
        env: [{ name: 'POD', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } }],
      }),
      service('udp', { port: 80, targetPort: 8080, protocol: 'UDP' }),
    );
    await cluster.must('rollout status deployment web --timeout=120s');
    await cluster.must('rollout status deployment udp --timeout=120s');
  });

  afterAll(async () => {
    await cluster?.[Symbol.asyncDispose]();
  });

  it('lose no request, on new connections or on kept ones', async () => {
    const to = await addressOf('web');
    const clients = [
      ask('node-1', to, [rate * 0.3, 0]),
      ask('node-2', to, [rate * 0.3, 0]),
      ask('node-1', to, [rate * 0.2, 1]),
      ask('node-2', to, [rate * 0.2, 1]),
    ];
    const all = Promise.all(clients);
    const over = new AbortController();
    void all.finally(() => over.abort());
    const status = 'rollout status deployment web --timeout=120s';
    const steps = [
      async () => cluster.must('rollout restart deployment web'),
      async () => cluster.must('scale deployment web --replicas=5'),
      async () => cluster.must(`delete --wait=false ${(await pods('web'))[0]}`),
      async () => cluster.must('scale deployment web --replicas=3'),
    ];
    let done = 0;
    for (; !over.signal.aborted; done++) {
      await steps[done % steps.length]?.();
      await cluster.must(status);
    }
    const ends = await all;
    console.info(done, 'changes', JSON.stringify(ends.map(({ counts }) => counts)));
    for (const { counts, stderr } of ends) {
      expect(stderr).toBe('');
      expect(counts).toMatchObject({ failed: 0, answered: counts.asked });
      expect(counts.asked).toBeGreaterThan(0);
    }
  });

  it('have UDP flows leave an endpoint that is gone', async () => {
    const to = await addressOf('udp');
    const sending = cluster.inHost('node-1', [load, 'send', to, '80', '100', '60']);
    for (const name of await pods('udp')) await cluster.must(`delete ${name} --grace-period=0 --force`);
    const { answerers, longestSilenceMs } = JSON.parse((await sending).stdout) as {
      readonly answerers: number;
      readonly longestSilenceMs: number;
    };
    // An entry that stayed would be silent to the end.
    expect(answerers).toBeGreaterThan(1);
    console.info('longest silence of a UDP flow', longestSilenceMs, 'ms');
  });
});
