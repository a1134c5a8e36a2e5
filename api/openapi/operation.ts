import type { GroupVersion, Kind } from '#api/schema/kinds.ts';
import { builtInTypes } from '#api/schema/built-in-types.ts';
import type { ServedVersion } from '#api/schema/served-version.ts';
import type { GroupVersionKind, TypeRef } from '#api/schema/type-source.ts';

/** The HTTP methods of the API. */
export type Method = 'get' | 'post' | 'put' | 'patch' | 'delete';

/** What a client may ask of one path, in terms that both specifications are written from. */
export interface Operation {
  readonly path: string;
  readonly method: Method;
  readonly operationId: string;
  /** `list`, `get`, `post`, `put`, `patch`, `delete`, `deletecollection`, `connect`. */
  readonly action: string;
  readonly group: string;
  readonly version: string;
  readonly kind: string;
  /** undefined where there is no body or it is no object. */
  readonly request?: TypeRef | undefined;
  readonly response?: TypeRef | undefined;
  readonly query: readonly QueryParameter[];
  /** Media types of the body, of a PATCH. */
  readonly patchTypes: readonly string[];
  /** Names of the path's parameters. */
  readonly pathParameters: readonly string[];
}

/** A parameter after the `?`. */
export interface QueryParameter {
  readonly name: string;
  readonly type: 'string' | 'boolean' | 'integer';
}

/** What a PATCH of a custom object may carry: nobody knows how its lists merge. */
const customPatchTypes: readonly string[] = [
  'application/apply-patch+yaml',
  'application/json-patch+json',
  'application/merge-patch+json',
];
/** What a PATCH may carry (kubectl looks for the strategic one). */
const patchMediaTypes: readonly string[] = [...customPatchTypes, 'application/strategic-merge-patch+json'];

const pretty: QueryParameter = { name: 'pretty', type: 'string' };

/** `name` is a string, `name?` a boolean, `name#` an integer. */
function parameters(names: string): readonly QueryParameter[] {
  return names.split(' ').map((name) => {
    const type = name.endsWith('?') ? 'boolean' : name.endsWith('#') ? 'integer' : 'string';
    return { name: name.replace(/[?#]$/, ''), type };
  });
}

const writeQuery = [pretty, ...parameters('dryRun fieldManager fieldValidation')];
const selectQuery = parameters(
  'continue fieldSelector labelSelector limit# resourceVersion resourceVersionMatch sendInitialEvents? timeoutSeconds#',
);
const listQuery = [pretty, ...selectQuery, ...parameters('allowWatchBookmarks? watch?')];
const deleteQuery = [pretty, ...parameters('dryRun gracePeriodSeconds# orphanDependents? propagationPolicy')];

const queries: Readonly<Record<string, readonly QueryParameter[]>> = {
  list: listQuery,
  get: [pretty],
  post: writeQuery,
  put: writeQuery,
  patch: [...writeQuery, ...parameters('force?')],
  delete: deleteQuery,
  deletecollection: [...deleteQuery, ...selectQuery],
  connect: [],
};

/** Verbs of resources on their collection and on one object. */
const collectionVerbs: readonly (readonly [verb: string, method: Method, action: string])[] = [
  ['list', 'get', 'list'],
  ['create', 'post', 'post'],
  ['deletecollection', 'delete', 'deletecollection'],
];
const objectVerbs: readonly (readonly [verb: string, method: Method, action: string])[] = [
  ['get', 'get', 'get'],
  ['update', 'put', 'put'],
  ['patch', 'patch', 'patch'],
  ['delete', 'delete', 'delete'],
];

/** Every operation of a group version, in order of paths. */
export function operationsOf({ kinds }: ServedVersion): readonly Operation[] {
  return kinds
    .flatMap((kind) => [...resourceOperations(kind), ...subresourceOperations(kind)])
    .toSorted((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0));
}

/** The root of a group version: `/apis/apps/v1`. */
export function rootPath({ group, version }: GroupVersion): string {
  return group === '' ? `/api/${version}` : `/apis/${group}/${version}`;
}

function resourceOperations(kind: Kind): readonly Operation[] {
  const collection = collectionPath(kind);
  const ofVerbs = (verbs: typeof collectionVerbs, path: string): readonly Operation[] =>
    verbs
      .filter(([verb]) => kind.verbs.includes(verb))
      .map(([, method, action]) => makeOperation({ kind, path, method, action, type: kind }));
  const everywhere =
    kind.namespaced && kind.verbs.includes('list')
      ? [
          makeOperation({
            kind,
            path: `${rootPath(kind)}/${kind.resource}`,
            method: 'get',
            action: 'list',
            type: kind,
            suffix: 'ForAllNamespaces',
          }),
        ]
      : [];
  return [
    ...ofVerbs(collectionVerbs, collection),
    ...ofVerbs(objectVerbs, `${collection}/{name}`),
    ...everywhere,
  ];
}

function subresourceOperations(kind: Kind): readonly Operation[] {
  return kind.subresources.flatMap((sub) => {
    const type = sub.typeName === '' ? undefined : sub;
    const path = `${collectionPath(kind)}/{name}/${sub.name}`;
    const verbs = [...objectVerbs, ['create', 'post', type === undefined ? 'connect' : 'post'] as const];
    return verbs
      .filter(([verb]) => sub.verbs.includes(verb))
      .map(([, method, action]) =>
        makeOperation({
          kind: sub,
          owner: kind,
          path,
          method,
          action,
          type,
          suffix: capital(sub.name),
        }),
      );
  });
}

interface OperationPlan {
  readonly kind: GroupVersionKind & Pick<Kind, 'custom'>;
  /** The kind that a subresource is of: operations are named after it. */
  readonly owner?: GroupVersionKind & Pick<Kind, 'custom'>;
  readonly path: string;
  readonly method: Method;
  readonly action: string;
  readonly type: TypeRef | undefined;
  readonly suffix?: string;
}

function makeOperation(plan: OperationPlan): Operation {
  const { kind, path, method, action, type } = plan;
  const isStatus = action === 'delete' || action === 'deletecollection';
  const hasBody = action === 'post' || action === 'put';
  return {
    path,
    method,
    action,
    group: kind.group,
    version: kind.version,
    kind: kind.kind,
    operationId: operationIdOf(plan),
    request: isStatus ? metaType('DeleteOptions') : hasBody ? type : undefined,
    response: isStatus ? metaType('Status') : action === 'list' ? listOf(type) : type,
    query: queries[action] ?? [],
    patchTypes: (plan.owner ?? kind).custom === undefined ? patchMediaTypes : customPatchTypes,
    pathParameters: [...path.matchAll(/\{(\w+)\}/g)].map(([, name = '']) => name),
  };
}

/** What all kinds share: `meta.v1.Status`. */
export function metaType(name: string): TypeRef {
  return { schema: builtInTypes, typeName: `meta.v1.${name}` };
}

function listOf(type: TypeRef | undefined): TypeRef | undefined {
  return type && { schema: type.schema, typeName: `${type.typeName}List` };
}

/** `replaceAppsV1NamespacedDeploymentStatus` */
function operationIdOf({ kind, owner = kind, path, action, suffix = '' }: OperationPlan): string {
  const scope = path.includes('{namespace}') ? 'Namespaced' : '';
  const groupName = owner.group === '' ? 'Core' : owner.group.split('.').map(capital).join('');
  return `${actionNames[action] ?? action}${groupName}${capital(owner.version)}${scope}${owner.kind}${suffix}`;
}

const actionNames: Readonly<Record<string, string>> = {
  get: 'read',
  post: 'create',
  put: 'replace',
  deletecollection: 'deleteCollection',
};

function collectionPath(kind: Kind): string {
  return `${rootPath(kind)}${kind.namespaced ? '/namespaces/{namespace}' : ''}/${kind.resource}`;
}

function capital(word: string): string {
  return `${word.charAt(0).toUpperCase()}${word.slice(1)}`;
}
