import { findSubresource, type Kind, type Subresource } from '#api/schema/kinds.ts';
import { queryBoolean } from '#api/wire/query.ts';
import type { KindCatalogue } from '#api/schema/kind-catalogue.ts';
import type { ServedVersion } from '#api/schema/served-version.ts';
import { methodNotAllowed, resourceNotFound } from '#api/errors/status.ts';
import type { ApiRequest } from '#control-plane/apiserver/serve/request.ts';

export type Verb = 'get' | 'list' | 'watch' | 'create' | 'update' | 'patch' | 'delete' | 'deletecollection';

/** A request about objects of a kind. */
export interface ResourceRoute {
  readonly verb: Verb;
  readonly kind: Kind;
  /** '' for cluster-scoped kinds and for all namespaces. */
  readonly namespace: string;
  /** '' for a collection. */
  readonly name: string;
  readonly subresource: Subresource | undefined;
  /** What follows the subresource (`nodes/N/proxy/REST`), with its leading slash, as on the wire. */
  readonly rest: string;
}

export type Route =
  | { readonly kind: 'resource'; readonly route: ResourceRoute }
  /** Anything that is no resource: discovery, health, OpenAPI, … */
  | { readonly kind: 'path' };

const connectSubresources: ReadonlySet<string> = new Set(['exec', 'attach', 'portforward', 'proxy', 'log']);
/** The only subresources of a namespace: any other word after its name is a resource in it. */
const namespaceSubresources: ReadonlySet<string> = new Set(['status', 'finalize']);

/**
 * Reads `/api/v1/namespaces/NS/pods/NAME/log` and its like.
 * @throws {E_API} 404 for an unknown resource of a known group version, 405 for a method that the resource lacks
 */
export function parseRoute(
  kinds: KindCatalogue,
  { method, path, query }: Pick<ApiRequest, 'method' | 'path' | 'query'>,
): Route {
  const segments = path.split('/').slice(1);
  const skip = segments[0] === 'api' ? 2 : segments[0] === 'apis' ? 3 : 0;
  if (skip === 0 || segments.length <= skip) return { kind: 'path' };
  const [group, version] = skip === 2 ? ['', segments[1] ?? ''] : [segments[1] ?? '', segments[2] ?? ''];
  const served = kinds.findVersion(group, version);
  const parts = withoutLastSlash(segments.slice(skip));
  if (served === undefined || parts[0] === '') return { kind: 'path' };
  const isLegacyWatch = parts[0] === 'watch';
  const target = parseTarget(served, isLegacyWatch ? parts.slice(1) : parts);
  if (target === undefined) {
    // Upstream's server of custom kinds knows no such path.
    if (served.kinds.every(({ custom }) => custom !== undefined)) return { kind: 'path' };
    throw resourceNotFound();
  }
  const isAmongAll = target.kind.namespaced && target.namespace === '';
  // All namespaces are looked at together, and nothing is written in them together.
  if (isAmongAll && method !== 'GET' && method !== 'HEAD') {
    if (target.kind.custom !== undefined) return { kind: 'path' };
    throw methodNotAllowed();
  }
  const verb = isLegacyWatch ? 'watch' : verbOf(method, target, query);
  const allowed = target.subresource?.verbs ?? target.kind.custom?.verbs ?? target.kind.verbs;
  if (!allowed.includes(verb === 'get' && target.rest !== '' ? 'get' : verb)) throw methodNotAllowed();
  return { kind: 'resource', route: { ...target, verb } };
}

/** A slash at the end changes nothing (go-restful, TrimRightSlashEnabled), but of what a proxy passes on. */
export function withoutLastSlash(parts: readonly string[]): readonly string[] {
  return parts.length > 1 && parts.at(-1) === '' && !parts.includes('proxy') ? parts.slice(0, -1) : parts;
}

type Target = Omit<ResourceRoute, 'verb'>;

/** undefined: there is no such resource. */
function parseTarget({ group, byResource }: ServedVersion, parts: readonly string[]): Target | undefined {
  const isInNamespace =
    parts[0] === 'namespaces' && group === ''
      ? parts.length >= 3 && !(parts.length === 3 && namespaceSubresources.has(parts[2] ?? ''))
      : parts[0] === 'namespaces' && parts.length >= 3;
  const namespace = isInNamespace ? decode(parts[1] ?? '') : '';
  const [resource = '', rawName = '', sub = '', ...restParts] = isInNamespace ? parts.slice(2) : parts;
  const kind = byResource.get(resource);
  if (kind === undefined) return undefined;
  const name = decode(rawName);
  // A namespaced object is found in its namespace only; a cluster-scoped one never in one.
  if (kind.namespaced ? namespace === '' && name !== '' : isInNamespace) return undefined;
  const subresource = sub === '' ? undefined : findSubresource(kind, sub);
  if (sub !== '' && subresource === undefined) return undefined;
  if (restParts.length > 0 && subresource?.name !== 'proxy') return undefined;
  return { kind, namespace, name, subresource, rest: restParts.length > 0 ? `/${restParts.join('/')}` : '' };
}

function verbOf(method: string, target: Target, query: URLSearchParams): Verb {
  const isObject = target.name !== '';
  const connects = target.subresource !== undefined && connectSubresources.has(target.subresource.name);
  switch (method) {
    case 'GET':
    case 'HEAD':
      if (isObject) return 'get';
      return queryBoolean(query, 'watch') === true ? 'watch' : 'list';
    case 'POST':
      if (isObject && target.subresource === undefined) throw methodNotAllowed();
      return 'create';
    case 'PUT':
      return isObject ? 'update' : refuse();
    case 'PATCH':
      return isObject ? 'patch' : refuse();
    case 'OPTIONS':
      // What is asked of what runs there, not of the API (browsers ask before they send).
      return target.subresource?.name === 'proxy' ? 'get' : refuse();
    case 'DELETE':
      return isObject || connects ? 'delete' : 'deletecollection';
    default:
      return refuse();
  }
}

/** Whether a request may take as long as its client likes: what `timeout` says is not for it. */
export function isLongRunning(route: Route): boolean {
  if (route.kind === 'path') return false;
  const { verb, subresource } = route.route;
  return verb === 'watch' || (subresource !== undefined && connectSubresources.has(subresource.name));
}

function refuse(): never {
  throw methodNotAllowed();
}

function decode(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    throw resourceNotFound(); // Not UTF-8: it names nothing.
  }
}
