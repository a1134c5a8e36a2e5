import {
  aggregatedDiscovery,
  apiGroup,
  apiGroupList,
  apiResourceList,
  apiVersions,
  discoveryEtag,
  discoveryMediaType,
  type DiscoveryVersion,
} from '#api/discovery.ts';
import { groupVersions } from '#api/kinds.ts';
import type { JsonObject } from '#api/object.ts';
import { methodNotAllowed } from '#api/status.ts';
import { tokenIssuer } from '#control-plane/apiserver/auth/tokens.ts';
import { answerHealth, healthPaths } from './health.ts';
import { renderMetrics } from './metrics.ts';
import { negotiate } from './negotiate.ts';
import { openApiV2, openApiV3, openApiV3Paths } from './openapi.ts';
import { emptyBody, type ApiRequest, type ApiResponse } from './request.ts';
import { objectResponse, styleOf, textResponse } from './respond.ts';
import type { ServerContext } from './server-context.ts';
import { versionInfo } from './version.ts';

/** Anything that is no resource: health, version, discovery, OpenAPI, keys, metrics. */
export async function handlePath(context: ServerContext, request: ApiRequest): Promise<ApiResponse> {
  const path =
    request.path.length > 1 && request.path.endsWith('/') ? request.path.slice(0, -1) : request.path;
  const answer = fixedPaths[path] ?? prefixPath(path);
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
  return ({ registry, isBootstrapped, closing }, { query }) => {
    const failure = registry.store.failure;
    const storeFailure = failure?.message;
    const storeDamage = failure?.code === 'E_DAMAGED' ? failure.message : undefined;
    const own = { storeFailure, storeDamage, isBootstrapped, isClosing: closing.aborted };
    const { status, text } = answerHealth(path, query, own);
    return textResponse(status, text);
  };
};

const fixedPaths: Readonly<Record<string, Answer>> = {
  '/': json(() => ({
    paths: [...Object.keys(fixedPaths), ...groupVersions.map(pathOf), ...groupPaths()].toSorted(),
  })),
  ...Object.fromEntries(healthPaths.map((path) => [path, health(path)])),
  '/version': json(() => ({ ...versionInfo })),
  '/metrics': async (context) => {
    const { contentType, text } = await renderMetrics(context);
    return textResponse(200, text, contentType);
  },
  '/api': (context, request) => discovery('core', () => apiVersions(addressOf(context)), request),
  '/apis': (_context, request) => discovery('groups', () => apiGroupList(), request),
  '/openapi/v2': (_context, request) => openApiV2(request),
  '/openapi/v3': (_context, request) => openApiV3Paths(request),
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

function prefixPath(path: string): Answer | undefined {
  const openApi = /^\/openapi\/v3\/(?:api|apis\/([^/]+))\/([^/]+)$/.exec(path);
  if (openApi !== null)
    return (_context, request) =>
      openApiV3(path, { group: openApi[1] ?? '', version: openApi[2] ?? '' }, request);
  const resources = /^\/(?:api|apis\/([^/]+))\/([^/]+)$/.exec(path);
  const list =
    resources === null
      ? undefined
      : apiResourceList({ group: resources[1] ?? '', version: resources[2] ?? '' });
  if (list !== undefined) return json(() => list);
  const group = /^\/apis\/([^/]+)$/.exec(path)?.[1];
  const found = group === undefined ? undefined : apiGroup(group);
  return found === undefined ? undefined : json(() => found);
}

const aggregatedTexts = new Map<string, { readonly text: string; readonly etag: string }>();

/** The aggregated document where the client knows it, the classic one where it does not. */
function discovery(scope: 'core' | 'groups', classic: () => JsonObject, request: ApiRequest): ApiResponse {
  const representation = negotiate(request.headers['accept'], ['APIGroupDiscoveryList']);
  const style = styleOf(request, representation);
  if (representation.as === undefined) return objectResponse(200, classic(), style, { vary: 'Accept' });
  const version: DiscoveryVersion = representation.version === 'v2beta1' ? 'v2beta1' : 'v2';
  const id = `${scope} ${version}`;
  let document = aggregatedTexts.get(id);
  if (document === undefined) {
    const text = JSON.stringify(aggregatedDiscovery(scope, version));
    document = { text, etag: discoveryEtag(text) };
    aggregatedTexts.set(id, document);
  }
  const headers = { etag: document.etag, vary: 'Accept', 'cache-control': 'public' };
  if (request.headers['if-none-match'] === document.etag) return { status: 304, headers, body: emptyBody };
  return {
    status: 200,
    headers: { ...headers, 'content-type': discoveryMediaType(version) },
    body: Buffer.from(document.text),
  };
}

function addressOf(context: ServerContext): string {
  return `${context.advertise.host}:${context.advertise.port}`;
}

function pathOf({ group, version }: { readonly group: string; readonly version: string }): string {
  return group === '' ? `/api/${version}` : `/apis/${group}/${version}`;
}

function groupPaths(): readonly string[] {
  return [...new Set(groupVersions.flatMap(({ group }) => (group === '' ? [] : [`/apis/${group}`])))];
}
