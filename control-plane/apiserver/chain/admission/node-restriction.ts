import { rulesOf } from '#api/kinds/rules-of.ts';
import { forbidden, notFound } from '#api/errors/status.ts';
import type { NodeLookUp } from '#api/kinds/rules.ts';
import type { Kind } from '#api/schema/kinds.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { builtIn } from '#control-plane/apiserver/built-in.ts';
import { nodeNameOf } from '#control-plane/apiserver/chain/authz/node/node-authorizer.ts';
import type {
  AdmissionAttributes,
  AdmissionContext,
  AdmissionPlugin,
  AdmissionRequest,
  Handling,
} from './admission.ts';

const pods = builtIn('', 'v1', 'pods');
const nodes = builtIn('', 'v1', 'nodes');
const found = {
  persistentvolumeclaims: builtIn('', 'v1', 'persistentvolumeclaims'),
  serviceaccounts: builtIn('', 'v1', 'serviceaccounts'),
  persistentvolumes: builtIn('', 'v1', 'persistentvolumes'),
  csidrivers: builtIn('storage.k8s.io', 'v1', 'csidrivers'),
} as const;

/**
 * A node writes what is its own: its Node, its heartbeat, its pods' status, tokens of its pods (plugin/pkg/admission/noderestriction). What
 * that is for each kind is in the kind's file.
 */
export const nodeRestriction: AdmissionPlugin = {
  name: 'NodeRestriction',
  handles: handlingOf,
  admit: (context, request) => {
    const { kind, name } = request.attributes;
    const write = writeOf(request);
    if (write === undefined) return undefined;
    const cause = rulesOf(kind).refuseNode?.(write);
    if (cause !== undefined) throw forbidden(kind, name, cause);
    const { refuseNodeLate } = rulesOf(kind);
    if (refuseNodeLate === undefined || write.operation !== 'create') return undefined;
    return refuseNodeLate(write, lookUpIn(context, request.attributes)).then((late) => {
      if (late !== undefined) throw forbidden(kind, name, late);
      return undefined;
    });
  },
};

function handlingOf({ operation, verb, kind, user }: AdmissionAttributes): Handling {
  const { refuseNode, refuseNodeLate } = rulesOf(kind);
  if ((refuseNode ?? refuseNodeLate) === undefined || nodeNameOf(user) === undefined) return 'no';
  // Through a proxy nothing is written but by what is behind it.
  if (operation === 'connect' && (verb === 'get' || verb === 'create')) return 'no';
  return refuseNodeLate !== undefined && operation === 'create' ? 'mayWait' : 'atOnce';
}

function writeOf({
  attributes: { user, operation, subresource, namespace, name },
  object,
  old,
}: AdmissionRequest): Parameters<NonNullable<ReturnType<typeof rulesOf>['refuseNode']>>[0] | undefined {
  const node = nodeNameOf(user);
  return node === undefined ? undefined : { node, operation, subresource, namespace, name, object, old };
}

function lookUpIn(
  { registry, authorizer }: AdmissionContext,
  { user, namespace, name: account }: AdmissionAttributes,
): NodeLookUp {
  const read = async (kind: Kind, where: string, name: string): Promise<JsonObject> => {
    const entry = await registry.read(kind, where, name);
    if (entry === undefined) throw notFound(kind, name);
    return entry.object;
  };
  return {
    pod: (name) => read(pods, namespace, name),
    node: (name) => read(nodes, '', name),
    find: async (resource, name) => {
      const kind = found[resource];
      return (await registry.read(kind, kind.namespaced ? namespace : '', name))?.object;
    },
    mayRequestAudience: async (audience) => {
      const { decision } = await authorizer.decide({
        ...{ kind: 'resource', user, verb: 'request-serviceaccounts-token-audience', namespace },
        ...{ group: '', version: 'v1', resource: audience, subresource: '', name: account },
      });
      return decision === 'allow';
    },
  };
}
