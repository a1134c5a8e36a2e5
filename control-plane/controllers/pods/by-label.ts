import type { KubeObject } from '#api/meta/object.ts';
import type { LabelMatcher } from '#api/meta/selector.ts';

/** Index of objects by each of their labels, and all of a namespace: who selects looks at those alone that have a label of its selector. */
export const byLabel = ({ metadata: { namespace, labels = {} } = {} }: KubeObject): readonly string[] => [
  labelIn(namespace),
  ...Object.entries(labels).map((label) => labelIn(namespace, label)),
];

/** Where the index has all that the selector may select. */
export function selectedIn(namespace: string | undefined, { requirements }: LabelMatcher): string {
  for (const { key, operator, values } of requirements) {
    const [value] = values;
    if (operator === 'In' && values.length === 1 && value !== undefined)
      return labelIn(namespace, [key, value]);
  }
  return labelIn(namespace);
}

function labelIn(namespace = '', [key, value] = ['', '']): string {
  return `${namespace}/${key}=${value}`;
}
