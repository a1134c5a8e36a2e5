/** How long nobody schedules and controls after whoever did was killed: a pod and a Deployment wait for the next. */
import { at, numberOf, objectOf, objectsOf, stringOf } from '#api/wire/json.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { systemClock } from '#base/clock.ts';
import { jsonLines } from '#client/json-lines.ts';
import type { Transport } from '#client/transport.ts';
import { eventually } from '#test/cluster/cluster.ts';
import { namespace, type Takeover } from './history.ts';

const core = `/api/v1/namespaces/${namespace}`;
const apps = `/apis/apps/v1/namespaces/${namespace}`;
const lease = '/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/kube-controller-manager';
/** Of a takeover that never comes. */
const patienceMs = 90_000;

/** A node that only the scheduler knows: nobody runs what is bound to it. */
export async function makeNode(transport: Transport): Promise<void> {
  const allocatable = { cpu: '1000', memory: '1Ti', pods: '100000', 'ephemeral-storage': '1Ti' };
  await must(transport, 'POST', '/api/v1/nodes', { metadata: { name: 'nowhere' } });
  const status = { allocatable, capacity: allocatable };
  // Controllers change it as well.
  await repeat(async () => {
    const found = await must(transport, 'GET', '/api/v1/nodes/nowhere');
    return must(transport, 'PUT', '/api/v1/nodes/nowhere/status', { ...found, status });
  });
}

/** `asked` is part of the names of what is made; `killedMs` of systemClock.monotonic(); `madeMs`: when there was something to act on. */
export async function measureTakeover(
  transport: Transport,
  asked: string,
  killedMs: number,
): Promise<Omit<Takeover, 'outageMs'> & { readonly madeMs: number }> {
  const name = `takeover-${asked}`;
  const spec = {
    tolerations: [{ operator: 'Exists' }],
    containers: [{ name: 'c', image: 'i' }],
  };
  const labels = { takeover: asked };
  const template = { metadata: { labels }, spec };
  await repeat(() => make(transport, `${core}/pods`, { metadata: { name }, spec }));
  await repeat(() =>
    make(transport, `${apps}/deployments`, {
      metadata: { name },
      spec: { replicas: 0, selector: { matchLabels: labels }, template },
    }),
  );
  const madeMs = systemClock.monotonic() - killedMs;
  const isBound = (pod: JsonObject): boolean =>
    at(pod, 'metadata.name') === name && stringOf(at(pod, 'spec.nodeName')) !== '';
  const isOurs = (set: JsonObject): boolean =>
    objectsOf(at(set, 'metadata.ownerReferences')).some((owner) => owner['name'] === name);
  const [boundMs, replicaSetMs] = await Promise.all([
    repeat(() => seen(transport, `${core}/pods`, isBound)),
    repeat(() => seen(transport, `${apps}/replicasets`, isOurs)),
  ]);
  const leaseSeconds = await repeat(async () => {
    const { status, text } = await call(transport, 'GET', lease);
    if (status === 404) return { seconds: 0 }; // A server alone needs none.
    return { seconds: numberOf(at(JSON.parse(text), 'spec.leaseDurationSeconds')) };
  });
  return {
    leaseMs: leaseSeconds.seconds * 1000,
    madeMs,
    boundMs: boundMs - killedMs,
    replicaSetMs: replicaSetMs - killedMs,
  };
}

/** When such an object was there, or was told of. */
async function seen(
  transport: Transport,
  path: string,
  isIt: (object: JsonObject) => boolean,
): Promise<number> {
  const list = await must(transport, 'GET', path);
  if (objectsOf(list['items']).some(isIt)) return systemClock.monotonic();
  const from = stringOf(at(list, 'metadata.resourceVersion'));
  const controller = new AbortController();
  using _deadline = systemClock.after(patienceMs, () => controller.abort());
  const { signal } = controller;
  const watch = { method: 'GET', path: `${path}?watch=1&resourceVersion=${from}`, headers: {}, signal };
  const answer = await transport.request({ ...watch, stream: true });
  for await (const line of jsonLines(answer.body)) {
    if (isIt(objectOf(at(line, 'object')))) return systemClock.monotonic();
  }
  throw new Error(`${path}: the watch ended`);
}

/** Until it is done: members of the store are killed meanwhile. */
function repeat<T>(attempt: () => Promise<T>): Promise<T> {
  return eventually('takeover', () => attempt().catch(() => undefined), patienceMs);
}

/** Gives true, too, for what is there already. */
async function make(transport: Transport, path: string, body: JsonObject): Promise<true> {
  const { status } = await call(transport, 'POST', path, body);
  if (status !== 201 && status !== 409) throw new Error(`POST ${path}: ${status}`);
  return true;
}

/** @throws Error for anything but success */
export async function must(
  transport: Transport,
  method: string,
  path: string,
  body?: JsonObject,
): Promise<JsonObject> {
  const { status, text } = await call(transport, method, path, body);
  if (status >= 300) throw new Error(`${method} ${path}: ${status} ${text}`);
  return objectOf(JSON.parse(text));
}

async function call(
  transport: Transport,
  method: string,
  path: string,
  body?: JsonObject,
): Promise<{ readonly status: number; readonly text: string }> {
  const headers = body === undefined ? {} : { 'content-type': 'application/json' };
  const bytes = body && Buffer.from(JSON.stringify(body));
  const answer = await transport.request({ method, path, headers, body: bytes });
  const text = answer.body instanceof Uint8Array ? Buffer.from(answer.body).toString() : '';
  return { status: answer.status, text };
}
