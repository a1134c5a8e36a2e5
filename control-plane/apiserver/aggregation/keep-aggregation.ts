import type { IncomingMessage } from 'node:http';
import type { APIServiceCondition } from '#api/generated/objects.ts';
import { at, equalJson, isObject, objectOf, objectsOf, stringOf, withPath } from '#api/wire/json.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { timeoutSignal } from '#base/clock.ts';
import { describeError, isPodwrightError } from '#base/errors.ts';
import { builtIn } from '#control-plane/apiserver/built-in.ts';
import { endpointSlicesOf } from '#control-plane/apiserver/services/service-endpoint.ts';
import type { ServerContext } from '#control-plane/apiserver/server-context.ts';
import { updateObject } from '#control-plane/apiserver/verbs/update.ts';
import { apiServiceKind, type Learnt } from './aggregation.ts';
import {
  discoveryAvailability,
  serviceProblem,
  withAvailability,
  type Availability,
} from './availability.ts';
import { identityHeaders } from './identity-headers.ts';
import { keepLocalServices } from './local-services.ts';
import type { RemoteService } from './remote-service.ts';

const services = builtIn('', 'v1', 'services');
/** As whom remote servers are asked what they have. */
const aggregator = { name: 'system:kube-aggregator', groups: ['system:masters'] };
const tickMs = 1000;
const availableEveryMs = 30_000;
const unavailableEveryMs = 2000;
/** Quick tries, of which one that is answered counts: an endpoint of several may be down. */
const triesMax = 5;
const triesMs = 6000;
/** Of a document of a remote server. */
const documentBytesMax = 16 * 1024 * 1024;
const local: Availability = {
  status: 'True',
  reason: 'Local',
  message: 'Local APIServices are always available',
};

/** Asks remote servers whether they are there and what they have, says so in their APIServices, and keeps those of this server's own group versions. */
export function keepAggregation(context: ServerContext): Disposable {
  const { aggregation, clock, logger } = context;
  const dueMs = new Map<string, number>();
  const running = new Set<string>();
  let isOver = false;
  aggregation.onChange = (name) => void dueMs.delete(name);
  const check = async (remote: RemoteService): Promise<void> => {
    running.add(remote.name);
    let isAvailable = false;
    try {
      const availability = await availabilityOf(context, remote);
      isAvailable = availability.status === 'True';
      if (!isAvailable) aggregation.forget(remote.name);
      if (!isOver) await writeAvailability(context, remote.name, availability);
    } catch (error) {
      if (!isOver)
        logger.warn(
          { apiService: remote.name, error: describeError(error) },
          'an APIService will be looked at again',
        );
    } finally {
      running.delete(remote.name);
      dueMs.set(remote.name, clock.monotonic() + (isAvailable ? availableEveryMs : unavailableEveryMs));
    }
  };
  let timer: Disposable;
  const tick = (): void => {
    for (const remote of aggregation.remotes) {
      const isDue = (dueMs.get(remote.name) ?? 0) <= clock.monotonic();
      if (isDue && !running.has(remote.name)) void check(remote);
    }
    for (const name of aggregation.wronglyRemote)
      void writeAvailability(context, name, local).catch(() => undefined);
    timer = clock.after(tickMs, tick);
  };
  timer = clock.after(0, tick);
  const locals = keepLocalServices(context);
  return {
    [Symbol.dispose]: () => {
      isOver = true;
      timer[Symbol.dispose]();
      locals[Symbol.dispose]();
    },
  };
}

async function availabilityOf(context: ServerContext, remote: RemoteService): Promise<Availability> {
  const { registry } = context;
  const { namespace, name } = remote.service;
  const service = (await registry.read(services, namespace, name))?.object;
  const slices = service === undefined ? [] : await endpointSlicesOf(registry, namespace, name);
  const problem = serviceProblem(remote, { service, slices });
  if (problem !== undefined) return problem;
  const signal = AbortSignal.any([timeoutSignal(triesMs), context.closing]);
  let failure = '';
  for (let tries = 1; tries <= triesMax && !signal.aborted; tries++) {
    const asked = await ask(context, remote, { path: `/apis/${remote.group}/${remote.version}`, signal });
    if (asked.document !== undefined) {
      const learnt = { resources: objectsOf(asked.document['resources']), isCurrent: true };
      context.aggregation.learn(remote.name, { ...learnt, ...(await documentsOf(context, remote, signal)) });
      return discoveryAvailability(undefined);
    }
    failure = asked.reason;
  }
  return discoveryAvailability(failure);
}

/** Where its documents of OpenAPI are, and what the older is: what it does not have is missing. */
async function documentsOf(
  context: ServerContext,
  remote: RemoteService,
  signal: AbortSignal,
): Promise<Pick<Learnt, 'openApiPath' | 'openApiV2'>> {
  const [index, v2] = await Promise.all([
    ask(context, remote, { path: '/openapi/v3', signal }),
    ask(context, remote, { path: '/openapi/v2', signal }),
  ]);
  const paths = objectOf(index.document?.['paths']);
  const path = stringOf(at(paths[`apis/${remote.group}/${remote.version}`], 'serverRelativeURL'));
  return {
    openApiPath: path === '' ? undefined : path,
    openApiV2: v2.document,
  };
}

type Asked = { readonly document: JsonObject } | { readonly document?: undefined; readonly reason: string };

async function ask(
  { aggregation: { connections } }: ServerContext,
  remote: RemoteService,
  { path, signal }: { readonly path: string; readonly signal: AbortSignal },
): Promise<Asked> {
  let url = path;
  try {
    const endpoint = await connections.find(remote);
    url = `https://${endpoint.host}:${endpoint.port}${path}`;
    const headers = { accept: 'application/json', ...Object.fromEntries(identityHeaders(aggregator)) };
    const answer = await connections.request(remote, endpoint, { method: 'GET', path, headers, signal });
    const status = answer.statusCode ?? 0;
    const text = await readText(answer);
    if (status < 200 || status > 299)
      return { reason: `failing or missing response from ${url}: bad status from ${url}: ${status}` };
    const document: unknown = JSON.parse(text);
    return isObject(document)
      ? { document }
      : { reason: `failing or missing response from ${url}: no object` };
  } catch (error) {
    const why = isPodwrightError(error)
      ? describeError(error)
      : `Get ${JSON.stringify(url)}: ${describeError(error)}`;
    return { reason: `failing or missing response from ${url}: ${why}` };
  }
}

async function readText(answer: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > documentBytesMax) throw new Error(`longer than ${documentBytesMax} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

async function writeAvailability(
  context: ServerContext,
  name: string,
  availability: Availability,
): Promise<void> {
  const present = await context.registry.read(apiServiceKind, '', name);
  const change = (current: JsonObject): JsonObject => {
    const before = objectsOf(at(current, 'status.conditions')) as unknown as readonly APIServiceCondition[];
    const after = withAvailability(before, availability, context.clock.now());
    return equalJson(before, after) ? current : withPath(current, 'status.conditions', after);
  };
  if (present === undefined || change(present.object) === present.object) return;
  await updateObject(context, {
    ...{ kind: apiServiceKind, namespace: '', name, subresource: 'status', dryRun: false },
    ...{ admittedAs: undefined, change },
  });
}
