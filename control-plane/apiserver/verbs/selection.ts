import { ownFieldsOf, type FieldRequirement } from '#api/meta/field-selector.ts';
import { matchesLabels } from '#api/meta/selector.ts';
import type { Kind } from '#api/schema/kinds.ts';
import type { Registry } from '#control-plane/apiserver/objects/registry.ts';
import { labelsOf } from '#control-plane/apiserver/objects/selectable.ts';
import { nameInKey, namespaceInKey } from '#control-plane/apiserver/objects/storage-key.ts';
import { fieldInterest, labelInterest, nameInterest } from '#control-plane/apiserver/objects/topics.ts';
import type { StoredValue, WatchInterest } from '#control-plane/store/store.ts';
import type { ListOptions } from './list-options.ts';

/** The selectors of a list or watch, asked of what is kept beside stored bytes: no object is parsed for them. */
export interface Selection {
  /** The same for selectors that are asked for in the same words. */
  readonly id: string;
  readonly selects: (value: StoredValue) => boolean;
  /** By which a watch is found among those of its prefix: one of the things that must be so; undefined: there is none to find it by. */
  readonly interest: WatchInterest | undefined;
}

/** @returns undefined where everything is asked for */
export function selectionOf(registry: Registry, kind: Kind, options: ListOptions): Selection | undefined {
  if (!options.hasSelector) return undefined;
  const own = ownFieldsOf(kind);
  const conditions = options.fields.map((requirement) => conditionOf(registry, kind, own, requirement));
  if (options.labels.requirements.length > 0)
    conditions.push(({ value }) => matchesLabels(options.labels, labelsOf(value)));
  return {
    id: JSON.stringify([options.fields, options.labels.requirements]),
    selects: (value) => conditions.every((holds) => holds(value)),
    interest: interestOf(registry, kind, own, options),
  };
}

function conditionOf(
  registry: Registry,
  kind: Kind,
  own: readonly string[],
  { field, equal, value }: FieldRequirement,
): Selection['selects'] {
  switch (field) {
    case 'metadata.name':
      return ({ key }) => (nameInKey(key) === value) === equal;
    case 'metadata.namespace':
      return ({ key }) => ((kind.namespaced ? namespaceInKey(key) : '') === value) === equal;
    default: {
      const place = own.indexOf(field);
      return (stored) => (registry.fieldsOf(kind, stored)[place] === value) === equal;
    }
  }
}

/** A name is had by the fewest, then what a field has; most objects of a namespace may have the same label. */
function interestOf(
  registry: Registry,
  kind: Kind,
  own: readonly string[],
  { name, fields, labels }: ListOptions,
): WatchInterest | undefined {
  if (name !== '') return nameInterest(name);
  // What a webhook converts is not known when it is asked whose event it is.
  const isKnown = kind.custom?.conversion.kind !== 'webhook';
  const field = fields.find(({ field, equal }) => equal && own.includes(field));
  if (field !== undefined && isKnown)
    return fieldInterest(registry, kind, own.indexOf(field.field), field.value);
  for (const { key, operator, values } of labels.requirements) {
    const [value] = values;
    if (operator === 'In' && values.length === 1 && value !== undefined) return labelInterest(key, value);
  }
  return undefined;
}
