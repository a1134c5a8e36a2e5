import { at, nameOrPrefix, objectOf, objectsOf, stringOf, withPath } from '#api/wire/json.ts';
import type { JsonObject } from '#api/meta/object.ts';
import {
  compareQuantity,
  formatQuantity,
  parseQuantity,
  quantityToNumber,
  type Quantity,
} from '#api/meta/quantity.ts';
import { forbidden } from '#api/errors/status.ts';
import { kindKey } from '#api/kinds/rules-of.ts';
import { builtIn } from '#control-plane/apiserver/built-in.ts';
import { podUsage } from '#api/quota/pod-usage.ts';
import type {
  AdmissionAttributes,
  AdmissionContext,
  AdmissionPlugin,
  AdmissionRequest,
} from './admission.ts';
import { makesPod, resizesPod } from './pod.ts';

const limitRanges = builtIn('', 'v1', 'limitranges');
const pods = builtIn('', 'v1', 'pods');
const claims = builtIn('', 'v1', 'persistentvolumeclaims');

/**
 * Containers have what LimitRanges of their namespace give them; containers, pods and claims keep within their bounds. Defaults are
 * for new pods.
 */
export const limitRanger: AdmissionPlugin = {
  name: 'LimitRanger',
  handles: (attributes) =>
    makesPod(attributes) || resizesPod(attributes) || writesClaim(attributes) ? 'mayWait' : 'no',
  admit: async (context, { attributes, object = {} }) => {
    if (!makesPod(attributes)) return object;
    const limits = await limitsOf(context, attributes.namespace);
    const ofContainers = limits.filter(({ type }) => type === 'Container');
    return ofContainers.length === 0 ? object : withLimitDefaults(object, ofContainers);
  },
  validate: async (context, request) => {
    const { attributes, object = {} } = request;
    const limits = await limitsOf(context, attributes.namespace);
    const complaints = limits.flatMap((limit) => complaintsOf(request, limit));
    if (complaints.length === 0) return;
    const cause = complaints.length === 1 ? (complaints[0] ?? '') : `[${complaints.join(', ')}]`;
    const { resource } = kindKey(attributes.kind) === kindKey(claims) ? claims : pods;
    throw forbidden({ group: '', resource }, nameOrPrefix(object), cause);
  },
};

function writesClaim({ operation, kind, subresource }: AdmissionAttributes): boolean {
  const isWrite = operation === 'create' || operation === 'update';
  return isWrite && subresource === '' && kindKey(kind) === kindKey(claims);
}

async function limitsOf(context: AdmissionContext, namespace: string): Promise<readonly JsonObject[]> {
  const ranges = await context.registry.readAll(limitRanges, namespace);
  return ranges.flatMap((range) => objectsOf(at(range, 'spec.limits')));
}

const containerLists = [
  { list: 'containers', word: 'container' },
  { list: 'initContainers', word: 'init container' },
];

/** Pure part: an absent limit or request of each container becomes the range's, and an annotation says which did. */
export function withLimitDefaults(pod: JsonObject, limits: readonly JsonObject[]): JsonObject {
  const merged = (field: string): JsonObject =>
    Object.assign({}, ...limits.map((limit) => objectOf(limit[field])));
  const given = { requests: merged('defaultRequest'), limits: merged('default') };
  const notes: string[] = [];
  const filled = containerLists.reduce((next, { list, word }) => {
    const containers = objectsOf(at(next, ['spec', list]));
    if (containers.length === 0) return next;
    const fill = (container: JsonObject): JsonObject => {
      const resources = objectOf(container['resources']);
      const both = (['requests', 'limits'] as const).map((field) => {
        const own = objectOf(resources[field]);
        const added = Object.keys(given[field]).filter((name) => !Object.hasOwn(own, name));
        const singular = field.slice(0, -1);
        if (added.length > 0)
          notes.push(`${added.toSorted().join(', ')} ${singular} for ${word} ${stringOf(container['name'])}`);
        return [field, { ...given[field], ...own }] as const;
      });
      const kept = both.filter(([, amounts]) => Object.keys(amounts).length > 0);
      const { requests: _requests, limits: _limits, ...others } = resources;
      return { ...container, resources: { ...others, ...Object.fromEntries(kept) } };
    };
    return withPath(next, ['spec', list], containers.map(fill));
  }, pod);
  if (notes.length === 0) return filled;
  const path = ['metadata', 'annotations', 'kubernetes.io/limit-ranger'];
  return withPath(filled, path, `LimitRanger plugin set: ${notes.join('; ')}`);
}

/** What one limit looks at: what is asked for of a resource, and what it is limited to; undefined where that is not said. */
interface Subject {
  readonly request: (resource: string) => Quantity | undefined;
  readonly limit: (resource: string) => Quantity | undefined;
}

/** What is wrong by one limit, of containers one by one, of the pod as a whole or of the claim. */
function complaintsOf(
  { attributes, object = {}, old }: AdmissionRequest,
  limit: JsonObject,
): readonly string[] {
  const type = stringOf(limit['type']);
  if (kindKey(attributes.kind) === kindKey(claims)) {
    return type === 'PersistentVolumeClaim' ? claimComplaints(object, old, limit) : [];
  }
  const spec = objectOf(object['spec']);
  const subjects =
    type === 'Container'
      ? [...objectsOf(spec['containers']), ...objectsOf(spec['initContainers'])].map((container) =>
          subjectOf({ spec: { containers: [container] } }),
        )
      : type === 'Pod'
        ? [subjectOf(object)]
        : [];
  return subjects.flatMap((subject) => [
    ...boundComplaints(limit, 'minimum', subject.request),
    ...boundComplaints(limit, 'maximum', subject.limit),
    ...ratioComplaints(limit, subject),
  ]);
}

function subjectOf(pod: JsonObject): Subject {
  const spec = objectOf(pod['spec']);
  const containers = [...objectsOf(spec['containers']), ...objectsOf(spec['initContainers'])];
  const usage = (field: 'requests' | 'limits') => (resource: string) => {
    const { total, missing } = podUsage(pod, field, resource);
    return missing.length === containers.length ? undefined : total;
  };
  return { request: usage('requests'), limit: usage('limits') };
}

const bounds = {
  minimum: { field: 'min', one: 'request', isWrong: (order: number) => order < 0 },
  maximum: { field: 'max', one: 'limit', isWrong: (order: number) => order > 0 },
} as const;

function boundComplaints(
  limit: JsonObject,
  word: keyof typeof bounds,
  amountOf: (resource: string) => Quantity | undefined,
  called: string = bounds[word].one,
): readonly string[] {
  const { field, isWrong } = bounds[word];
  return Object.entries(objectOf(limit[field])).flatMap(([resource, bound]) => {
    const claim = `${word} ${resource} usage per ${stringOf(limit['type'])} is ${stringOf(bound)}`;
    const amount = amountOf(resource);
    if (amount === undefined) return [`${claim}.  No ${called} is specified`];
    if (!isWrong(compareQuantity(amount, parseQuantity(stringOf(bound))))) return [];
    return [`${claim}, but ${called} is ${formatQuantity(amount)}`];
  });
}

function ratioComplaints(limit: JsonObject, subject: Subject): readonly string[] {
  return Object.entries(objectOf(limit['maxLimitRequestRatio'])).flatMap(([resource, bound]) => {
    const claim = `${resource} max limit to request ratio per ${stringOf(limit['type'])} is ${stringOf(bound)}`;
    const request = subject.request(resource)?.nanos ?? 0n;
    if (request === 0n) return [`${claim}, but no request is specified or request is 0`];
    const most = subject.limit(resource)?.nanos ?? 0n;
    if (most === 0n) return [`${claim}, but no limit is specified or limit is 0`];
    const ratio = Number(most) / Number(request);
    return ratio > quantityToNumber(parseQuantity(stringOf(bound)))
      ? [`${claim}, but provided ratio is ${ratio.toFixed(6)}`]
      : [];
  });
}

/** A claim that was there already may go on asking for what it asked for. */
function claimComplaints(
  claim: JsonObject,
  old: JsonObject | undefined,
  limit: JsonObject,
): readonly string[] {
  const asked = (object: JsonObject | undefined, resource: string): Quantity | undefined => {
    const amount = stringOf(at(object, ['spec', 'resources', 'requests', resource]));
    return amount === '' ? undefined : parseQuantity(amount);
  };
  const isSame = (resource: string): boolean => {
    const [before, after] = [asked(old, resource), asked(claim, resource)];
    return before !== undefined && after !== undefined && compareQuantity(before, after) === 0;
  };
  const changed = (field: string): JsonObject =>
    Object.fromEntries(Object.entries(objectOf(limit[field])).filter(([resource]) => !isSame(resource)));
  const rest = { ...limit, min: changed('min'), max: changed('max') };
  return [
    ...boundComplaints(rest, 'minimum', (resource) => asked(claim, resource)),
    ...boundComplaints(rest, 'maximum', (resource) => asked(claim, resource), 'request'),
  ];
}
