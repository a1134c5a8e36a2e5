import { at, nameOrPrefix } from '#api/wire/json.ts';
import { rulesOf } from '#api/kinds/rules-of.ts';
import { forbidden, namespaceTerminating, notFound } from '#api/errors/status.ts';
import { builtIn } from '#control-plane/apiserver/built-in.ts';
import type {
  AdmissionContext,
  AdmissionAttributes,
  AdmissionPlugin,
  AdmissionRequest,
  Handling,
} from './admission.ts';

const namespaces = builtIn('', 'v1', 'namespaces');

/** Objects are made in a namespace that is there and stays; some namespaces stay for ever. */
export const namespaceLifecycle: AdmissionPlugin = {
  name: 'NamespaceLifecycle',
  handles: handlingOf,
  admit: (context, request) =>
    request.attributes.operation === 'delete'
      ? checkDeletion(request.attributes)
      : checkNamespace(context, request),
};

function handlingOf({ operation, kind, subresource }: AdmissionAttributes): Handling {
  if (subresource !== '' || operation === 'update') return 'no';
  const { isStored, refuseDeletion } = rulesOf(kind);
  if (operation === 'create') return kind.namespaced && isStored !== false ? 'mayWait' : 'no';
  return operation === 'delete' && refuseDeletion !== undefined ? 'atOnce' : 'no';
}

function checkDeletion({ kind, name }: AdmissionAttributes): undefined {
  const cause = rulesOf(kind).refuseDeletion?.(name);
  if (cause !== undefined) throw forbidden(kind, name, cause);
}

async function checkNamespace(
  context: AdmissionContext,
  { attributes, object = {} }: AdmissionRequest,
): Promise<undefined> {
  const { kind, namespace } = attributes;
  const entry = await context.registry.read(namespaces, '', namespace);
  if (entry === undefined) throw notFound(namespaces, namespace);
  if (at(entry.object, 'metadata.deletionTimestamp') === undefined) return;
  throw namespaceTerminating(kind, nameOrPrefix(object), namespace);
}
