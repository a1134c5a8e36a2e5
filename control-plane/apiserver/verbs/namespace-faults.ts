import type { FieldError } from '#api/errors/field-error.ts';
import { rulesOf } from '#api/kinds/rules-of.ts';
import type { JsonObject } from '#api/meta/object.ts';
import type { Kind } from '#api/schema/kinds.ts';
import { at, stringOf } from '#api/wire/json.ts';
import type { ServerContext } from '#control-plane/apiserver/server-context.ts';

/** What is wrong with an object for want of a label of its namespace. `old`: before a write of it, or of its status. */
export function namespaceFaults(
  { namespaces }: Pick<ServerContext, 'namespaces'>,
  kind: Kind,
  object: JsonObject,
  old?: JsonObject,
): readonly FieldError[] {
  const { validateInNamespace } = rulesOf(kind);
  if (validateInNamespace === undefined) return [];
  const labels = namespaces.labelsOf(stringOf(at(object, 'metadata.namespace'))) ?? {};
  return validateInNamespace(object, labels, old);
}
