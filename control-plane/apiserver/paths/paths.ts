import {
  aggregatedDiscovery,
  apiGroup,
  apiGroupList,
  apiResourceList,
  apiVersions,
  discoveryEtag,
  discoveryMediaType,
  type DiscoveryVersion,
} from '#api/schema/discovery.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { answerProfile, profileRoot } from '#base/profile/serve-profile.ts';
import { rootPath } from '#api/openapi/operation.ts';
import type { ServedVersion } from '#api/schema/served-version.ts';
import { methodNotAllowed, notAcceptable } from '#api/errors/status.ts';
import { answerPort } from './port-paths.ts';
import { openIdConfiguration, openIdKeys } from './openid.ts';
import { dumpLevels, dumpQueues, dumpRequests } from '#control-plane/apiserver/chain/flow-control/dumps.ts';
import { answerHealth, HealthIndicators, healthPaths, type ServerHealth } from './health.ts';
import { pageForm, renderFlags, renderStatus, type PageForm, type PageKind } from '#api/config/z-pages.ts';
import { negotiate } from '#control-plane/apiserver/serve/negotiate.ts';
import { openApiV2, openApiV3, openApiV3Paths } from './openapi.ts';
import {
  emptyBody,
  type ApiRequest,
  type ApiResponse,
  type AuthorizedRequest,
} from '#control-plane/apiserver/serve/request.ts';
import { mergeGroups, mergeItems } from '#control-plane/apiserver/aggregation/merged-discovery.ts';
import { answerMetrics } from '#control-plane/apiserver/metrics-api/metrics-api.ts';
import { metricsGroup, metricsVersion } from '#control-plane/apiserver/metrics-api/usage.ts';
import { discoveryAggregations } from '#control-plane/apiserver/serve/counters.ts';
import { proxyRemote } from '#control-plane/apiserver/aggregation/proxy-remote.ts';
import { objectOf, objectsOf } from '#api/wire/json.ts';
import { objectResponse, styleOf, textResponse } from '#control-plane/apiserver/serve/respond.ts';
import type { ServerContext } from '#control-plane/apiserver/server-context.ts';
import { versionInfo } from './version.ts';

/** Anything that is no resource: health, version, discovery, OpenAPI, keys, metrics. */
export async function handlePath(context: ServerContext, request: AuthorizedRequest): Promise<ApiResponse> {
  if (context.portPaths !== undefined) return answerPort(context.portPaths, request);
  const remote = context.aggregation.find(request.path);
  if (remote !== undefined) return proxyRemote(context, remote, request);
  if (context.aggregation.hasMetrics && isMetricsPath(request.path)) return answerMetrics(context, request);
  const path =
    request.path.length > 1 && request.path.endsWith('/') ? request.path.slice(0, -1) : request.path;
  const answer =
    fixedPaths[path] ?? flowControlPath(context, path) ?? prefixPath(context, path) ?? profilePath(path);
  if (answer === undefined) return textResponse(404, '404 page not found\n');
  if (request.method !== 'GET' && request.method !== 'HEAD') throw methodNotAllowed();
  return answer(context, request);
}

const metricsRoot = `/apis/${metricsGroup}/${metricsVersion}`;

function isMetricsPath(path: string): boolean {
  return path === metricsRoot || path.startsWith(`${metricsRoot}/`);
}

type Answer = (context: ServerContext, request: ApiRequest) => ApiResponse | Promise<ApiResponse>;

const json = (make: (context: ServerContext) => JsonObject): Answer => {
  return (context, request) =>
    objectResponse(200, make(context), styleOf(request, negotiate(request.headers['accept'], [])));
};

const health = (path: string): Answer => {
  return (context, { query }) => {
    const { status, text } = answerHealth(path, query, healthOf(context));
    return textResponse(status, text);
  };
};

function healthOf({ registry, isBootstrapped, closing, encryption }: ServerContext): ServerHealth {
  const failure = registry.store.failure;
  const kms = encryption?.hasKms === true ? { failure: encryption.kmsFailure } : undefined;
  const storeFailure = failure?.message;
  const storeDamage = failure?.code === 'E_DAMAGED' ? failure.message : undefined;
  return { storeFailure, storeDamage, isBootstrapped, isClosing: closing.aborted, kms };
}

/** By server: what it counts. */
const indicators = new WeakMap<ServerContext['metrics'], HealthIndicators>();

function indicatorsOf({ metrics }: ServerContext): HealthIndicators {
  let own = indicators.get(metrics);
  if (own === undefined) indicators.set(metrics, (own = new HealthIndicators()));
  return own;
}

const prometheus = 'text/plain; version=0.0.4; charset=utf-8';
const component = 'kube-apiserver';

/** As text, or as the object that Accept asks for. @throws {E_API} 406 */
function page(kind: PageKind, render: (context: ServerContext, form: PageForm) => string): Answer {
  return (context, { headers }) => {
    const form = pageForm(headers['accept'], kind);
    if (form === undefined) throw notAcceptable();
    const text = render(context, form);
    return form === 'text' ? textResponse(200, text) : textResponse(200, text, 'application/json');
  };
}

const fixedPaths: Readonly<Record<string, Answer>> = {
  '/': json(({ kinds: { versions } }) => ({
    paths: [...Object.keys(fixedPaths), ...versions.map(rootPath), ...groupPaths(versions)].toSorted(),
  })),
  ...Object.fromEntries(healthPaths.map((path) => [path, health(path)])),
  '/version': json(() => ({ ...versionInfo })),
  '/metrics': async (context) => {
    const { contentType, text } = await context.metrics.render();
    return textResponse(200, text, contentType);
  },
  '/metrics/slis': (context) =>
    textResponse(200, indicatorsOf(context).render(healthOf(context)), prometheus),
  '/statusz': page('Statusz', ({ clock }, form) =>
    renderStatus(
      {
        ...{ component, nowMs: clock.now(), upSeconds: process.uptime() },
        paths: Object.keys(fixedPaths),
      },
      form,
    ),
  ),
  '/flagz': page('Flagz', (context, form) => renderFlags(component, flagsOf(context), form)),
  '/api': (context, request) => discovery(context, 'core', request),
  '/apis': (context, request) => discovery(context, 'groups', request),
  '/openapi/v2': ({ kinds, aggregation }, request) => openApiV2(kinds.versions, request, aggregation.openApi),
  '/openapi/v3': ({ kinds, aggregation }, request) =>
    openApiV3Paths(kinds.versions, request, aggregation.openApi),
  '/.well-known/openid-configuration': openIdConfiguration,
  '/openid/v1/jwks': openIdKeys,
};

/** Not told of at `/`, and for administrators alone unless a role says otherwise, as upstream's. */
function profilePath(path: string): Answer | undefined {
  if (path !== profileRoot && !path.startsWith(`${profileRoot}/`)) return undefined;
  return async ({ clock }, { query, signal }) => {
    const answer = await answerProfile(path, query, { clock, signal });
    if (answer === undefined) return textResponse(404, '404 page not found\n');
    const { status, type, body, fileName } = answer;
    const disposition =
      fileName === undefined ? {} : { 'content-disposition': `attachment; filename="${fileName}"` };
    return {
      status,
      headers: { 'content-type': type, 'x-content-type-options': 'nosniff', ...disposition },
      body,
    };
  };
}

/** Not told of among the others, as upstream's are not; there are none where seats are not shared. */
function flowControlPath({ flowControl: { shared } }: ServerContext, path: string): Answer | undefined {
  const name = /^\/debug\/api_priority_and_fairness\/dump_(priority_levels|queues|requests)$/.exec(path)?.[1];
  if (shared === undefined || name === undefined) return undefined;
  const levels = shared.levels.values();
  if (name === 'priority_levels') return () => textResponse(200, dumpLevels(levels));
  if (name === 'queues') return () => textResponse(200, dumpQueues(levels));
  return ({ clock }, { query }) => {
    const moment = { monotonicMs: clock.monotonic(), wallMs: clock.now() };
    const hasDetails = (query.get('includeRequestDetails') ?? '') !== '';
    return textResponse(200, dumpRequests(levels, { moment, hasDetails }));
  };
}

function prefixPath({ kinds, aggregation }: ServerContext, path: string): Answer | undefined {
  const [, prefix, group = '', version = ''] =
    /^(\/openapi\/v3)?\/(?:api|apis\/([^/]+))\/([^/]+)$/.exec(path) ?? [];
  const served = kinds.findVersion(group, version);
  if (served !== undefined) {
    if (prefix !== undefined) return (_context, request) => openApiV3(path, served, request);
    return json(() => apiResourceList(served));
  }
  const name = /^\/apis\/([^/]+)$/.exec(path)?.[1];
  const own = name === undefined ? undefined : apiGroup(name, kinds.versions);
  const remotes = aggregation.versions.filter(({ group }) => group === name);
  if (remotes.length === 0) return own === undefined ? undefined : json(() => own);
  const [merged] = mergeGroups(own === undefined ? [] : [own], remotes);
  return json(() => ({ kind: 'APIGroup', apiVersion: 'v1', ...merged }));
}

interface AggregatedText {
  readonly text: string;
  readonly etag: string;
}

/** By what is served, then by scope and version. */
const aggregatedTexts = new WeakMap<readonly ServedVersion[], Map<string, AggregatedText>>();

function aggregatedText(
  { kinds: { versions: served }, metrics }: ServerContext,
  scope: 'core' | 'groups',
  version: DiscoveryVersion,
): AggregatedText {
  let texts = aggregatedTexts.get(served);
  if (texts === undefined) aggregatedTexts.set(served, (texts = new Map()));
  const id = `${scope} ${version}`;
  const known = texts.get(id);
  if (known !== undefined) return known;
  const text = JSON.stringify(aggregatedDiscovery(scope, version, served));
  const made = { text, etag: discoveryEtag(text) };
  metrics.count(discoveryAggregations, {});
  texts.set(id, made);
  return made;
}

/** By what is known of other servers: the document of before, with theirs. */
const mergedTexts = new WeakMap<
  AggregatedText,
  { readonly version: number; readonly merged: AggregatedText }
>();

function withRemotes({ aggregation, metrics }: ServerContext, own: AggregatedText): AggregatedText {
  const known = mergedTexts.get(own);
  if (known?.version === aggregation.version) return known.merged;
  const document = objectOf(JSON.parse(own.text));
  const items = mergeItems(objectsOf(document['items']), aggregation.versions);
  const text = JSON.stringify({ ...document, items });
  const merged = { text, etag: discoveryEtag(text) };
  metrics.count(discoveryAggregations, {});
  mergedTexts.set(own, { version: aggregation.version, merged });
  return merged;
}

/** The classic answer of `/apis`, with the groups of other servers. */
function allGroups({ kinds, aggregation }: ServerContext): JsonObject {
  const own = apiGroupList(kinds.versions);
  return { ...own, groups: mergeGroups(objectsOf(own['groups']), aggregation.versions) };
}

const aggregatedForms = ['v2', 'v2beta1'].map(
  (version) => `APIGroupDiscoveryList.${version}.apidiscovery.k8s.io`,
);

/** The aggregated document where the client knows it, the classic one where it does not. */
function discovery(context: ServerContext, scope: 'core' | 'groups', request: ApiRequest): ApiResponse {
  const representation = negotiate(request.headers['accept'], aggregatedForms);
  if (representation.as === undefined) {
    const classic = scope === 'core' ? apiVersions(addressOf(context)) : allGroups(context);
    return objectResponse(200, classic, styleOf(request, representation), { vary: 'Accept' });
  }
  const version: DiscoveryVersion = representation.version === 'v2beta1' ? 'v2beta1' : 'v2';
  const own = aggregatedText(context, scope, version);
  const isOwn = scope === 'core' || context.aggregation.versions.length === 0;
  const document = isOwn ? own : withRemotes(context, own);
  const headers = { etag: document.etag, vary: 'Accept', 'cache-control': 'public' };
  if (request.headers['if-none-match'] === document.etag) return { status: 304, headers, body: emptyBody };
  return {
    status: 200,
    headers: { ...headers, 'content-type': discoveryMediaType(version) },
    body: Buffer.from(document.text),
  };
}

/** What the server was started with, by the names of kube-apiserver's flags. */
function flagsOf({
  advertise,
  allocators,
  isStoreShared,
  tokens,
}: ServerContext): Readonly<Record<string, string>> {
  return {
    'advertise-address': advertise.host,
    'secure-port': String(advertise.port),
    'service-account-issuer': tokens.issuers.join(','),
    'service-cluster-ip-range': allocators.cidrs.join(','),
    'storage-backend': isStoreShared ? 'etcd3' : 'embedded',
  };
}

function addressOf(context: ServerContext): string {
  return `${context.advertise.host}:${context.advertise.port}`;
}

function groupPaths(served: readonly ServedVersion[]): readonly string[] {
  return [...new Set(served.flatMap(({ group }) => (group === '' ? [] : [`/apis/${group}`])))];
}
