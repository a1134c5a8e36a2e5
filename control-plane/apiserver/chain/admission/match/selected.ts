import { at, isObject, stringMapOf } from '#api/wire/json.ts';
import { notFound } from '#api/errors/status.ts';
import { isSameKind } from '#api/kinds/rules-of.ts';
import { matchesLabels, type LabelMatcher } from '#api/meta/selector.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { builtIn } from '#control-plane/apiserver/built-in.ts';
import type {
  AdmissionAttributes,
  AdmissionContext,
  AdmissionRequest,
} from '#control-plane/apiserver/chain/admission/admission.ts';
import type { MatchConstraints } from './match-constraints.ts';

type Labels = Readonly<Record<string, string>>;

const namespaces = builtIn('', 'v1', 'namespaces');

/** Whether the selector of objects selects what the object is to be, or what it was. What has no labels to show is not selected. */
export function selectsObjects(
  { objectSelector }: MatchConstraints,
  { object, old }: Pick<AdmissionRequest, 'object' | 'old'>,
): boolean {
  if (selectsAll(objectSelector)) return true;
  return [object, old].some(
    (each) =>
      each !== undefined &&
      isObject(each['metadata']) &&
      matchesLabels(objectSelector, stringMapOf(each['metadata']['labels'])),
  );
}

/**
 * Whether the selector of namespaces selects the one that the request is in. A Namespace is in itself; what is in none is always selected.
 * undefined: that is not known ahead, of a Namespace that is made or changed, or of one that nobody knows.
 */
export function selectsNamespace(
  { namespaceSelector }: Pick<MatchConstraints, 'namespaceSelector'>,
  attributes: AdmissionAttributes,
  known: AdmissionContext['namespaces'],
): boolean | undefined {
  if (selectsAll(namespaceSelector)) return true;
  const name = namespaceOf(attributes);
  if (name === '' && !isNamespace(attributes)) return true;
  if (showsNamespace(attributes)) return undefined;
  const labels = known.labelsOf(name);
  return labels === undefined ? undefined : matchesLabels(namespaceSelector, labels);
}

/** As `selectsNamespace`, of what that left open. @throws {E_API} 404 where the namespace is not there */
export async function findsNamespaceSelected(
  constraints: Pick<MatchConstraints, 'namespaceSelector'>,
  { attributes, object }: AdmissionRequest,
  { namespaces: known, registry }: Pick<AdmissionContext, 'namespaces' | 'registry'>,
): Promise<boolean> {
  const answer = selectsNamespace(constraints, attributes, known);
  if (answer !== undefined) return answer;
  const { namespaceSelector } = constraints;
  if (showsNamespace(attributes)) return matchesLabels(namespaceSelector, labelsOf(object));
  const name = namespaceOf(attributes);
  const entry = await registry.read(namespaces, '', name);
  if (entry === undefined) throw notFound(namespaces, name);
  return matchesLabels(namespaceSelector, labelsOf(entry.object));
}

/** The namespace that a request is in, as admission knows it: of a Namespace its own name. */
export function namespaceOf(attributes: Pick<AdmissionAttributes, 'kind' | 'namespace' | 'name'>): string {
  return isNamespace(attributes) ? attributes.name : attributes.namespace;
}

/** Whether the namespace is what the request shows, not what is stored: its labels are those that it is to have. */
function showsNamespace(attributes: AdmissionAttributes): boolean {
  const { operation, subresource } = attributes;
  return isNamespace(attributes) && subresource === '' && (operation === 'create' || operation === 'update');
}

function isNamespace({ kind }: Pick<AdmissionAttributes, 'kind'>): boolean {
  return isSameKind(kind, namespaces);
}

function labelsOf(object: JsonObject | undefined): Labels {
  return stringMapOf(at(object, 'metadata.labels'));
}

function selectsAll({ requirements, nothing }: LabelMatcher): boolean {
  return requirements.length === 0 && nothing !== true;
}
