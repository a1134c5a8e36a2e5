import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { startOurServer } from '#test/bench/api-servers.ts';
import { openClient, type Access, type H2Client } from '#test/bench/h2-client.ts';
import { alternate, summarise } from '#test/bench/measure.ts';
import { timesBetter, type Measurement, type Row } from '#test/bench/row.ts';
import type { LoadOrder } from './fair-load.ts';

const nodeCount = 20;
/** A tenth of what 2,000 kubelets do. */
const leasePauseMs = 100;
/** As a scheduler's, binds of several pods are under way at once: in three seconds, of some hundreds, the p99 is no single one. */
const binders = 5;
const bindPauseMs = 50;
const quiet = 'nobody lists';
/** The row's own tmpfs: what a disk takes for an fsync differs more, from one second to the next, than what is asked here. */
const storage = '/run';

/** Leases and binds while a tenant lists everything from many connections, and while it does not, in turns: at most twice as slow. */
export const fair: Row = {
  name: 'fair',
  inNamespaces: true,
  run: async ({ isQuick, rounds }) => {
    await using stack = new AsyncDisposableStack();

    const { access } = stack.use(await startOurServer(join(storage, 'ours')));
    const cluster = await openCluster(stack, access, isQuick ? 300 : 5_000);
    const connections = isQuick ? 100 : 2_000;
    const tenant = stack.adopt(startTenant(), (child) => void child.kill());
    tell(tenant, { kind: 'open', access: asAccount(access), connections, path: everything });
    await once(tenant, 'message');
    const seconds = isQuick ? 1 : 3;
    const p99Of = (what: 'leases' | 'binds', isOn: boolean) => async (): Promise<number> => {
      tell(tenant, { kind: 'list', isOn });
      await once(tenant, 'message');
      await sleep(isQuick ? 300 : 1_000); // Until the tenant's requests are, or are not, all there.
      return summarise((await work(cluster, seconds))[what]).p99;
    };
    const measure = (what: 'leases' | 'binds', text: string): Promise<Measurement> =>
      alternate({
        what: `${text}, p99, while ${connections} connections list ${cluster.objects} objects`,
        unit: 'ms',
        contenders: [
          { name: 'podwright', round: p99Of(what, true) },
          { name: quiet, round: p99Of(what, false) },
        ],
        rounds: rounds(3),
        warmUp: 1,
        budgets: [timesBetter(0.5, quiet)],
      });
    return [await measure('leases', 'leases of nodes'), await measure('binds', 'binds of a scheduler')];
  },
};

const everything = '/api/v1/configmaps';
const leases = '/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases';
const pods = '/api/v1/namespaces/default/pods';

function asUser(access: Access, user: string, group: string): Access {
  const headers = { 'impersonate-user': user, 'impersonate-group': group };
  return { ...access, headers };
}

function asAccount(access: Access): Access {
  return asUser(access, 'system:serviceaccount:default:tenant', 'system:serviceaccounts');
}

/** It would have a machine of its own: here it takes, with all its threads, what the server leaves of this one. */
function startTenant(): ChildProcess {
  const command = [process.execPath, join(import.meta.dirname, 'fair-load.ts')];
  return spawn('nice', ['-n', '19', ...command], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
}

function tell(child: ChildProcess, order: LoadOrder): void {
  child.send(order);
}

interface RenewingNode {
  readonly client: H2Client;
  /** Of its Lease. */
  revision: string;
}

interface Cluster {
  readonly admin: H2Client;
  readonly nodes: readonly RenewingNode[];
  readonly scheduler: H2Client;
  readonly objects: number;
  /** Pods made, so that each has a name of its own. */
  made: number;
}

async function openCluster(stack: AsyncDisposableStack, access: Access, objects: number): Promise<Cluster> {
  const admin = stack.use(await openClient(access));
  const post = (path: string, object: object): Promise<Buffer> =>
    admin.request('POST', path, JSON.stringify(object));
  await post('/apis/rbac.authorization.k8s.io/v1/clusterrolebindings', {
    metadata: { name: 'tenant' },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'view' },
    subjects: [{ kind: 'ServiceAccount', namespace: 'default', name: 'tenant' }],
  });
  const filling = 'x'.repeat(960);
  for (let at = 0; at < objects; at += 50) {
    const batch = Array.from({ length: Math.min(50, objects - at) }, (_none, i) =>
      post('/api/v1/namespaces/default/configmaps', {
        metadata: { name: `c${at + i}` },
        data: { filling },
      }),
    );
    await Promise.all(batch);
  }
  await post('/api/v1/nodes', { metadata: { name: 'n0' } });
  const nodes: RenewingNode[] = [];
  for (let i = 0; i < nodeCount; i++) {
    const node = stack.use(await openClient(asUser(access, `system:node:n${i}`, 'system:nodes')));
    const made = await node.request('POST', leases, JSON.stringify(leaseOf(i)));
    nodes.push({ client: node, revision: revisionOf(made) });
  }
  // Not the scheduler's own group: none is needed.
  const scheduler = stack.use(
    await openClient(asUser(access, 'system:kube-scheduler', 'system:authenticated')),
  );
  return { admin, nodes, scheduler, objects, made: 0 };
}

/** `resourceVersion`: of the one that is renewed, as kubelets name it. */
function leaseOf(node: number, resourceVersion?: string): object {
  const renewTime = `${new Date().toISOString().slice(0, -1)}000Z`;
  return {
    metadata: { name: `n${node}`, resourceVersion },
    spec: { holderIdentity: `n${node}`, leaseDurationSeconds: 40, renewTime },
  };
}

function revisionOf(answer: Buffer): string {
  return JSON.parse(answer.toString()).metadata.resourceVersion;
}

/** For so long, all nodes renew their leases and the scheduler binds pods. @returns milliseconds of each */
async function work(
  cluster: Cluster,
  seconds: number,
): Promise<{ readonly leases: readonly number[]; readonly binds: readonly number[] }> {
  const taken = { leases: [] as number[], binds: [] as number[] };
  const repeat = async (pauseMs: number, into: number[], act: () => Promise<unknown>): Promise<void> => {
    while (performance.now() < endMs) {
      const startMs = performance.now();
      await act();
      into.push(performance.now() - startMs);
      await sleep(pauseMs);
    }
  };
  const names = await makePods(cluster, Math.ceil((seconds * 1000 * binders) / bindPauseMs));
  const endMs = performance.now() + seconds * 1000;
  await Promise.all([
    ...cluster.nodes.map((node, i) =>
      repeat(leasePauseMs, taken.leases, async () => {
        const lease = JSON.stringify(leaseOf(i, node.revision));
        node.revision = revisionOf(await node.client.request('PUT', `${leases}/n${i}`, lease));
      }),
    ),
    ...Array.from({ length: binders }, () =>
      repeat(bindPauseMs, taken.binds, async () => {
        const name = names.shift();
        if (name !== undefined) await bind(cluster, name);
      }),
    ),
  ]);
  return taken;
}

/** Of a scheduler that does not run, so that nobody else binds them. */
async function makePods(cluster: Cluster, count: number): Promise<string[]> {
  const names = Array.from({ length: count }, () => `p${cluster.made++}`);
  const spec = { schedulerName: 'bench', containers: [{ name: 'c', image: 'i' }] };
  for (const name of names)
    await cluster.admin.request('POST', pods, JSON.stringify({ metadata: { name }, spec }));
  return names;
}

function bind({ scheduler }: Cluster, name: string): Promise<Buffer> {
  const target = { apiVersion: 'v1', kind: 'Node', name: 'n0' };
  return scheduler.request('POST', `${pods}/${name}/binding`, JSON.stringify({ metadata: { name }, target }));
}
