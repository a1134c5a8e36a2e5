import { forbidden } from '#api/errors/status.ts';
import type { KindRef } from '#api/schema/kind-ref.ts';
import { objectOf } from '#api/wire/json.ts';
import type { ApiClient, ObjectRef } from '#client/client.ts';
import { serviceAccount, withGroup } from '#control-plane/apiserver/chain/authn/groups.ts';
import type { Attributes } from '#control-plane/apiserver/chain/authz/authorizer.ts';
import { bootstrapPolicy } from '#control-plane/apiserver/chain/authz/rbac/bootstrap-policy.ts';
import { RbacBook } from '#control-plane/apiserver/chain/authz/rbac/rbac-book.ts';
import type { User } from '#control-plane/apiserver/serve/request.ts';
import type { OwnClients } from './own-clients.ts';

/** Roles and bindings of a cluster that nobody has changed. */
export function bootstrapBook(): RbacBook {
  const book = new RbacBook();
  for (const { kind, name, namespace = '', rules, roleRef, subjects = [] } of bootstrapPolicy()) {
    if (roleRef === undefined) book.putRole(kind.namespaced ? namespace : '', name, rules);
    else book.putBinding({ metadata: { name, namespace }, roleRef, subjects: [...subjects] });
  }
  return book;
}

/** `update apps/deployments/status`, `get /apis`. */
export function describeAsked(asked: Attributes): string {
  if (asked.kind === 'path') return `${asked.verb} ${asked.path}`;
  const { verb, group, resource, subresource } = asked;
  return `${verb} ${group === '' ? '' : `${group}/`}${resource}${subresource === '' ? '' : `/${subresource}`}`;
}

/** A client that first says what it is about to ask as the user: by throwing it is refused. */
export function telling(client: ApiClient, user: User, tell: (asked: Attributes) => void): ApiClient {
  const known = withGroup(user, 'system:authenticated');
  const ask = (
    verb: string,
    { group, resource }: Pick<KindRef<unknown>, 'group' | 'resource'>,
    { namespace = '', name = '', subresource = '' }: Partial<ObjectRef> & { readonly subresource?: string },
  ): void => tell({ kind: 'resource', user: known, verb, group, resource, subresource, namespace, name });
  return {
    get: async (kind, where, options = {}) => {
      ask('get', kind, { ...where, ...options });
      return client.get(kind, where, options);
    },
    list: async (kind, options = {}) => {
      ask('list', kind, { namespace: options.namespace });
      return client.list(kind, options);
    },
    create: async (kind, object, options = {}) => {
      const { namespace } = objectOf(objectOf(object)['metadata']);
      const where = { namespace: typeof namespace === 'string' ? namespace : '', ...options.where };
      ask('create', kind, { ...where, ...pick(options) });
      return client.create(kind, object, options);
    },
    update: async (kind, object, options = {}) => {
      ask('update', kind, { ...refOf(object), ...pick(options) });
      return client.update(kind, object, options);
    },
    patch: async (kind, where, patch) => {
      ask('patch', kind, { ...where, ...pick(patch) });
      return client.patch(kind, where, patch);
    },
    apply: async (kind, object, options) => {
      ask('patch', kind, { ...refOf(object), ...pick(options) });
      return client.apply(kind, object, options);
    },
    delete: async (kind, where, options) => {
      ask('delete', kind, where);
      return client.delete(kind, where, options);
    },
    watch: async function* (kind, options, signal) {
      ask('watch', kind, { namespace: options.namespace });
      yield* client.watch(kind, options, signal);
    },
    raw: async (method, path, body) => {
      tell({ kind: 'path', user: known, verb: method.toLowerCase(), path });
      return client.raw(method, path, body);
    },
    stream: async function* (path, signal) {
      tell({ kind: 'path', user: known, verb: 'get', path });
      yield* client.stream(path, signal);
    },
  };
}

function pick({ subresource }: { readonly subresource?: string | undefined }): {
  readonly subresource?: string;
} {
  return subresource === undefined ? {} : { subresource };
}

function refOf(object: unknown): ObjectRef {
  const { namespace, name } = objectOf(objectOf(object)['metadata']);
  return { namespace: String(namespace ?? ''), name: String(name ?? '') };
}

/** What parts of a process asked, by who they are, and what their roles do not allow. */
export interface Told {
  readonly asked: Map<string, Set<string>>;
  readonly refused: string[];
}

/** Clients of a fake API that refuses what the roles of a new cluster do not allow. */
export function createRoledClients(client: ApiClient): Told & { readonly clients: OwnClients } {
  const book = bootstrapBook();
  const told: Told = { asked: new Map(), refused: [] };
  const as = (user: User): ApiClient =>
    telling(client, user, (attributes) => {
      note(told, attributes);
      if (book.find(attributes) !== undefined) return;
      told.refused.push(`${user.name}: ${describeAsked(attributes)}`);
      throw forbidden({ group: '', resource: '' }, '', describeAsked(attributes));
    });
  const named = (name: string): ApiClient => as({ name, groups: [] });
  const clients: OwnClients = {
    controllerManager: named('system:kube-controller-manager'),
    scheduler: named('system:kube-scheduler'),
    controller: (account) => as(serviceAccount('kube-system', account)),
    own: (part) => named(`system:podwright:${part}`),
  };
  return { ...told, clients };
}

/** @param attributes of one question */
export function note({ asked }: Told, attributes: Attributes): void {
  const { name } = attributes.user;
  const own = asked.get(name) ?? new Set();
  asked.set(name, own.add(describeAsked(attributes)));
}
