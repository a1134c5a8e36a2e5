import { findSubresource, formatGroupVersion, kindOfSubresource, type Kind } from '#api/schema/kinds.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { at, stringOf } from '#api/wire/json.ts';
import type {
  AdmissionContext,
  AdmissionRequest,
} from '#control-plane/apiserver/chain/admission/admission.ts';
import { convertedFor } from './converted-for.ts';
import { optionsOf } from './operation-options.ts';
import { namespaceOf } from './selected.ts';
import { kindOfObjects, shownAs } from './shown-as.ts';

/**
 * What hooks and expressions are told of a request: an AdmissionRequest of admission.k8s.io/v1, in the order of its fields, without uid and
 * without the objects, for who sees these as kind `as` (that of the request or an equivalent one).
 */
export function describeRequest({ attributes, object }: AdmissionRequest, as: Kind): JsonObject {
  const { kind, subresource, operation, user, dryRun, verb } = attributes;
  // Of a collection that is deleted nobody names the objects; the name that was made for one is known when it is judged.
  const name = verb === 'deletecollection' ? '' : attributes.name || stringOf(at(object, 'metadata.name'));
  const namespace = namespaceOf({ ...attributes, name });
  return {
    kind: groupVersionKind(kindOfObjects(as, subresource)),
    resource: groupVersionResource(as),
    ...(subresource === '' ? {} : { subResource: subresource }),
    requestKind: groupVersionKind(kindOfObjects(kind, subresource)),
    requestResource: groupVersionResource(kind),
    ...(subresource === '' ? {} : { requestSubResource: subresource }),
    ...(name === '' ? {} : { name }),
    ...(namespace === '' ? {} : { namespace }),
    operation: operation.toUpperCase(),
    userInfo: {
      username: user.name,
      ...(user.uid === undefined || user.uid === '' ? {} : { uid: user.uid }),
      ...(user.groups.length === 0 ? {} : { groups: user.groups }),
      ...(user.extra === undefined || Object.keys(user.extra).length === 0 ? {} : { extra: user.extra }),
    },
    dryRun,
    options: optionsOf(attributes) ?? null,
  };
}

/**
 * The objects of a request as kind `as` shows them, with kind and apiVersion first; null where there is none. @throws {E_API} 500 where a webhook
 * does not convert one
 */
export async function objectsShownAs(
  { registry }: Pick<AdmissionContext, 'registry'>,
  { attributes, object, old }: AdmissionRequest,
  as: Kind,
): Promise<{ readonly object: JsonObject | null; readonly oldObject: JsonObject | null }> {
  const { kind, subresource } = attributes;
  const of = async (each: JsonObject | undefined): Promise<JsonObject | null> => {
    if (each === undefined) return null;
    if (!showsItself(kind, subresource)) return typed(each, as, subresource);
    const converted = await convertedFor(registry, attributes, { object: each, from: kind, to: as });
    return typed(shownAs(converted, kind, as), as, subresource);
  };
  return { object: await of(object), oldObject: await of(old) };
}

/** An object that somebody made of one that was shown as kind `as`, as the request has it. @throws {E_API} as `objectsShownAs` */
export async function shownBack(
  { registry }: Pick<AdmissionContext, 'registry'>,
  { attributes }: AdmissionRequest,
  { object, as }: { readonly object: JsonObject; readonly as: Kind },
): Promise<JsonObject> {
  const { kind, subresource } = attributes;
  if (!showsItself(kind, subresource)) return object;
  const converted = await convertedFor(registry, attributes, { object, from: as, to: kind });
  return shownAs(converted, as, kind);
}

/** Whether a subresource shows the object itself, not one of its own. */
function showsItself(kind: Kind, subresource: string): boolean {
  const found = findSubresource(kind, subresource);
  return found === undefined || kindOfSubresource(kind, found) === kind;
}

function typed(object: JsonObject, as: Kind, subresource: string): JsonObject {
  const { kind: _kind, apiVersion: _version, ...rest } = object;
  const shown = kindOfObjects(as, subresource);
  return { kind: shown.kind, apiVersion: formatGroupVersion(shown), ...rest };
}

function groupVersionKind({ group, version, kind }: Kind): JsonObject {
  return { group, version, kind };
}

function groupVersionResource({ group, version, resource }: Kind): JsonObject {
  return { group, version, resource };
}
