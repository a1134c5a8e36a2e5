import { parseFieldSelector, type FieldMatcher } from '#api/meta/field-selector.ts';
import { parseLabelSelector, type LabelMatcher } from '#api/meta/selector.ts';
import { forbidden, statusError } from '#api/errors/status.ts';
import { isPodwrightError } from '#base/errors.ts';
import { describeDenial, type Attributes, type ResourceAttributes } from './authz/authorizer.ts';
import type { ApiRequest, User } from '#control-plane/apiserver/serve/request.ts';
import type { Route, Verb } from './route.ts';

const selecting: ReadonlySet<Verb> = new Set(['list', 'watch', 'deletecollection']);

/** What a request of a user is to an authorizer. */
export function attributesOf(request: ApiRequest, route: Route, user: User): Attributes {
  if (route.kind === 'path')
    return { kind: 'path', user, verb: request.method.toLowerCase(), path: request.path };
  const { verb, kind, subresource, namespace, name } = route.route;
  const { group, resource } = kind;
  const plain: ResourceAttributes = {
    kind: 'resource',
    user,
    verb,
    group,
    resource,
    subresource: subresource?.name ?? '',
    namespace,
    name,
  };
  return name === '' && selecting.has(verb) ? withSelectors(plain, request.query) : plain;
}

/** Read only when somebody asks: a selector may be long. */
function withSelectors(attributes: ResourceAttributes, query: URLSearchParams): ResourceAttributes {
  const [labels, fields] = [query.get('labelSelector') ?? '', query.get('fieldSelector') ?? ''];
  if (labels === '' && fields === '') return attributes;
  return {
    ...attributes,
    get labelSelector() {
      return readLabels(labels);
    },
    get fieldSelector() {
      return readFields(fields);
    },
  };
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
