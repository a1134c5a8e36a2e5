import type { Kind } from '#api/schema/kinds.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { termsOf, type FindKind } from '#api/patch/apply/kind-terms.ts';
import {
  manageUpdate,
  unreadableOwnersWarning,
  withReadableOwners,
  type KindTerms,
  type Writer,
} from '#api/patch/apply/manage.ts';
import { managerOf } from '#api/patch/apply/manager-name.ts';
import type { ApiRequest, RequestScope } from '#control-plane/apiserver/serve/request.ts';
import type { ServerContext } from '#control-plane/apiserver/server-context.ts';
import { isPodwrightError } from '#base/errors.ts';
import { duplicatesMade, withOwnersOnce } from './owner-references.ts';
import type { WriteOptions } from './write-options.ts';

/** As whom the server itself writes. */
export const serverManager = 'kube-apiserver';

/** By what owners of a kind's objects are reckoned in this server. */
export function ownerTerms(
  { kinds, registry }: Pick<ServerContext, 'kinds' | 'registry'>,
  kind: Kind,
  subresource: string,
): KindTerms {
  const find: FindKind = (group, version, resource) => kinds.find(group, version, resource);
  return termsOf(kind, subresource, find, registry.custom.findConverted);
}

/** The name of who asks, as metadata.managedFields has it. */
export function managerOfRequest(options: WriteOptions, request: ApiRequest): string {
  return managerOf(options.fieldManager, request.headers['user-agent']);
}

export function writerOf(
  { clock }: Pick<ServerContext, 'clock'>,
  manager: string,
  subresource: string | undefined,
): Writer {
  return { manager, subresource: subresource ?? '', nowMs: clock.now() };
}

/**
 * What mutating admission made of an object: who owns which fields is what it was where it left nothing of that can be read, and what the
 * object belongs to is named once.
 */
export function afterAdmission(
  admitted: JsonObject,
  owned: JsonObject,
  scope: Pick<RequestScope, 'warn'> | undefined,
): JsonObject {
  const { object, fault } = withReadableOwners(admitted, owned);
  if (fault !== undefined) scope?.warn(unreadableOwnersWarning(fault));
  return withOwnersOnce(object, scope, duplicatesMade);
}

/** Makes the owners of an object that a write which is no application leaves; `live` is undefined for a new one. */
export function manageWrite(
  context: ServerContext,
  {
    kind,
    subresource,
    manager,
  }: { readonly kind: Kind; readonly subresource?: string | undefined; readonly manager: string },
  { live, next }: { readonly live: JsonObject | undefined; readonly next: JsonObject },
): JsonObject {
  const terms = ownerTerms(context, kind, subresource ?? '');
  return manageUpdate(terms, { live, next }, writerOf(context, manager, subresource));
}

/**
 * A write, and where the store does not take anything so large, once more without who owns what of the object, which may be most of it
 * (apiserver/pkg/endpoints/handlers, isTooLargeError). Applications are never written without.
 */
export async function orWithoutOwners<T>(write: () => Promise<T>, without: () => Promise<T>): Promise<T> {
  try {
    return await write();
  } catch (error) {
    if (!isPodwrightError(error, 'E_LIMIT')) throw error;
    return without();
  }
}
