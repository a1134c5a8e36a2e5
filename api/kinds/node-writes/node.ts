import type { NodeWrite } from '#api/kinds/rules.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { at, equalJson, stringMapOf } from '#api/wire/json.ts';
import { forbiddenLabels } from './labels.ts';

/** A node writes its own Node, not what would draw pods to it (noderestriction, admitNode). */
export function refuseNodeWrite({
  node,
  name,
  operation,
  object = {},
  old = {},
}: NodeWrite): string | undefined {
  const quoted = JSON.stringify(node);
  if (name !== node) return `node ${quoted} is not allowed to modify node ${JSON.stringify(name)}`;
  if (operation === 'create') return refuseNew(quoted, object);
  return operation === 'update' ? refuseChange(quoted, old, object) : undefined;
}

function refuseNew(node: string, object: JsonObject): string | undefined {
  if (at(object, 'spec.configSource') !== undefined) {
    return `node ${node} is not allowed to create pods with a non-nil configSource`;
  }
  const labels = forbiddenLabels(Object.keys(labelsOf(object)));
  return labels.length === 0
    ? undefined
    : `node ${node} is not allowed to set the following labels: ${labels.join(', ')}`;
}

function refuseChange(node: string, old: JsonObject, object: JsonObject): string | undefined {
  const isSame = (path: string): boolean => equalJson(at(old, path), at(object, path));
  if (at(object, 'spec.configSource') !== undefined && !isSame('spec.configSource')) {
    return `node ${node} is not allowed to update configSource to a new non-nil configSource`;
  }
  if (!isSame('spec.taints')) return `node ${node} is not allowed to modify taints`;
  if (!isSame('metadata.ownerReferences')) return `node ${node} is not allowed to modify ownerReferences`;
  if (isSame('metadata.labels')) return undefined;
  const [before, after] = [labelsOf(old), labelsOf(object)];
  const changed = [...new Set([...Object.keys(before), ...Object.keys(after)])].filter(
    (label) => before[label] !== after[label],
  );
  const labels = forbiddenLabels(changed);
  return labels.length === 0 ? undefined : `is not allowed to modify labels: ${labels.join(', ')}`;
}

function labelsOf(object: JsonObject): Readonly<Record<string, string>> {
  return stringMapOf(at(object, 'metadata.labels'));
}
