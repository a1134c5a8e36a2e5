import { matchesFields, parseFieldSelector } from '#api/meta/field-selector.ts';
import { matchesLabels, parseLabelSelector } from '#api/meta/selector.ts';
import { methodNotAllowed, notFound, resourceNotFound } from '#api/errors/status.ts';
import type { Kind } from '#api/schema/kinds.ts';
import { at, stringMapOf, stringOf } from '#api/wire/json.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { builtIn } from '#control-plane/apiserver/built-in.ts';
import { ensure } from '#control-plane/apiserver/ensure.ts';
import { negotiate } from '#control-plane/apiserver/serve/negotiate.ts';
import type { ApiRequest, ApiResponse } from '#control-plane/apiserver/serve/request.ts';
import { objectResponse, styleOf } from '#control-plane/apiserver/serve/respond.ts';
import type { ServerContext } from '#control-plane/apiserver/server-context.ts';
import { Summaries } from './summaries.ts';
import {
  metricsGroup,
  metricsList,
  metricsResources,
  metricsVersion,
  nodeMetrics,
  podMetrics,
} from './usage.ts';

const nodes = builtIn('', 'v1', 'nodes');
const pods = builtIn('', 'v1', 'pods');
const clusterRoles = builtIn('rbac.authorization.k8s.io', 'v1', 'clusterroles');
const apiServices = builtIn('apiregistration.k8s.io', 'v1', 'apiservices');

/** By server: what its nodes said last. */
const summaries = new WeakMap<ServerContext['nodes'], Summaries>();

/**
 * metrics.k8s.io of this server itself, for `kubectl top` and who scales by it: as long as its APIService names no Service, which a
 * metrics-server that somebody installs does.
 */
export async function answerMetrics(context: ServerContext, request: ApiRequest): Promise<ApiResponse> {
  const style = styleOf(request, negotiate(request.headers['accept'], []));
  const show = (object: JsonObject): ApiResponse => objectResponse(200, object, style);
  const parts = request.path.replace(/\/$/, '').split('/').slice(4);
  if (parts.length > 0 && request.method !== 'GET' && request.method !== 'HEAD') throw methodNotAllowed();
  const [first = '', ...rest] = parts;
  if (first === '')
    return show({
      ...{ kind: 'APIResourceList', apiVersion: 'v1', groupVersion: `${metricsGroup}/${metricsVersion}` },
      resources: metricsResources,
    });
  if (first === 'nodes' && rest.length <= 1) return show(await ofNodes(context, request, rest[0]));
  if (first === 'pods' && rest.length === 0) return show(await ofPods(context, request, { namespace: '' }));
  const [namespace = '', resource, name] = rest;
  if (first === 'namespaces' && resource === 'pods' && rest.length <= 3)
    return show(await ofPods(context, request, { namespace, name }));
  throw resourceNotFound();
}

async function ofNodes(
  context: ServerContext,
  request: ApiRequest,
  name: string | undefined,
): Promise<JsonObject> {
  const wanted = await readWanted(context, nodes, { namespace: '', name }, request);
  const said = await summariesOf(context).read(wanted);
  const items = wanted.flatMap((node) => present(nodeMetrics(node, said.get(nameOf(node)))));
  return oneOrList('NodeMetrics', items, name);
}

async function ofPods(
  context: ServerContext,
  request: ApiRequest,
  where: { readonly namespace: string; readonly name?: string | undefined },
): Promise<JsonObject> {
  const wanted = await readWanted(context, pods, where, request);
  const running = wanted.filter((pod) => at(pod, 'status.phase') === 'Running');
  const names = new Set(running.map((pod) => stringOf(at(pod, 'spec.nodeName'))));
  const all = await context.registry.readAll(nodes, '');
  const said = await summariesOf(context).read(all.filter((node) => names.has(nameOf(node))));
  const items = running.flatMap((pod) =>
    present(podMetrics(pod, said.get(stringOf(at(pod, 'spec.nodeName'))))),
  );
  return oneOrList('PodMetrics', items, where.name);
}

function present(item: JsonObject | undefined): readonly JsonObject[] {
  return item === undefined ? [] : [item];
}

function oneOrList(
  kind: 'NodeMetrics' | 'PodMetrics',
  items: readonly JsonObject[],
  name: string | undefined,
): JsonObject {
  if (name === undefined) return metricsList(kind, items);
  const [item] = items;
  const resource = kind === 'NodeMetrics' ? 'nodes' : 'pods';
  if (item === undefined) throw notFound({ group: metricsGroup, resource }, name);
  return item;
}

/** The objects that are asked about. @throws {E_API} 400 for a selector that is none */
async function readWanted(
  { registry }: ServerContext,
  kind: Kind,
  { namespace, name }: { readonly namespace: string; readonly name?: string | undefined },
  { query }: ApiRequest,
): Promise<readonly JsonObject[]> {
  if (name !== undefined) {
    const entry = await registry.read(kind, namespace, name);
    return entry === undefined ? [] : [entry.object];
  }
  const labels = parseLabelSelector(query.get('labelSelector') ?? '');
  const fields = parseFieldSelector(query.get('fieldSelector') ?? '');
  const all = await registry.readAll(kind, namespace);
  return all.filter(
    (object) =>
      matchesLabels(labels, stringMapOf(at(object, 'metadata.labels'))) &&
      matchesFields(kind, fields, object),
  );
}

function summariesOf(context: ServerContext): Summaries {
  let own = summaries.get(context.nodes);
  if (own === undefined)
    summaries.set(context.nodes, (own = new Summaries(context.clock, () => context.nodes)));
  return own;
}

function nameOf(object: JsonObject): string {
  return stringOf(at(object, 'metadata.name'));
}

/** Makes what says that this server has metrics, and who may read them: those who may look, as metrics-server's own manifest has it. */
export async function ensureMetricsApi(context: ServerContext): Promise<void> {
  await ensure(context, apiServices, {
    metadata: {
      name: `${metricsVersion}.${metricsGroup}`,
      labels: { 'kube-aggregator.kubernetes.io/automanaged': 'onstart' },
    },
    spec: { group: metricsGroup, version: metricsVersion, groupPriorityMinimum: 100, versionPriority: 100 },
  });
  const aggregated = ['view', 'edit', 'admin'].map((role) => [
    `rbac.authorization.k8s.io/aggregate-to-${role}`,
    'true',
  ]);
  await ensure(context, clusterRoles, {
    metadata: { name: 'system:aggregated-metrics-reader', labels: Object.fromEntries(aggregated) },
    rules: [{ apiGroups: [metricsGroup], resources: ['pods', 'nodes'], verbs: ['get', 'list', 'watch'] }],
  });
}
