/** Mistakes that are made on purpose, each of a kind that docs/bugs.md knows, to see that they are found. */
import { objectOf, objectsOf } from '#api/wire/json.ts';
import type { Informers } from '#client/informers.ts';
import { defaultPlugins } from '#control-plane/apiserver/chain/admission/plugins.ts';
import type { Plant, SimulatedCluster } from '#test/simulation/world/cluster.ts';
import type { Bend } from '#test/simulation/world/wire.ts';

/** By the name of `--plant`. */
export const plants: Readonly<Record<string, Plant>> = {
  /** A cache misses an event now and then. */
  'stale-cache': { bend: (target) => (target === 'loops' ? dropEvents(8) : undefined) },
  /** A watch that is resumed begins where the server is now, not where it ended. */
  'watch-from-now': { bend: (target, cluster) => (target === 'loops' ? resumeNow(cluster) : undefined) },
  /** What was created is forgotten until the cache shows it. */
  'expectation-lost': {
    informers: withoutObserve,
    bend: (target) => (target === 'loops' ? lateEvents() : undefined),
  },
  /** A pod is removed by its name, whoever has that now, and whatever still runs. */
  'delete-without-precondition': { bend: () => deleteAtOnce() },
  /** A budget that allowed one eviction is taken to allow the next. */
  'budget-not-read-again': { bend: (target) => (target === 'users' ? evictAnyway() : undefined) },
  /** A pod is bound, whether it is or not. */
  'bind-without-precondition': {
    bend: (target, cluster) => (target === 'loops' ? bindAgain(cluster) : undefined),
  },
  /** What holds an object does not hold it. */
  'finalizer-ignored': { bend: (_target, cluster) => ignoreFinalizers(cluster) },
  /** What a quota allows is read, and not held while it is used. */
  'quota-not-held': {
    server: { admissionPlugins: defaultPlugins().filter(({ name }) => name !== 'ResourceQuota') },
  },
  /** A node that starts again does not know who has which address. */
  'address-given-twice': { onAgentStart: (node) => node.network.forget() },
  /** A status that was on its way for long overwrites a newer one. */
  'late-status': {
    bend: (target, cluster) => (target.startsWith('node-') ? repeatLate(cluster) : undefined),
  },
  /** The disc says that it has written what it has not. */
  'hasty-disc': { isDiscHasty: true },
  /** A status that was refused with a conflict is taken for that of a pod which is gone. */
  'conflict-forgotten': { bend: (target) => (target.startsWith('node-') ? forgetConflicts() : undefined) },
  /** Pods of a gang are bound one by one. */
  'gang-by-ones': { bend: (target) => (target === 'loops' ? hideGangs() : undefined) },
  /** Who was silent by the clock of the wall is given up, though all machines slept. */
  'silent-in-sleep': { bend: (target, cluster) => (target === 'loops' ? giveUpAsleep(cluster) : undefined) },
  /** A namespace goes before what is in it. */
  'namespace-first': { bend: (target, cluster) => (target === 'users' ? goAtOnce(cluster) : undefined) },
};

function dropEvents(everyNth: number): Bend {
  let count = 0;
  return async (request, send) => {
    const response = await send(request);
    if (request.stream !== true || response.body instanceof Uint8Array) return response;
    return { ...response, body: lessOf(response.body, () => ++count % everyNth === 0) };
  };
}

async function* lessOf(
  body: AsyncIterable<Uint8Array>,
  isLost: () => boolean,
): AsyncGenerator<Uint8Array, void> {
  for await (const bytes of body) {
    const text = Buffer.from(bytes).toString();
    const isWhole = text.startsWith('{') && text.endsWith('\n') && !text.includes('BOOKMARK');
    if (isWhole && isLost()) continue;
    yield bytes;
  }
}

function resumeNow(cluster: SimulatedCluster): Bend {
  return (request, send) =>
    request.stream === true
      ? send({
          ...request,
          path: request.path.replace(/resourceVersion=\d+/, `resourceVersion=${cluster.disc.revision}`),
        })
      : send(request);
}

function withoutObserve(informers: Informers): Informers {
  return {
    ...informers,
    for: (kind, options) => {
      const informer = informers.for(kind, options);
      return new Proxy(informer, {
        get: (target, name) => {
          if (name === 'observe') return () => undefined;
          const value: unknown = Reflect.get(target, name, target);
          return typeof value === 'function' ? value.bind(target) : value;
        },
      });
    },
  };
}

/** Pods are seen a second after they were made. */
function lateEvents(): Bend {
  return async (request, send) => {
    const response = await send(request);
    if (
      request.stream !== true ||
      response.body instanceof Uint8Array ||
      !request.path.startsWith('/api/v1/pods')
    )
      return response;
    return { ...response, body: late(response.body) };
  };
}

async function* late(body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void> {
  for await (const bytes of body) {
    await new Promise((resolve) => void setTimeout(resolve, 1500));
    yield bytes;
  }
}

const podPath = /^\/api\/v1\/namespaces\/([^/]+)\/pods\/([^/?]+)$/;

function deleteAtOnce(): Bend {
  return (request, send) => {
    if (request.method !== 'DELETE' || !podPath.test(request.path) || request.body === undefined)
      return send(request);
    const { preconditions: _left, ...options } = objectOf(JSON.parse(Buffer.from(request.body).toString()));
    const body = { ...options, gracePeriodSeconds: 0 };
    return send({ ...request, body: Buffer.from(JSON.stringify(body)) });
  };
}

function evictAnyway(): Bend {
  const allowed = new Set<string>();
  return async (request, send) => {
    const found = /^\/api\/v1\/namespaces\/([^/]+)\/pods\/([^/]+)\/eviction$/.exec(request.path);
    if (found === null) return send(request);
    const [, namespace = '', name = ''] = found;
    if (!allowed.has(namespace)) {
      const response = await send(request);
      if (response.status < 300) allowed.add(namespace);
      return response;
    }
    const path = `/api/v1/namespaces/${namespace}/pods/${name}`;
    const condition = {
      type: 'DisruptionTarget',
      status: 'True',
      reason: 'EvictionByEvictionAPI',
      lastTransitionTime: new Date().toISOString(),
    };
    await send({
      ...request,
      method: 'PATCH',
      path: `${path}/status`,
      headers: { ...request.headers, 'content-type': 'application/strategic-merge-patch+json' },
      body: Buffer.from(JSON.stringify({ status: { conditions: [condition] } })),
    });
    return send({ ...request, method: 'DELETE', path, body: undefined });
  };
}

/** Writes an object of the store as somebody would who looks at nothing. */
async function overwrite(
  cluster: SimulatedCluster,
  key: string,
  change: (object: Record<string, unknown>) => object | undefined,
): Promise<void> {
  const store = cluster.server?.api.store;
  const value = await store?.get(key);
  if (store === undefined || value === undefined) return;
  const changed = change(JSON.parse(Buffer.from(value.value).toString()));
  const op =
    changed === undefined
      ? ({ op: 'delete', key } as const)
      : ({ op: 'put', key, value: Buffer.from(JSON.stringify(changed)) } as const);
  await store.commit({ expect: [], ops: [op] });
}

/** A second decision about the same pod, of somebody who did not see the first. */
function bindAgain(cluster: SimulatedCluster): Bend {
  return async (request, send) => {
    const found = /^\/api\/v1\/namespaces\/([^/]+)\/pods\/([^/]+)\/binding/.exec(request.path);
    const response = await send(request);
    if (found === null || request.body === undefined || response.status >= 300) return response;
    const [, namespace = '', name = ''] = found;
    const binding = objectOf(JSON.parse(Buffer.from(request.body).toString()));
    const chosen = objectOf(binding['target'])['name'];
    const other = cluster.nodes.find((node) => node.name !== chosen);
    await overwrite(cluster, `/registry/pods/${namespace}/${name}`, (pod) => ({
      ...pod,
      spec: { ...objectOf(pod['spec']), nodeName: other?.name },
    }));
    return response;
  };
}

function ignoreFinalizers(cluster: SimulatedCluster): Bend {
  return async (request, send) => {
    const found = /^\/api\/v1\/namespaces\/([^/]+)\/(pods|configmaps)\/([^/?]+)$/.exec(request.path);
    const response = await send(request);
    if (request.method !== 'DELETE' || found === null || response.status >= 300) return response;
    const [, namespace = '', resource = '', name = ''] = found;
    await overwrite(cluster, `/registry/${resource}/${namespace}/${name}`, (object) =>
      'finalizers' in objectOf(object['metadata']) ? undefined : object,
    );
    return response;
  };
}

/** Whose pods are seen, they are seen to be of no gang. */
function hideGangs(): Bend {
  const hidden = (bytes: Uint8Array): Uint8Array =>
    Buffer.from(Buffer.from(bytes).toString().replaceAll('"schedulingGroup":', '"formerGroup":'));
  async function* hiddenOf(body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void> {
    for await (const bytes of body) yield hidden(bytes);
  }
  return async (request, send) => {
    const response = await send(request);
    if (request.method !== 'GET' || !request.path.startsWith('/api/v1/pods')) return response;
    const { body } = response;
    return { ...response, body: body instanceof Uint8Array ? hidden(body) : hiddenOf(body) };
  };
}

const statusPath = /^\/api\/v1\/namespaces\/[^/]+\/pods\/[^/]+\/status/;
const repeatMs = 20_000;

function forgetConflicts(): Bend {
  return async (request, send) => {
    const response = await send(request);
    if (response.status !== 409 || !statusPath.test(request.path)) return response;
    const status = { kind: 'Status', apiVersion: 'v1', status: 'Failure', reason: 'NotFound', code: 404 };
    return { ...response, status: 404, body: Buffer.from(JSON.stringify(status)) };
  };
}

function giveUpAsleep(cluster: SimulatedCluster): Bend {
  const { time } = cluster.options;
  let sleptMs = 0;
  return (request, send) => {
    const nowMs = time.wallMs - time.nowMs;
    if (nowMs > sleptMs)
      for (const { name } of cluster.nodes)
        void overwrite(cluster, `/registry/minions/${name}`, (node) => {
          const status = objectOf(node['status']);
          const conditions = objectsOf(status['conditions']).map((one) =>
            one['type'] === 'Ready' ? { ...one, status: 'Unknown' } : one,
          );
          return { ...node, status: { ...status, conditions } };
        });
    sleptMs = nowMs;
    return send(request);
  };
}

function goAtOnce(cluster: SimulatedCluster): Bend {
  return async (request, send) => {
    const found = /^\/api\/v1\/namespaces\/([^/?]+)$/.exec(request.path);
    const response = await send(request);
    if (request.method === 'DELETE' && found !== null && response.status < 300)
      await overwrite(cluster, `/registry/namespaces/${found[1]}`, () => undefined);
    return response;
  };
}

function repeatLate(cluster: SimulatedCluster): Bend {
  const { time } = cluster.options;
  return async (request, send) => {
    const response = await send(request);
    if (request.method !== 'PATCH' || response.status >= 300 || !(response.body instanceof Uint8Array))
      return response;
    if (!statusPath.test(request.path)) return response;
    const { status, metadata } = objectOf(JSON.parse(Buffer.from(response.body).toString()));
    const { namespace, name } = objectOf(metadata);
    time.after(repeatMs, () => {
      const repeated = overwrite(cluster, `/registry/pods/${String(namespace)}/${String(name)}`, (pod) => ({
        ...pod,
        status,
      }));
      repeated.catch(() => undefined); // Nobody repeats it again where the disc is full.
    });
    return response;
  };
}
