import { labelValue } from '#api/validation/format.ts';
import { listOf, memberOf, objectsOf, stringMapOf, stringOf } from '#api/wire/json.ts';
import type { JsonObject } from '#api/meta/object.ts';

/** Labels of nodes that go by other names now (pkg/api/node/util.go). */
const deprecatedLabels: Readonly<Record<string, string>> = {
  'beta.kubernetes.io/arch': 'deprecated since v1.14; use "kubernetes.io/arch" instead',
  'beta.kubernetes.io/os': 'deprecated since v1.14; use "kubernetes.io/os" instead',
  'failure-domain.beta.kubernetes.io/region':
    'deprecated since v1.17; use "topology.kubernetes.io/region" instead',
  'failure-domain.beta.kubernetes.io/zone':
    'deprecated since v1.17; use "topology.kubernetes.io/zone" instead',
  'beta.kubernetes.io/instance-type':
    'deprecated since v1.17; use "node.kubernetes.io/instance-type" instead',
  'app.kubernetes.io/created-by': 'deprecated since v1.9',
  'scheduler.alpha.kubernetes.io/preferAvoidPods':
    'deprecated since v1.22; use Taints and Tolerations instead',
  'node-role.kubernetes.io/master': 'use "node-role.kubernetes.io/control-plane" instead',
};

export function labelDeprecation(key: string): string | undefined {
  return memberOf(deprecatedLabels, key);
}

/** Of the keys of a node selector's term. */
export function nodeTermWarnings(term: JsonObject, path: string): readonly string[] {
  return objectsOf(term['matchExpressions']).flatMap((expression, index) =>
    keyWarnings(expression, `${path}.matchExpressions[${index}]`),
  );
}

/** Of a term that nobody has to meet, and whose values may be none of labels. */
export function preferredTermWarnings(term: JsonObject, path: string): readonly string[] {
  return objectsOf(term['matchExpressions']).flatMap((expression, index) => {
    const where = `${path}.matchExpressions[${index}]`;
    return [
      ...keyWarnings(expression, where),
      ...listOf(expression['values']).flatMap((value, place) =>
        labelValue(stringOf(value)).map(
          (fault) => `${where}.values[${place}]: ${stringOf(value)} is invalid, ${fault}`,
        ),
      ),
    ];
  });
}

function keyWarnings({ key }: JsonObject, path: string): readonly string[] {
  const text = labelDeprecation(stringOf(key));
  return text === undefined ? [] : [`${path}.key: ${stringOf(key)} is ${text}`];
}

/** Of the node selector of a RuntimeClass. */
export function nodeSelectorWarnings(selector: unknown, path: string): readonly string[] {
  return Object.keys(stringMapOf(selector)).flatMap((key) => {
    const text = labelDeprecation(key);
    return text === undefined ? [] : [`${path}: ${text}`];
  });
}
