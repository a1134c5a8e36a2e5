import { parseFieldSelector, type FieldMatcher } from '#api/meta/field-selector.ts';
import { parseLabelSelector, type LabelMatcher } from '#api/meta/selector.ts';
import { queryBoolean } from '#api/wire/query.ts';
import { rulesOf } from '#api/kinds/rules-of.ts';
import { forbidden, statusError } from '#api/errors/status.ts';
import { isPodwrightError } from '#base/errors.ts';
import { describeDenial, type Attributes, type ResourceAttributes } from './authz/authorizer.ts';
import type { ApiRequest, User } from '#control-plane/apiserver/serve/request.ts';
import { withoutLastSlash, type Route, type Verb } from './route.ts';

const selecting: ReadonlySet<Verb> = new Set(['list', 'watch', 'deletecollection']);

/** What a request of a user is to an authorizer. */
export function attributesOf(request: ApiRequest, route: Route, user: User): Attributes {
  if (route.kind === 'path') return attributesOfPath(request, user);
  const { verb, kind, subresource, namespace, name } = route.route;
  const { group, version, resource } = kind;
  const isNamespace = rulesOf(kind).namesItsNamespace === true;
  const plain: ResourceAttributes = {
    kind: 'resource',
    user,
    verb,
    group,
    version,
    resource,
    subresource: subresource?.name ?? '',
    namespace: isNamespace ? name : namespace,
    name,
  };
  return name === '' && selecting.has(verb) ? withSelectors(plain, request.query) : plain;
}

/** Of a path that leads to no kind: one that looks like a resource's is judged as one, so that nobody is told which there are. */
export function attributesOfPath(request: ApiRequest, user: User): Attributes {
  const resource = resourceOfPath(request);
  return resource === undefined
    ? { kind: 'path', user, verb: request.method.toLowerCase(), path: request.path }
    : { ...resource, kind: 'resource', user };
}

const verbs: Readonly<Record<string, readonly [ofCollection: string, ofObject: string]>> = {
  GET: ['list', 'get'],
  HEAD: ['list', 'get'],
  POST: ['create', 'create'],
  PUT: ['update', 'update'],
  PATCH: ['patch', 'patch'],
  DELETE: ['deletecollection', 'delete'],
};

/** `/apis/GROUP/VERSION/[namespaces/NS/]RESOURCE[/NAME[/SUBRESOURCE]]` (apiserver, RequestInfoFactory); undefined for other paths. */
function resourceOfPath({
  method,
  path,
  query,
}: ApiRequest): Omit<ResourceAttributes, 'kind' | 'user'> | undefined {
  const [root, ...segments] = path.split('/').slice(1);
  const skip = root === 'api' ? 1 : root === 'apis' ? 2 : segments.length;
  const parts = withoutLastSlash(segments.slice(skip));
  if (parts[0] === undefined || parts[0] === '') return undefined;
  const isInNamespace = parts[0] === 'namespaces' && parts.length > 2;
  const [resource = '', name = '', subresource = ''] = isInNamespace ? parts.slice(2) : parts;
  const [ofCollection, ofObject] = verbs[method] ?? [method.toLowerCase(), method.toLowerCase()];
  const isWatch = ofCollection === 'list' && name === '' && queryBoolean(query, 'watch') === true;
  return {
    verb: isWatch ? 'watch' : name === '' ? ofCollection : ofObject,
    group: root === 'api' ? '' : (segments[0] ?? ''),
    version: (root === 'api' ? segments[0] : segments[1]) ?? '',
    resource,
    subresource,
    namespace: isInNamespace ? (parts[1] ?? '') : '',
    name,
  };
}

/** Read only when somebody asks: a selector may be long. */
function withSelectors(attributes: ResourceAttributes, query: URLSearchParams): ResourceAttributes {
  const [labels, fields] = [query.get('labelSelector') ?? '', query.get('fieldSelector') ?? ''];
  if (labels === '' && fields === '') return attributes;
  return {
    ...attributes,
    name: fields === '' ? '' : nameSelected(readFields(fields)),
    get labelSelector() {
      return readLabels(labels);
    },
    get fieldSelector() {
      return readFields(fields);
    },
  };
}

/** A list of one object is judged as that object is (RequestInfo takes its name of the selector). */
function nameSelected(selector: FieldMatcher | undefined): string {
  const term = selector?.find(({ field, equal }) => field === 'metadata.name' && equal);
  return term?.value ?? '';
}

/** undefined for '', and for what is no selector: that limits nothing, and the verb refuses it. */
export function readLabels(text: string): LabelMatcher | undefined {
  return text === '' ? undefined : readable(text, parseLabelSelector);
}

/** As `readLabels`. */
export function readFields(text: string): FieldMatcher | undefined {
  return text === '' ? undefined : readable(text, parseFieldSelector);
}

function readable<T>(text: string, parse: (text: string) => T): T | undefined {
  try {
    return parse(text);
  } catch (error) {
    if (!isPodwrightError(error, 'E_API')) throw error;
    return undefined;
  }
}

/** The 403 of who may not. */
export function denial(attributes: Attributes, reason: string): Error {
  const cause = describeDenial(attributes, reason);
  if (attributes.kind === 'path') return statusError(403, 'Forbidden', `forbidden: ${cause}`, {});
  return forbidden({ group: attributes.group, resource: attributes.resource }, attributes.name, cause);
}
