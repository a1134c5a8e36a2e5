import { createServer, type ServerResponse } from 'node:http';
import { expect, it } from 'vitest';
import { systemClock } from '#base/clock.ts';
import { silentLogger } from '#base/log.ts';
import type { JsonObject } from '#api/meta/object.ts';
import type { Node, Pod } from '#api/generated/objects.ts';
import * as kinds from '#api/schema/kind-ref.ts';
import { createFakeApiClient } from '#client/client.fake.ts';
import { createInformers } from '#client/informers.ts';
import { schedulerSettings } from '#control-plane/scheduler/config/scheduler-configuration.ts';
import { startScheduler } from '#control-plane/scheduler/scheduler.ts';

type Answer = JsonObject | readonly JsonObject[] | 'hangs' | 'rubbish' | 'fails' | 'no list';
type Question = Readonly<Record<string, unknown>>;

/** An extender by verbs; what it was asked, as `verb`. */
async function startExtender(answers: Readonly<Record<string, Answer | ((asked: Question) => Answer)>>) {
  const asked: { readonly verb: string; readonly question: Question }[] = [];
  const say = (response: ServerResponse, answer: Answer): void => {
    if (answer === 'hangs') return;
    if (answer === 'fails') response.writeHead(500).end('out of order');
    else response.end(answer === 'rubbish' ? '<html>' : JSON.stringify(answer === 'no list' ? {} : answer));
  };
  const server = createServer((request, response) => {
    const verb = request.url?.split('/').at(-1) ?? '';
    void (async () => {
      let text = '';
      for await (const chunk of request) text += String(chunk);
      const question = JSON.parse(text) as Question; // As the scheduler renders it.
      asked.push({ verb, question });
      const answer = answers[verb] ?? 'fails';
      say(response, typeof answer === 'function' ? answer(question) : answer);
    })();
  });
  const { promise, resolve } = Promise.withResolvers<void>();
  server.listen(0, '127.0.0.1', resolve);
  await promise;
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  return {
    asked,
    urlPrefix: `http://127.0.0.1:${port}/`,
    [Symbol.dispose]: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}

const node = (name: string): Node => ({
  metadata: { name },
  status: { allocatable: { cpu: '2', memory: '4Gi', pods: '110', 'x.io/fpga': '0' } },
});
const pod = (name: string, change: Partial<Pod['spec']> = {}, requests = {}): Pod => ({
  metadata: { name, namespace: 'default' },
  spec: { containers: [{ name: 'c', image: 'i', resources: { requests } }], ...change },
});

async function startCluster(extenders: readonly JsonObject[], nodes = ['a', 'b', 'c']) {
  const clock = systemClock;
  const stack = new AsyncDisposableStack();
  const client = createFakeApiClient(clock);
  const informers = stack.use(createInformers({ client, clock }));
  client.seed(kinds.namespaces, { metadata: { name: 'default' } });
  for (const name of nodes) client.seed(kinds.nodes, node(name));
  const settings = schedulerSettings({ extenders: [...extenders] });
  stack.use(startScheduler({ informers, client, clock, logger: silentLogger, settings }));
  const find = (name: string): Pod | undefined =>
    client.all(kinds.pods).find(({ metadata }) => metadata?.name === name);
  return {
    client,
    nodeOf: (name: string) => expect.poll(() => find(name)?.spec?.nodeName, { timeout: 60_000 }),
    condition: (name: string) =>
      expect.poll(
        () => {
          const found = find(name)?.status?.conditions?.find(({ type }) => type === 'PodScheduled');
          return found === undefined ? undefined : `${found.reason}: ${found.message}`;
        },
        { timeout: 60_000 },
      ),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

const none = { Nodes: null, NodeNames: [], FailedNodes: {}, Error: '' };

it('filters and prefers, by names or by whole nodes', async () => {
  using extender = await startExtender({
    filter: { nodenames: ['a', 'c'], failedNodes: { b: 'no' } },
    prioritize: [
      { Host: 'a', Score: 1 },
      { Host: 'c', Score: 9 },
    ],
    whole: { Nodes: { items: [node('b')] as unknown as readonly JsonObject[] } } as unknown as JsonObject,
  });
  const { urlPrefix } = extender;
  const names = { urlPrefix, filterVerb: 'filter', prioritizeVerb: 'prioritize', weight: 5 };
  {
    await using cluster = await startCluster([{ ...names, nodeCacheCapable: true }]);
    await cluster.client.create(kinds.pods, pod('p'));
    await cluster.nodeOf('p').toBe('c');
    expect(extender.asked.map(({ verb }) => verb)).toEqual(['filter', 'prioritize']);
    expect(extender.asked[0]?.question).toMatchObject({ Nodes: null, NodeNames: ['a', 'b', 'c'] });
  }
  await using cluster = await startCluster([{ urlPrefix, filterVerb: 'whole' }]);
  await cluster.client.create(kinds.pods, pod('p'));
  await cluster.nodeOf('p').toBe('b');
  expect(extender.asked.at(-1)?.question).toMatchObject({ NodeNames: null, Nodes: { items: [{}, {}, {}] } });
});

it('says why no node does, and is asked again by whatever happens', async () => {
  let isOpen = false;
  using extender = await startExtender({
    filter: ({ NodeNames }) =>
      isOpen
        ? { NodeNames: NodeNames as readonly string[] }
        : {
            ...none,
            FailedNodes: { a: 'no licence' }, // Nothing is said of b: it is not helped, either.
            FailedAndUnresolvableNodes: { c: 'broken' },
          },
  });
  const { urlPrefix } = extender;
  await using cluster = await startCluster([{ urlPrefix, filterVerb: 'filter', nodeCacheCapable: true }]);
  await cluster.client.create(kinds.pods, pod('p'));
  await cluster
    .condition('p')
    .toMatch(
      /^Unschedulable: 0\/3 nodes are available: 1 broken, 1 no licence\. .*2 Preemption is not helpful/,
    );
  isOpen = true;
  await cluster.client.create(kinds.pods, pod('other', { nodeName: 'a' }));
  await cluster.nodeOf('p').toBeDefined();
});

it.each<[Answer, string]>([
  ['hangs', 'The operation was aborted due to timeout'],
  ['fails', 'the server answered 500: out of order'],
  ['rubbish', 'the answer is no JSON'],
  [{ Error: 'no space on Mars' }, 'no space on Mars'],
  [
    { Nodes: { items: [{ metadata: { name: 'z' } }] } },
    'claims a filtered node "z" which is not found in the input node list',
  ],
  [[], 'the answer is no JSON object'],
])('a filter that answers %j: the pod waits, unless it is ignorable', async (answer, message) => {
  using extender = await startExtender({ filter: answer });
  const spec = { urlPrefix: extender.urlPrefix, filterVerb: 'filter', httpTimeout: '300ms' };
  {
    await using cluster = await startCluster([spec]);
    await cluster.client.create(kinds.pods, pod('p'));
    await cluster.condition('p').toContain(message);
    await cluster.condition('p').toMatch(/^SchedulerError: ask extender at URL/);
  }
  await using cluster = await startCluster([{ ...spec, ignorable: true }]);
  await cluster.client.create(kinds.pods, pod('p'));
  await cluster.nodeOf('p').toBe('a');
});

it('who does not say what it prefers has no preference', async () => {
  using extender = await startExtender({ prioritize: 'no list' });
  const { urlPrefix } = extender;
  await using cluster = await startCluster([{ urlPrefix, prioritizeVerb: 'prioritize', weight: 1 }]);
  await cluster.client.create(kinds.pods, pod('p'));
  await cluster.nodeOf('p').toBe('a');
});

it('binds, and counts a resource that the scheduler does not; others are not asked about', async () => {
  using extender = await startExtender({ bind: { Error: '' }, filter: 'fails' });
  const { urlPrefix } = extender;
  const managedResources = [{ name: 'x.io/fpga', ignoredByScheduler: true }];
  await using cluster = await startCluster([{ urlPrefix, bindVerb: 'bind', managedResources }]);
  await cluster.client.create(kinds.pods, pod('plain'));
  await cluster.nodeOf('plain').toBeDefined();
  expect(extender.asked).toEqual([]);
  await cluster.client.create(kinds.pods, pod('p', {}, { 'x.io/fpga': '1' }));
  await expect
    .poll(() => extender.asked.at(-1))
    .toMatchObject({
      verb: 'bind',
      question: { PodName: 'p', PodNamespace: 'default', Node: expect.any(String) },
    });
});

it('one that binds and is ignorable is done without when it fails', async () => {
  using extender = await startExtender({ bind: 'fails' });
  const { urlPrefix } = extender;
  await using cluster = await startCluster([{ urlPrefix, bindVerb: 'bind', ignorable: true }]);
  await cluster.client.create(kinds.pods, pod('p'));
  await cluster.nodeOf('p').toBeDefined();
});

it('says from which nodes pods may go', async () => {
  using extender = await startExtender({
    preempt: ({ NodeNameToMetaVictims: victims }) => ({
      NodeNameToMetaVictims: { b: (victims as JsonObject)['b'] ?? {} },
    }),
  });
  const { urlPrefix } = extender;
  await using cluster = await startCluster(
    [{ urlPrefix, preemptVerb: 'preempt', nodeCacheCapable: true }],
    ['a', 'b'],
  );
  for (const on of ['a', 'b'])
    await cluster.client.create(kinds.pods, pod(`low-${on}`, { nodeName: on, priority: 1 }, { cpu: '2' }));
  await cluster.client.create(kinds.pods, pod('high', { priority: 9 }, { cpu: '2' }));
  await expect
    .poll(() => cluster.client.writes.filter((write) => write.startsWith('delete')), { timeout: 60_000 })
    .toEqual([expect.stringContaining('low-b')]);
});
