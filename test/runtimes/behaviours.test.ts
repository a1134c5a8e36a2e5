/**
 * The same pods on every runtime that an agent has: its own, crun and runc by RuntimeClass, Debian's containerd by CRI. A row is what a pod
 * does, a column a runtime; a cell is right, or refused in words.
 */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { containerdLacks, startContainerd } from '#agent/runtime/cri/containerd.fixture.ts';
import type { Event, Pod } from '#api/generated/objects.ts';
import { canTestClusters, eventually, findKubectl, words } from '#test/cluster/cluster.ts';
import { nodeIp, startHosts, type TestHosts } from '#test/cluster/hosts.ts';
import { type Behaviour, type RuntimeName, type SeenPod } from './behaviour.ts';
import { fileRows } from './file-rows.ts';
import { lifeRows } from './life-rows.ts';
import { processRows } from './process-rows.ts';
import { securityRows } from './security-rows.ts';
import { streamRows } from './stream-rows.ts';

const rows = [...processRows, ...securityRows, ...fileRows, ...lifeRows, ...streamRows];
const programs = { crun: '/usr/bin/crun', runc: '/usr/sbin/runc' } as const;
const handlers = Object.entries(programs).filter(([, program]) => existsSync(program));
const lacks: Readonly<Record<RuntimeName, string | undefined>> = {
  podwright: undefined,
  crun: existsSync(programs.crun) ? undefined : programs.crun,
  runc: existsSync(programs.runc) ? undefined : programs.runc,
  containerd: containerdLacks,
};
/** How many pods run beside each other. */
const atOnce = 20;

test('every row has a name of its own, and refusals are rows of somebody', () => {
  expect(new Set(rows.map(({ name }) => name)).size).toBe(rows.length);
});

const columns: readonly (readonly RuntimeName[])[] = [['podwright', 'crun', 'runc'], ['containerd']];
/** Minutes of processor time: for who changes a runtime, or how it is asked. */
const isAsked = process.env['PODWRIGHT_CRI_PEERS'] !== undefined;

describe.skipIf(!isAsked || !canTestClusters())(
  'pods (needs PODWRIGHT_CRI_PEERS=1, root, kubectl, ip, nft)',
  { timeout: 600_000 },
  () => {
    describe.each(columns.filter((each) => each.some((name) => lacks[name] === undefined)))(
      'of agent %#',
      (...names) => {
        let hosts: TestHosts;
        const stack = new AsyncDisposableStack();
        beforeAll(async () => {
          hosts = stack.use(await startHosts());
          await hosts.startServer();
          await hosts.startAgent(
            names.includes('containerd')
              ? await besideContainerd(hosts, stack)
              : handlers.flatMap(([name, program]) => ['--runtime-handler', `${name}=${program}`]),
          );
          await prepare(hosts);
        }, 600_000);
        afterAll(() => stack.disposeAsync(), 600_000);

        describe.each(names.filter((name) => lacks[name] === undefined))('on %s', (runtime) => {
          const found = new Map<string, Promise<unknown>>();
          beforeAll(async () => {
            const ask = createAsk(hosts);
            for (let first = 0; first < rows.length; first += atOnce) {
              const some = rows.slice(first, first + atOnce);
              await hosts.kubectl('create -f -', { input: listOf(some.map((row) => podOf(row, runtime))) });
              for (const row of some) found.set(row.name, cell(row, runtime, ask(`${row.name}-${runtime}`)));
              await Promise.allSettled(found.values());
              await hosts.kubectl(`delete pod --all --wait=false`);
            }
          }, 1_800_000);

          test.each(rows.map((row): [string, Behaviour] => [row.name, row]))('%s', async (name, row) => {
            const want = row.refused?.[runtime] ?? row.want;
            expect(await found.get(name)).toEqual(
              want instanceof RegExp ? expect.stringMatching(want) : want,
            );
          });
        });
      },
    );
  },
);

const listOf = (items: readonly object[]): string =>
  JSON.stringify({ apiVersion: 'v1', kind: 'List', items });

function podOf({ name, spec }: Behaviour, runtime: RuntimeName): object {
  const classed = runtime === 'crun' || runtime === 'runc' ? { runtimeClassName: runtime } : {};
  return {
    ...{ apiVersion: 'v1', kind: 'Pod', metadata: { name: `${name}-${runtime}` } },
    spec: { terminationGracePeriodSeconds: 1, ...spec, ...classed },
  };
}

/** What is seen of the pod, once what the row looks at has come. */
async function cell(row: Behaviour, runtime: RuntimeName, pod: SeenPod): Promise<unknown> {
  try {
    return await eventually(pod.name, () => look(row, pod, row.refused?.[runtime]), 180_000);
  } catch (error) {
    const { status } = await pod.get();
    throw new Error(`${pod.name}: ${JSON.stringify(status)}\n${await pod.events()}`, { cause: error });
  }
}

async function look(row: Behaviour, pod: SeenPod, refusal: RegExp | undefined): Promise<unknown> {
  if (refusal !== undefined) {
    // What is asked of it while it runs, is refused when it is asked.
    if (row.when === 'ready' && hasCome(row, await pod.get())) await row.see?.(pod);
    const said = `${JSON.stringify((await pod.get()).status)}\n${await pod.events()}`;
    return refusal.test(said) ? said : undefined;
  }
  if (!hasCome(row, await pod.get())) return undefined;
  return row.see === undefined ? pod.logs() : row.see(pod);
}

function hasCome({ when }: Behaviour, { status }: Pod): boolean {
  if (when === 'any') return true;
  if (when === undefined) return status?.phase === 'Succeeded' || status?.phase === 'Failed';
  return status?.conditions?.some((each) => each.type === 'Ready' && each.status === 'True') === true;
}

/** All pods are asked for at once, by who asks first in a second: a kubectl is a fifth of that of processor time. */
function createAsk(hosts: TestHosts): (name: string) => SeenPod {
  const kubeconfig = join(hosts.directory, 'server', 'kubeconfig');
  const kubectl = [findKubectl(), '--kubeconfig', kubeconfig];
  const list = <T extends Pod | Event>(kind: string): (() => Promise<readonly T[]>) =>
    atMostEach(1000, async () => JSON.parse(await hosts.kubectl(`get ${kind} -o json`)).items);
  const [pods, events] = [list<Pod>('pods'), list<Event>('events')];
  return (name) => {
    const script = async (host: 'server' | 'node', text: string): Promise<string> => {
      const directory = join(hosts.directory, name);
      mkdirSync(directory, { recursive: true });
      const environment = { KUBECTL: kubectl.join(' '), POD: name, NODE: nodeIp, DIR: directory };
      return (await hosts.inHost(host, ['sh', '-c', text], { environment })).stdout;
    };
    return {
      name,
      get: async () => (await pods()).find(({ metadata }) => metadata?.name === name) ?? {},
      logs: (more = '-c c') => hosts.kubectl(`logs ${name} ${more}`),
      kubectl: (args, input) =>
        hosts.inHost('server', [...kubectl, ...words(args)], input === undefined ? {} : { input }),
      outside: (text) => script('server', text),
      onNode: (text) => script('node', text),
      events: async () => {
        const own = (await events()).filter(({ involvedObject }) => involvedObject.name === name);
        return own.map(({ reason, message }) => `${reason}: ${message}\n`).join('');
      },
    };
  };
}

function atMostEach<T>(ms: number, ask: () => Promise<T>): () => Promise<T> {
  let [askedMs, answer] = [0, undefined as Promise<T> | undefined];
  return () => {
    if (answer === undefined || Date.now() - askedMs > ms) [askedMs, answer] = [Date.now(), ask()];
    return answer;
  };
}

/** What the rows ask for that is no pod. */
async function prepare(hosts: TestHosts): Promise<void> {
  const items = [
    ...Object.keys(programs).map((name) => ({
      apiVersion: 'node.k8s.io/v1',
      kind: 'RuntimeClass',
      metadata: { name },
      handler: name,
    })),
    { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'values' }, data: { k: 'of map' } },
    { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'values' }, stringData: { k: 'of secret' } },
  ];
  await hosts.kubectl('create -f -', { input: listOf(items) });
  const profiles = join(hosts.directory, 'agent', 'seccomp');
  mkdirSync(profiles, { recursive: true });
  writeFileSync(
    join(profiles, 'no-mkdir.json'),
    JSON.stringify({
      defaultAction: 'SCMP_ACT_ALLOW',
      syscalls: [{ names: ['mkdir', 'mkdirat'], action: 'SCMP_ACT_ERRNO', errnoRet: 28 }],
    }),
  );
}

/** In the namespaces of the node; gives what its agent is told. */
async function besideContainerd(hosts: TestHosts, stack: AsyncDisposableStack): Promise<readonly string[]> {
  const containerd = stack.use(await startContainerd({ within: (command) => hosts.inside('node', command) }));
  return ['--container-runtime-endpoint', containerd.endpoint];
}
