import type { OwnerReference } from '#api/generated/objects.ts';
import { isSameKind } from '#api/kinds/rules-of.ts';
import { forbidden } from '#api/errors/status.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { at, equalStored, nameOrPrefix, objectsOf, typed } from '#api/wire/json.ts';
import { builtIn } from '#control-plane/apiserver/built-in.ts';
import type {
  AdmissionAttributes,
  AdmissionContext,
  AdmissionPlugin,
  AdmissionRequest,
} from './admission.ts';

const pods = builtIn('', 'v1', 'pods');

/**
 * Who says whose an object is may delete it, as the garbage collector then does in their place; who has an owner wait for it may write the
 * owner's finalizers (plugin/pkg/admission/gc).
 */
export const ownerReferencesPermissionEnforcement: AdmissionPlugin = {
  name: 'OwnerReferencesPermissionEnforcement',
  handles: ({ operation, kind, subresource }) => {
    // What a kubelet writes of a pod's status changes no owner.
    if (subresource === 'status' && isSameKind(kind, pods)) return 'no';
    if (operation === 'create') return 'mayWait';
    return operation === 'update' ? 'seldomWaits' : 'no';
  },
  mustWait: changesOwners,
  validate: async (context, request) => {
    if (!changesOwners(request)) return;
    await checkDeletion(context, request);
    const blocking = newlyBlocking(request);
    if (blocking.length === 0 || (await mayBlockAll(context, request.attributes))) return;
    for (const reference of blocking) await checkOwner(context, request, reference);
  },
};

function ownersOf(object: JsonObject | undefined): readonly OwnerReference[] {
  return objectsOf(at(object, 'metadata.ownerReferences')).map((reference) =>
    typed<OwnerReference>(reference),
  );
}

function changesOwners({ object, old }: AdmissionRequest): boolean {
  return !equalStored(ownersOf(object), ownersOf(old));
}

/** Those that say that their owner waits, and did not say so before. */
function newlyBlocking({ object, old }: AdmissionRequest): readonly OwnerReference[] {
  const isBlocking = ({ blockOwnerDeletion }: OwnerReference): boolean => blockOwnerDeletion === true;
  const known = new Set(
    ownersOf(old)
      .filter(isBlocking)
      .map(({ uid }) => uid),
  );
  return ownersOf(object).filter((reference) => isBlocking(reference) && !known.has(reference.uid));
}

async function checkDeletion(context: AdmissionContext, request: AdmissionRequest): Promise<void> {
  const { user, kind, subresource, namespace, name } = request.attributes;
  const { decision, reason } = await context.authorizer.decide({
    ...{ kind: 'resource', user, verb: 'delete', group: kind.group, resource: kind.resource },
    ...{ subresource, namespace, name },
  });
  if (decision === 'allow') return;
  throw refused(request, `cannot set an ownerRef on a resource you can't delete: ${reason}, <nil>`);
}

/** Whoever may write the finalizers of everything need not be asked of each. */
async function mayBlockAll(
  { authorizer }: AdmissionContext,
  { user }: AdmissionAttributes,
): Promise<boolean> {
  const { decision } = await authorizer.decide({
    ...{ kind: 'resource', user, verb: 'update', group: '*', resource: '*' },
    ...{ subresource: 'finalizers', namespace: '', name: '*' },
  });
  return decision === 'allow';
}

async function checkOwner(
  context: AdmissionContext,
  request: AdmissionRequest,
  { apiVersion, kind: name, name: owner }: OwnerReference,
): Promise<void> {
  const { user, namespace } = request.attributes;
  const kind = context.kinds.findByName(apiVersion, name);
  if (kind === undefined) {
    const cause = `no matches for kind ${JSON.stringify(name)} in version ${JSON.stringify(apiVersion)}`;
    throw refused(
      request,
      `cannot set blockOwnerDeletion in this case because cannot find RESTMapping for APIVersion ${apiVersion} Kind ${name}: ${cause}`,
    );
  }
  const { decision, reason } = await context.authorizer.decide({
    ...{ kind: 'resource', user, verb: 'update', group: kind.group, resource: kind.resource },
    ...{ subresource: 'finalizers', namespace: kind.namespaced ? namespace : '', name: owner },
  });
  if (decision === 'allow') return;
  throw refused(
    request,
    `cannot set blockOwnerDeletion if an ownerReference refers to a resource you can't set finalizers on: ${reason}, <nil>`,
  );
}

function refused({ attributes: { kind, name }, object = {} }: AdmissionRequest, cause: string): Error {
  return forbidden(kind, name || nameOrPrefix(object), cause);
}
