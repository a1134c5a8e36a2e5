import { at, numberOf, objectOf, stringMapOf, stringOf, withPath } from '#api/wire/json.ts';
import {
  scaleOf as readScale,
  withScale as withReplicas,
  type ScalePaths,
} from '#api/structural/paths/scale.ts';
import type { Kind } from '#api/schema/kinds.ts';
import { rulesOf } from '#api/kinds/rules-of.ts';
import type { JsonObject } from '#api/meta/object.ts';
import type { LabelSelector, Scale } from '#api/generated/objects.ts';
import { formatLabelSelector, labelSelectorFromMap, labelSelectorFromObject } from '#api/meta/selector.ts';

/** The Scale of a deployment, replicaset, statefulset or replicationcontroller, or of a custom object whose definition says where it is. */
export function scaleOf(kind: Pick<Kind, 'group' | 'kind' | 'custom'>, object: JsonObject): Scale {
  const paths = kind.custom?.scale;
  return paths === undefined ? workloadScale(kind, object) : customScale(paths, object);
}

function customScale(paths: ScalePaths, object: JsonObject): Scale {
  const { replicas, statusReplicas, selector = '' } = readScale(paths, object);
  return {
    ...scaleHead(object),
    spec: replicasOf(replicas),
    status: { replicas: statusReplicas, ...(selector === '' ? {} : { selector }) },
  };
}

function scaleHead(object: JsonObject): Pick<Scale, 'kind' | 'apiVersion' | 'metadata'> {
  const { name, namespace, uid, resourceVersion, creationTimestamp } = objectOf(object['metadata']);
  return {
    kind: 'Scale',
    apiVersion: 'autoscaling/v1',
    metadata: {
      name: stringOf(name),
      ...(namespace === undefined ? {} : { namespace: stringOf(namespace) }),
      uid: stringOf(uid),
      resourceVersion: stringOf(resourceVersion),
      creationTimestamp: stringOf(creationTimestamp),
    },
  };
}

function workloadScale(kind: Pick<Kind, 'group' | 'kind'>, object: JsonObject): Scale {
  const selector = at(object, 'spec.selector');
  const matcher =
    rulesOf(kind).hasPlainSelector === true
      ? labelSelectorFromMap(stringMapOf(selector))
      : labelSelectorFromObject(selector as LabelSelector | undefined); // decoded, hence of this shape
  const text = formatLabelSelector(matcher);
  return {
    ...scaleHead(object),
    spec: replicasOf(at(object, 'spec.replicas')),
    status: { replicas: numberOf(at(object, 'status.replicas')), ...(text === '' ? {} : { selector: text }) },
  };
}

/** The object with the replicas of a Scale; absent means 0, as in Go. */
export function withScale(
  kind: Pick<Kind, 'kind' | 'custom'>,
  object: JsonObject,
  scale: JsonObject,
): JsonObject {
  const paths = kind.custom?.scale;
  if (paths !== undefined) return withReplicas(paths, object, numberOf(at(scale, 'spec.replicas')));
  return withPath(object, 'spec.replicas', numberOf(at(scale, 'spec.replicas')));
}

/** Zero replicas are left out, as omitempty does. */
function replicasOf(replicas: unknown): { readonly replicas?: number } {
  return numberOf(replicas) === 0 ? {} : { replicas: numberOf(replicas) };
}
