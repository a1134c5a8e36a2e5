import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { at, listOf, numberOf, objectsOf, stringOf } from '#api/wire/json.ts';
import { kindKey } from '#api/kinds/rules-of.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { badRequest, invalid, notFound, serviceUnavailable } from '#api/errors/status.ts';
import { requiredField } from '#api/errors/field-error.ts';
import { builtIn } from '#control-plane/apiserver/built-in.ts';
import type { ApiRequest } from '#control-plane/apiserver/serve/request.ts';
import type { ResourceRoute } from '#control-plane/apiserver/chain/route.ts';
import type { ServerContext } from '#control-plane/apiserver/server-context.ts';
import { checkLogOptions } from './log-options.ts';
import { kubeletEndpoint, type Endpoint } from './node-dialer.ts';
import { chooseContainer, kubeletPath } from './pod-container.ts';

const nodes = builtIn('', 'v1', 'nodes');
const endpointSlices = builtIn('discovery.k8s.io', 'v1', 'endpointslices');

/** Where a request to a pod, node or Service is passed on to. */
export interface Target {
  readonly endpoint: Endpoint;
  /** With the query. */
  readonly path: string;
}

/**
 * Where the log, exec, attach, portforward or proxy of an object is answered; undefined for the log of a pod without a node.
 * @throws {E_API} 400, 404, 500, 503
 */
export async function findTarget(
  context: ServerContext,
  route: ResourceRoute,
  request: ApiRequest,
): Promise<Target | undefined> {
  const action = route.subresource?.name;
  if (action === 'proxy') return proxyTarget(context, route, request);
  if (action === 'log') checkLogOptions(route.name, request.query);
  const pod = await readNamed(context, route, route.name);
  if (action !== 'log' && action !== 'exec' && action !== 'attach' && action !== 'portforward') {
    throw badRequest(`${action} is not passed on`);
  }
  const asked = request.query.get('container') ?? '';
  const container = action === 'portforward' ? '' : chooseContainer(pod, asked);
  const nodeName = stringOf(at(pod, 'spec.nodeName'));
  if (nodeName === '') {
    if (action === 'log') return undefined;
    throw badRequest(`pod ${route.name} does not have a host assigned`);
  }
  if (action === 'exec' && request.query.getAll('command').length === 0) {
    throw invalid({ group: '', kind: 'PodExecOptions' }, '', [requiredField('command')]);
  }
  const endpoint = kubeletEndpoint(await readNode(context, nodeName));
  const target = { namespace: route.namespace, pod: route.name, container };
  return { endpoint, path: kubeletPath(action, target, request.query) };
}

async function proxyTarget(
  context: ServerContext,
  route: ResourceRoute,
  request: ApiRequest,
): Promise<Target> {
  const { scheme, name, port } = splitProxyName(route.name);
  // As it came: what it means, only who answers knows.
  const query = request.rawQuery ?? request.query.toString();
  const path = `${route.rest === '' ? '/' : route.rest}${query === '' ? '' : `?${query}`}`;
  switch (kindKey(route.kind)) {
    case '/Node': {
      const endpoint = kubeletEndpoint(await readNode(context, name));
      const isKubelet = port === '' || port === String(endpoint.port);
      return { endpoint: isKubelet ? endpoint : { host: endpoint.host, port: portOf(port), scheme }, path };
    }
    case '/Pod':
      return { endpoint: podEndpoint(await readNamed(context, route, name), { name, port, scheme }), path };
    default:
      return { endpoint: await serviceEndpoint(context, route, { name, port, scheme }), path };
  }
}

interface ProxyName {
  readonly scheme: 'http' | 'https';
  readonly name: string;
  readonly port: string;
}

/** `name`, `name:port` or `https:name:port`. */
export function splitProxyName(text: string): ProxyName {
  const parts = text.split(':');
  if (parts.length === 3) {
    return { scheme: parts[0] === 'https' ? 'https' : 'http', name: parts[1] ?? '', port: parts[2] ?? '' };
  }
  return { scheme: 'http', name: parts[0] ?? '', port: parts[1] ?? '' };
}

function podEndpoint(pod: JsonObject, { name, port, scheme }: ProxyName): Endpoint {
  const host = stringOf(at(pod, 'status.podIP'));
  if (host === '') throw badRequest(`address not allowed: pod ${name} has no address`);
  const ports = objectsOf(at(pod, 'spec.containers')).flatMap((container) => objectsOf(container['ports']));
  const named = port === '' ? ports[0] : ports.find((candidate) => candidate['name'] === port);
  return { host, port: numberOf(named?.['containerPort']) || portOf(port || '80'), scheme };
}

/** @throws {E_API} 400 */
function portOf(text: string): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (port < 1 || port > 65_535) throw badRequest(`invalid port ${JSON.stringify(text)}`);
  return port;
}

async function serviceEndpoint(
  context: ServerContext,
  route: ResourceRoute,
  asked: ProxyName,
): Promise<Endpoint> {
  const service = await readNamed(context, route, asked.name);
  const ports = objectsOf(at(service, 'spec.ports'));
  const port =
    asked.port === '' && ports.length === 1
      ? ports[0]
      : ports.find(({ name, port: number }) => name === asked.port || String(number) === asked.port);
  if (port === undefined)
    throw serviceUnavailable(
      `no service port ${JSON.stringify(asked.port)} found for service ${JSON.stringify(asked.name)}`,
    );
  const slices = await context.registry.readAll(endpointSlices, route.namespace);
  const own = slices.filter(
    (slice) => at(slice, ['metadata', 'labels', 'kubernetes.io/service-name']) === asked.name,
  );
  const ready = own.flatMap((slice) => readyEndpoints(slice, stringOf(port['name'])));
  if (ready.length === 0) {
    throw serviceUnavailable(`no endpoints available for service ${JSON.stringify(asked.name)}`);
  }
  const chosen = ready[randomInt(ready.length)];
  assert(chosen !== undefined);
  return { ...chosen, scheme: asked.scheme };
}

/** Those of a slice that answer at a port of this name. */
function readyEndpoints(slice: JsonObject, portName: string): readonly Omit<Endpoint, 'scheme'>[] {
  const target = objectsOf(slice['ports']).find(({ name }) => stringOf(name) === portName);
  if (target === undefined) return [];
  return objectsOf(slice['endpoints'])
    .filter((endpoint) => at(endpoint, 'conditions.ready') !== false)
    .map((endpoint) => ({
      host: stringOf(listOf(at(endpoint, 'addresses'))[0]),
      port: numberOf(target['port']),
    }))
    .filter(({ host }) => host !== '');
}

async function readNamed(context: ServerContext, route: ResourceRoute, name: string): Promise<JsonObject> {
  const entry = await context.registry.read(route.kind, route.namespace, name);
  if (entry === undefined) throw notFound(route.kind, name);
  return entry.object;
}

async function readNode(context: ServerContext, name: string): Promise<JsonObject> {
  const entry = await context.registry.read(nodes, '', name);
  if (entry === undefined) throw notFound(nodes, name);
  return entry.object;
}
