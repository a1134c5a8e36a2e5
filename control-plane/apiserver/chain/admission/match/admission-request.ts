import { findSubresource, formatGroupVersion, kindOfSubresource, type Kind } from '#api/schema/kinds.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { at, stringOf } from '#api/wire/json.ts';
import type { AdmissionRequest } from '#control-plane/apiserver/chain/admission/admission.ts';
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

/** The objects of a request as kind `as` shows them, with kind and apiVersion first; null where there is none. */
export function objectsShownAs(
  { attributes: { kind, subresource }, object, old }: AdmissionRequest,
  as: Kind,
): { readonly object: JsonObject | null; readonly oldObject: JsonObject | null } {
  const of = (each: JsonObject | undefined): JsonObject | null =>
    each === undefined
      ? null
      : typed(showsItself(kind, subresource) ? shownAs(each, kind, as) : each, as, subresource);
  return { object: of(object), oldObject: of(old) };
}

/** An object that somebody made of one that was shown as kind `as`, as the request has it. */
export function shownBack(
  { attributes: { kind, subresource } }: AdmissionRequest,
  object: JsonObject,
  as: Kind,
): JsonObject {
  return showsItself(kind, subresource) ? shownAs(object, as, kind) : object;
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
