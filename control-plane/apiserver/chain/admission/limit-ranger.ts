import { at, nameOrPrefix, objectOf, objectsOf, stringOf, withPath } from '#api/wire/json.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { compareQuantity, formatQuantity, parseQuantity } from '#api/meta/quantity.ts';
import { forbidden } from '#api/errors/status.ts';
import { builtIn } from '#control-plane/apiserver/built-in.ts';
import { podUsage } from '#api/quota/pod-usage.ts';
import type { AdmissionContext, AdmissionPlugin } from './admission.ts';
import { makesPod, resizesPod } from './pod.ts';

const limitRanges = builtIn('', 'v1', 'limitranges');

/** Containers have what LimitRanges of their namespace give them, and keep within their bounds. Defaults are for new pods. */
export const limitRanger: AdmissionPlugin = {
  name: 'LimitRanger',
  handles: (attributes) => (makesPod(attributes) || resizesPod(attributes) ? 'mayWait' : 'no'),
  admit: async (context, { attributes, object: pod = {} }) => {
    if (attributes.operation !== 'create') return pod;
    const limits = await limitsOf(context, attributes.namespace);
    const ofContainers = limits.filter(({ type }) => type === 'Container');
    return ofContainers.length === 0 ? pod : withLimitDefaults(pod, ofContainers);
  },
  validate: async (context, { attributes, object: pod = {} }) => {
    const limits = await limitsOf(context, attributes.namespace);
    const complaints = limits.flatMap((limit) => complaintsOf(pod, limit));
    if (complaints.length === 0) return;
    const cause = complaints.length === 1 ? (complaints[0] ?? '') : `[${complaints.join(', ')}]`;
    throw forbidden({ group: '', resource: 'pods' }, nameOrPrefix(pod), cause);
  },
};

async function limitsOf(context: AdmissionContext, namespace: string): Promise<readonly JsonObject[]> {
  const ranges = await context.registry.readAll(limitRanges, namespace);
  return ranges.flatMap((range) => objectsOf(at(range, 'spec.limits')));
}

/** Pure part: an absent limit or request of each container becomes the range's. */
export function withLimitDefaults(pod: JsonObject, limits: readonly JsonObject[]): JsonObject {
  const merged = (field: string): JsonObject =>
    Object.assign({}, ...limits.map((limit) => objectOf(limit[field])));
  const [defaults, defaultRequests] = [merged('default'), merged('defaultRequest')];
  const fill = (container: JsonObject): JsonObject => {
    const resources = objectOf(container['resources']);
    const filled = {
      ...resources,
      limits: { ...defaults, ...objectOf(resources['limits']) },
      requests: { ...defaultRequests, ...objectOf(resources['requests']) },
    };
    const kept = Object.fromEntries(
      Object.entries(filled).filter(([, value]) => Object.keys(objectOf(value)).length > 0),
    );
    return { ...container, resources: kept };
  };
  return ['containers', 'initContainers'].reduce((next, list) => {
    const containers = objectsOf(at(next, ['spec', list]));
    return containers.length === 0 ? next : withPath(next, ['spec', list], containers.map(fill));
  }, pod);
}

/** What is wrong with the pod by one limit, of its containers one by one or of the pod as a whole. */
function complaintsOf(pod: JsonObject, limit: JsonObject): readonly string[] {
  const type = stringOf(limit['type']);
  const subjects =
    type === 'Container'
      ? [...objectsOf(at(pod, 'spec.containers')), ...objectsOf(at(pod, 'spec.initContainers'))].map(
          (container) => ({
            spec: { containers: [container] },
          }),
        )
      : type === 'Pod'
        ? [pod]
        : [];
  const bounds = [
    {
      word: 'minimum',
      bounded: objectOf(limit['min']),
      field: 'requests',
      one: 'request',
      isWrong: (order: number) => order < 0,
    },
    {
      word: 'maximum',
      bounded: objectOf(limit['max']),
      field: 'limits',
      one: 'limit',
      isWrong: (order: number) => order > 0,
    },
  ] as const;
  return subjects.flatMap((subject) =>
    bounds.flatMap(({ word, bounded, field, one, isWrong }) =>
      Object.entries(bounded).flatMap(([resource, bound]) => {
        const claim = `${word} ${resource} usage per ${type} is ${stringOf(bound)}`;
        const { total, missing } = podUsage(subject, field, resource);
        if (missing.length > 0) return [`${claim}.  No ${one} is specified`];
        if (!isWrong(compareQuantity(total, parseQuantity(stringOf(bound))))) return [];
        return [`${claim}, but ${one} is ${formatQuantity(total)}`];
      }),
    ),
  );
}
