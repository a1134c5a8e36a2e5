import { at, numberOf, objectOf, stringMapOf, stringOf, withPath } from '#api/wire/json.ts';
import type { Kind } from '#api/schema/kinds.ts';
import { rulesOf } from '#api/kinds/rules-of.ts';
import type { JsonObject } from '#api/meta/object.ts';
import type { LabelSelector, Scale } from '#api/generated/objects.ts';
import { formatLabelSelector, labelSelectorFromMap, labelSelectorFromObject } from '#api/meta/selector.ts';

/** The Scale of a deployment, replicaset, statefulset or replicationcontroller. */
export function scaleOf(kind: Pick<Kind, 'group' | 'kind'>, object: JsonObject): Scale {
  const { name, namespace, uid, resourceVersion, creationTimestamp } = objectOf(object['metadata']);
  const selector = at(object, 'spec.selector');
  const matcher =
    rulesOf(kind).hasPlainSelector === true
      ? labelSelectorFromMap(stringMapOf(selector))
      : labelSelectorFromObject(selector as LabelSelector | undefined); // decoded, hence of this shape
  const text = formatLabelSelector(matcher);
  return {
    kind: 'Scale',
    apiVersion: 'autoscaling/v1',
    metadata: {
      name: stringOf(name),
      namespace: stringOf(namespace),
      uid: stringOf(uid),
      resourceVersion: stringOf(resourceVersion),
      creationTimestamp: stringOf(creationTimestamp),
    },
    spec: replicasOf(at(object, 'spec.replicas')),
    status: { replicas: numberOf(at(object, 'status.replicas')), ...(text === '' ? {} : { selector: text }) },
  };
}

/** The object with the replicas of a Scale; absent means 0, as in Go. */
export function withScale(_kind: Pick<Kind, 'kind'>, object: JsonObject, scale: JsonObject): JsonObject {
  return withPath(object, 'spec.replicas', numberOf(at(scale, 'spec.replicas')));
}

/** Zero replicas are left out, as omitempty does. */
function replicasOf(replicas: unknown): { readonly replicas?: number } {
  return numberOf(replicas) === 0 ? {} : { replicas: numberOf(replicas) };
}
