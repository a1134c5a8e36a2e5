import { at, objectOf, type Draft } from '#api/wire/json.ts';

/** The labels of the template of an object, for what is of them without a word; undefined: there are none. */
export function templateLabels(object: Draft): unknown {
  const labels = objectOf(at(object, 'spec.template.metadata.labels'));
  return Object.keys(labels).length === 0 ? undefined : { ...labels };
}
