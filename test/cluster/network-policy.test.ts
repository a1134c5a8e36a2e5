/** NetworkPolicies as pods meet them: from their first instruction on, and while the agent is killed. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import type { Pod } from '#api/generated/objects.ts';
import { saidByClients } from './first-packets.ts';
import { pidsOf } from './processes.ts';
import { canTestClusters, eventually, startCluster, type TestCluster } from './cluster.ts';

const canRun = canTestClusters();
const image = 'podwright/demo:1';
/** 1,000 by hand; a node runs 110 by default. */
const clientCount = Number(process.env['PODWRIGHT_FIRST_PACKET_PODS'] ?? 6);
const clientsAtOnce = 80;
/** After that no further clients are started: those that were are judged. */
const clientsMs = Number(process.env['PODWRIGHT_FIRST_PACKET_SECONDS'] ?? 900) * 1000;

const server = (name: string): object => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, labels: { app: name } },
  spec: {
    containers: [8080, 8081].map((port) => ({
      name: `p${port}`,
      image,
      imagePullPolicy: 'IfNotPresent',
      command: ['httpd', '-f', '-p', `${port}`, '-h', '/etc'],
    })),
  },
});

/** Its container ends with the words of those that it could reach as soon as it ran. */
const client = (name: string, targets: Readonly<Record<string, string>>): Pod => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, labels: { role: 'client' } },
  spec: {
    restartPolicy: 'Never',
    terminationGracePeriodSeconds: 0,
    containers: [
      {
        name: 'c',
        image,
        imagePullPolicy: 'IfNotPresent',
        command: [
          'sh',
          '-c',
          `exec 2>/dev/null; { ${Object.entries(targets)
            .map(
              ([word, to]) =>
                `timeout ${word === 'open' ? 20 : 1} wget -q -O- http://${to}/hostname >/dev/null && echo -n "${word} "`,
            )
            .join('; ')}; echo; } >/dev/termination-log`,
        ],
      },
    ],
  },
});

const policy = (name: string, spec: object): object => ({
  apiVersion: 'networking.k8s.io/v1',
  kind: 'NetworkPolicy',
  metadata: { name },
  spec,
});

/** What is needed of the kind; its schema is not what is tested. */
const clusterPolicies = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: {
    name: 'clusternetworkpolicies.policy.networking.k8s.io',
    annotations: { 'api-approved.kubernetes.io': 'unapproved, of a test' },
  },
  spec: {
    group: 'policy.networking.k8s.io',
    names: { kind: 'ClusterNetworkPolicy', plural: 'clusternetworkpolicies', shortNames: ['cnp'] },
    scope: 'Cluster',
    versions: [
      {
        name: 'v1alpha2',
        served: true,
        storage: true,
        schema: { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } },
        subresources: { status: {} },
      },
    ],
  },
};

/** The agent of this cluster's node, and of no other's. */
const agentOf = ({ dataDir }: TestCluster): RegExp => new RegExp(`podwright\\.ts agent .*${dataDir}/`);

const matching = (labels: object): object => ({ matchLabels: labels });

describe.skipIf(!canRun)('NetworkPolicies on podwright up (needs kubectl)', () => {
  let cluster: TestCluster;
  let targets: Readonly<Record<string, string>>;
  const apply = (items: readonly object[]): Promise<string> =>
    cluster.must('apply -f -', { input: JSON.stringify({ apiVersion: 'v1', kind: 'List', items }) });
  const ipOf = (name: string): Promise<string> => cluster.must(`get pod ${name} -o jsonpath={.status.podIP}`);
  const saidBy = (name: string): Promise<string> =>
    eventually('what it could reach', async () => {
      const ended = 'jsonpath={.status.containerStatuses[0].state.terminated.message}';
      return (await cluster.must(`get pod ${name} -o ${ended}`)).trim() || undefined;
    });
  const counters = async (): Promise<string> =>
    (await cluster.inHost('node-1', ['nft', 'list', 'counters', 'table', 'ip', 'podwright-policy'])).stdout;
  const packets = (text: string, counter: string): number =>
    Number(new RegExp(`counter ${counter} \\{\\s+packets (\\d+)`).exec(text)?.[1] ?? Number.NaN);

  beforeAll(async () => {
    cluster = await startCluster();
    await apply([server('open'), server('shut')]);
    await cluster.must('wait --for=condition=Ready pod/open pod/shut --timeout=120s');
    const [open, shut] = [await ipOf('open'), await ipOf('shut')];
    targets = { open: `${open}:8080`, shut: `${shut}:8080`, other: `${open}:8081` };
  }, 180_000);

  afterAll(() => cluster?.[Symbol.asyncDispose]());

  it(
    'are in force for a first packet, and close nothing that is allowed',
    async () => {
      // Together with the first clients: nobody waits for a policy to be known.
      await apply([
        policy('shut', { podSelector: matching({ app: 'shut' }) }),
        policy('open', {
          podSelector: matching({ app: 'open' }),
          ingress: [{ from: [{ podSelector: matching({ role: 'client' }) }] }],
        }),
        policy('clients', {
          podSelector: matching({ role: 'client' }),
          policyTypes: ['Egress'],
          egress: [{ to: [{ podSelector: {} }], ports: [{ port: 8080 }] }],
        }),
      ]);
      const seen = await saidByClients({
        kubeconfig: cluster.kubeconfig,
        role: 'client',
        make: (name) => client(name, targets),
        ...{ count: clientCount, atOnce: clientsAtOnce, ms: clientsMs },
      });
      const started = [...seen.values()].reduce((sum, count) => sum + count, 0);
      expect(Object.fromEntries(seen)).toEqual({ open: started });
      const text = await counters();
      expect(packets(text, 'dropped-in/default/open')).toBe(0);
      expect(packets(text, 'allowed-in/default/open')).toBe(started);
      expect(packets(text, 'dropped-in/default/shut')).toBeGreaterThanOrEqual(started);
    },
    clientsMs + 300_000,
  );

  it('are told of in metrics of the node, and stay while its agent is killed', async () => {
    const metrics = await cluster.must('get --raw /api/v1/nodes/node-1/proxy/metrics');
    expect(metrics).toMatch(
      /podwright_network_policy_dropped_packets_total\{namespace="default",policy="shut",direction="ingress"\} [1-9]/,
    );
    const before = packets(await counters(), 'dropped-in/default/shut');
    const killed = await eventually('an agent', async () => pidsOf(agentOf(cluster))[0]);
    process.kill(killed, 'SIGKILL');
    expect(packets(await counters(), 'dropped-in/default/shut')).toBe(before);
    await eventually('another agent', async () => pidsOf(agentOf(cluster)).some((pid) => pid !== killed));
    await apply([client('after', targets)]);
    expect(await saidBy('after')).toBe('open');
    expect(packets(await counters(), 'dropped-in/default/shut')).toBeGreaterThan(before);
  });

  it('give way to policies of the cluster, once its kind is installed, from a first packet on', async () => {
    await apply([clusterPolicies]);
    await cluster.must(
      'wait --for=condition=Established crd/clusternetworkpolicies.policy.networking.k8s.io --timeout=60s',
    );
    const subject = (app: string): object => ({ pods: { podSelector: matching({ app }) } });
    const from = [{ pods: { podSelector: matching({ role: 'client' }) } }];
    const rule = (name: string, app: string, action: string): object => ({
      apiVersion: 'policy.networking.k8s.io/v1alpha2',
      kind: 'ClusterNetworkPolicy',
      metadata: { name },
      spec: { tier: 'Admin', priority: 10, subject: subject(app), ingress: [{ action, from }] },
    });
    await eventually('its policies', () =>
      apply([rule('unlock', 'shut', 'Accept'), rule('lock', 'open', 'Deny')]).catch(() => ''),
    );
    await apply([client('first', { shut: targets['shut'] ?? '', closed: targets['open'] ?? '' })]);
    expect(await saidBy('first')).toBe('shut');
    const text = await counters();
    expect(packets(text, 'denied-in/ClusterNetworkPolicy/lock')).toBeGreaterThan(0);
    expect(packets(text, 'accepted-in/ClusterNetworkPolicy/unlock')).toBe(1);
  });

  it('which say in their status where they are in force, and which field of them is not supported', async () => {
    const said = (): Promise<string> =>
      cluster.must(
        `get cnp lock -o 'jsonpath={range .status.conditions[*]}{.type}={.status} {.message};{end}'`,
      );
    const understood = 'Programmed=True in force on 1 node;Accepted=True all of it is understood;';
    await expect.poll(said, { timeout: 30_000 }).toBe(understood);
    const egress = [{ action: 'Accept', to: [{ domainNames: ['a.example'] }] }];
    const body = JSON.stringify({ spec: { egress } });
    await cluster.must(`patch cnp lock --type=merge -p '${body}'`);
    const problem = 'egress rule 1: domainNames are not supported: it accepts nothing';
    await expect
      .poll(said, { timeout: 30_000 })
      .toBe(`Programmed=True in force on 1 node;Accepted=False ${problem};`);
    const generations = 'jsonpath={.metadata.generation} {.status.conditions[*].observedGeneration}';
    expect(await cluster.must(`get cnp lock -o '${generations}'`)).toBe('2 2 2');
  });
});
