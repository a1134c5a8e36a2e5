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
import { rootPath } from '#api/openapi/operation.ts';
import type { ServedVersion } from '#api/schema/served-version.ts';
import { methodNotAllowed } from '#api/errors/status.ts';
import { tokenIssuer } from '#control-plane/apiserver/chain/authn/tokens.ts';
import { answerHealth, HealthIndicators, healthPaths, type ServerHealth } from './health.ts';
import { renderFlags, renderStatus } from './pages.ts';
import { negotiate } from '#control-plane/apiserver/serve/negotiate.ts';
import { openApiV2, openApiV3, openApiV3Paths } from './openapi.ts';
import { emptyBody, type ApiRequest, type ApiResponse } from '#control-plane/apiserver/serve/request.ts';
import { objectResponse, styleOf, textResponse } from '#control-plane/apiserver/serve/respond.ts';
import type { ServerContext } from '#control-plane/apiserver/server-context.ts';
import { versionInfo } from './version.ts';

/** Anything that is no resource: health, version, discovery, OpenAPI, keys, metrics. */
export async function handlePath(context: ServerContext, request: ApiRequest): Promise<ApiResponse> {
  const path =
    request.path.length > 1 && request.path.endsWith('/') ? request.path.slice(0, -1) : request.path;
  const answer = fixedPaths[path] ?? prefixPath(context, path);
  if (answer === undefined) return textResponse(404, '404 page not found\n');
  if (request.method !== 'GET' && request.method !== 'HEAD') throw methodNotAllowed();
  return answer(context, request);
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

function healthOf({ registry, isBootstrapped, closing }: ServerContext): ServerHealth {
  const failure = registry.store.failure;
  const storeFailure = failure?.message;
  const storeDamage = failure?.code === 'E_DAMAGED' ? failure.message : undefined;
  return { storeFailure, storeDamage, isBootstrapped, isClosing: closing.aborted };
}

/** By server: what it counts. */
const indicators = new WeakMap<ServerContext['metrics'], HealthIndicators>();

function indicatorsOf({ metrics }: ServerContext): HealthIndicators {
  let own = indicators.get(metrics);
  if (own === undefined) indicators.set(metrics, (own = new HealthIndicators()));
  return own;
}

const prometheus = 'text/plain; version=0.0.4; charset=utf-8';

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
  '/statusz': ({ clock }) =>
    textResponse(
      200,
      renderStatus({ nowMs: clock.now(), upSeconds: process.uptime(), paths: Object.keys(fixedPaths) }),
    ),
  '/flagz': (context) => textResponse(200, renderFlags(flagsOf(context))),
  '/api': (context, request) => discovery(context, 'core', request),
  '/apis': (context, request) => discovery(context, 'groups', request),
  '/openapi/v2': ({ kinds }, request) => openApiV2(kinds.versions, request),
  '/openapi/v3': ({ kinds }, request) => openApiV3Paths(kinds.versions, request),
  '/.well-known/openid-configuration': json((context) => ({
    issuer: tokenIssuer,
    jwks_uri: `https://${addressOf(context)}/openid/v1/jwks`,
    response_types_supported: ['id_token'],
    subject_types_supported: ['public'],
    id_token_signing_alg_values_supported: ['ES256'],
  })),
  '/openid/v1/jwks': (context) => ({
    status: 200,
    headers: { 'content-type': 'application/jwk-set+json', 'cache-control': 'public, max-age=3600' },
    body: Buffer.from(JSON.stringify({ keys: [context.tokens.publicJwk()] })),
  }),
};

function prefixPath({ kinds }: ServerContext, path: string): Answer | undefined {
  const [, prefix, group = '', version = ''] =
    /^(\/openapi\/v3)?\/(?:api|apis\/([^/]+))\/([^/]+)$/.exec(path) ?? [];
  const served = kinds.findVersion(group, version);
  if (served !== undefined) {
    if (prefix !== undefined) return (_context, request) => openApiV3(path, served, request);
    return json(() => apiResourceList(served));
  }
  const name = /^\/apis\/([^/]+)$/.exec(path)?.[1];
  const found = name === undefined ? undefined : apiGroup(name, kinds.versions);
  return found === undefined ? undefined : json(() => found);
}

interface AggregatedText {
  readonly text: string;
  readonly etag: string;
}

/** By what is served, then by scope and version. */
const aggregatedTexts = new WeakMap<readonly ServedVersion[], Map<string, AggregatedText>>();

function aggregatedText(
  served: readonly ServedVersion[],
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
  texts.set(id, made);
  return made;
}

/** The aggregated document where the client knows it, the classic one where it does not. */
function discovery(context: ServerContext, scope: 'core' | 'groups', request: ApiRequest): ApiResponse {
  const { versions } = context.kinds;
  const representation = negotiate(request.headers['accept'], ['APIGroupDiscoveryList']);
  if (representation.as === undefined) {
    const classic = scope === 'core' ? apiVersions(addressOf(context)) : apiGroupList(versions);
    return objectResponse(200, classic, styleOf(request, representation), { vary: 'Accept' });
  }
  const version: DiscoveryVersion = representation.version === 'v2beta1' ? 'v2beta1' : 'v2';
  const document = aggregatedText(versions, scope, version);
  const headers = { etag: document.etag, vary: 'Accept', 'cache-control': 'public' };
  if (request.headers['if-none-match'] === document.etag) return { status: 304, headers, body: emptyBody };
  return {
    status: 200,
    headers: { ...headers, 'content-type': discoveryMediaType(version) },
    body: Buffer.from(document.text),
  };
}

/** What the server was started with, by the names of kube-apiserver's flags. */
function flagsOf({ advertise, allocators, isStoreShared }: ServerContext): Readonly<Record<string, string>> {
  return {
    'advertise-address': advertise.host,
    'secure-port': String(advertise.port),
    'service-account-issuer': tokenIssuer,
    'service-cluster-ip-range': allocators.cidr,
    'storage-backend': isStoreShared ? 'etcd3' : 'embedded',
  };
}

function addressOf(context: ServerContext): string {
  return `${context.advertise.host}:${context.advertise.port}`;
}

function groupPaths(served: readonly ServedVersion[]): readonly string[] {
  return [...new Set(served.flatMap(({ group }) => (group === '' ? [] : [`/apis/${group}`])))];
}
