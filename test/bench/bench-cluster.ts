/** A cluster of ours, and pods in it by a plain client. */
import { systemClock } from '#base/clock.ts';
import type { Pod } from '#api/generated/objects.ts';
import { loadKubeconfig } from '#client/kubeconfig.ts';
import { startCluster, type TestCluster } from '#test/cluster/cluster.ts';
import { openClient, type Access, type H2Client } from './h2-client.ts';

/** When what happened to a pod was seen by its client, in milliseconds from its POST. */
type SeenTimes = Readonly<Record<'answeredMs' | 'addedMs' | 'scheduledMs' | 'runningMs', number>>;

export interface CreatedPod {
  readonly name: string;
  readonly uid: string;
  /** Of the POST, since the epoch. */
  readonly postedAtMs: number;
  readonly seen: SeenTimes;
}

export interface PodDriver extends AsyncDisposable {
  readonly cluster: TestCluster;
  readonly client: H2Client;
  /** Creates a pod; resolves when the watch has shown it Running. */
  create(name: string): Promise<CreatedPod>;
  /** Deletes a pod; resolves when the node has ended it and the API has forgotten it. */
  remove(name: string): Promise<void>;
}

export const podsPath = '/api/v1/namespaces/default/pods';

export function accessOf(kubeconfig: string): Access {
  const { server, caPem, clientCertPem, clientKeyPem } = loadKubeconfig(kubeconfig, systemClock);
  return { server, caPem, clientCertPem, clientKeyPem };
}

export async function createPodDriver(running?: TestCluster): Promise<PodDriver> {
  await using stack = new AsyncDisposableStack();

  const cluster = running ?? stack.use(await startCluster());
  const client = stack.use(await openClient(accessOf(cluster.kubeconfig)));
  const seen = new Map<string, (type: string, pod: Pod) => void>();
  const watch = await watchObjects<Pod>(client, podsPath, (type, pod) =>
    seen.get(pod.metadata?.name ?? '')?.(type, pod),
  );
  stack.use(watch);
  const moved = stack.move();
  return {
    cluster,
    client,
    create: async (name) => {
      const { promise, resolve } = Promise.withResolvers<string>();
      const times: Partial<Record<keyof SeenTimes, number>> = {};
      const startMs = performance.now();
      const note = (what: keyof SeenTimes): void => void (times[what] ??= performance.now() - startMs);
      seen.set(name, (_type, { metadata, spec, status }) => {
        note('addedMs');
        if (spec?.nodeName !== undefined) note('scheduledMs');
        if (status?.phase !== 'Running') return;
        note('runningMs');
        resolve(metadata?.uid ?? '');
      });
      await client.request('POST', podsPath, JSON.stringify(podNamed(name)));
      note('answeredMs');
      const uid = await promise;
      const { answeredMs = 0, addedMs = 0, scheduledMs = 0, runningMs = 0 } = times;
      const postedAtMs = performance.timeOrigin + startMs;
      return { name, uid, postedAtMs, seen: { answeredMs, addedMs, scheduledMs, runningMs } };
    },
    remove: async (name) => {
      const { promise, resolve } = Promise.withResolvers<void>();
      seen.set(name, (type) => {
        if (type === 'DELETED') resolve();
      });
      await client.request('DELETE', `${podsPath}/${name}`, JSON.stringify({ gracePeriodSeconds }));
      await promise;
      seen.delete(name);
    },
    [Symbol.asyncDispose]: () => moved.disposeAsync(),
  };
}

/** Calls back with each change of the objects at a path, those that are there included, until it is disposed. */
export function watchObjects<T>(
  client: H2Client,
  path: string,
  onChange: (type: string, object: T) => void,
): Promise<Disposable> {
  let rest = '';
  return client.stream(`${path}?watch=true`, (chunk) => {
    const lines = (rest + chunk.toString()).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) {
      const { type, object }: { type: string; object: T } = JSON.parse(line);
      onChange(type, object);
    }
  });
}

/** Its line of output has the time of its start; it ends when it is told to, so that no pod of a round lingers in the next. */
const script = 'trap "exit 0" TERM; echo started; sleep 1000 & wait';
/** Seconds; more than it needs. */
const gracePeriodSeconds = 10;

function podNamed(name: string): Pod {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name },
    spec: { containers: [{ name: 'main', image: 'podwright/demo:1', command: ['sh', '-c', script] }] },
  };
}

export function podNames(prefix: string, count: number): readonly string[] {
  return Array.from({ length: count }, (_, i) => `${prefix}-${i}`);
}
