import { at, nameOrPrefix } from '#api/wire/json.ts';
import { isSameKind, rulesOf } from '#api/kinds/rules-of.ts';
import { forbidden, namespaceTerminating, notFound } from '#api/errors/status.ts';
import { builtIn } from '#control-plane/apiserver/built-in.ts';
import type {
  AdmissionContext,
  AdmissionAttributes,
  AdmissionPlugin,
  AdmissionRequest,
  Handling,
} from '#control-plane/apiserver/chain/admission/admission.ts';
import type { Entry } from '#control-plane/apiserver/objects/registry.ts';
import { namespaces } from './namespaces.ts';

/** Whoever may ask what they may do in a namespace may ask it of any. */
const accessReviews = builtIn('authorization.k8s.io', 'v1', 'localsubjectaccessreviews');

/**
 * Objects, and what is posted to them (bindings, evictions, requests of tokens), are made in a namespace that is there and stays; some
 * namespaces stay for ever.
 */
export const namespaceLifecycle: AdmissionPlugin = {
  name: 'NamespaceLifecycle',
  handles: handlingOf,
  admit: (context, request) =>
    request.attributes.operation === 'delete'
      ? checkDeletion(request.attributes)
      : checkNamespace(context, request),
};

function handlingOf({ operation, kind, subresource }: AdmissionAttributes): Handling {
  if (operation === 'create') return kind.namespaced && !isSameKind(kind, accessReviews) ? 'mayWait' : 'no';
  return operation === 'delete' && subresource === '' && isSameKind(kind, namespaces) ? 'atOnce' : 'no';
}

function checkDeletion({ kind, name }: AdmissionAttributes): undefined {
  const cause = rulesOf(kind).refuseDeletion?.(name);
  if (cause !== undefined) throw forbidden(kind, name, cause);
}

function checkNamespace(
  context: AdmissionContext,
  request: AdmissionRequest,
): undefined | Promise<undefined> {
  const reading = context.registry.readAtOnce(namespaces, '', request.attributes.namespace);
  return reading instanceof Promise
    ? reading.then((entry) => checkEntry(request, entry))
    : checkEntry(request, reading);
}

function checkEntry({ attributes, object = {} }: AdmissionRequest, entry: Entry | undefined): undefined {
  const { kind, namespace, name } = attributes;
  if (entry === undefined) throw notFound(namespaces, namespace);
  if (at(entry.object, 'metadata.deletionTimestamp') === undefined) return;
  throw namespaceTerminating(kind, name || nameOrPrefix(object), namespace);
}
