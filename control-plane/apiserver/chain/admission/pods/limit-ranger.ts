import type { Pod } from '#api/generated/objects.ts';
import {
  at,
  nameOrPrefix,
  objectOf,
  objectsOf,
  stringMapOf,
  stringOf,
  typed,
  withPath,
} from '#api/wire/json.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { compareQuantity, formatQuantity, parseQuantity, quantityToNumber } from '#api/meta/quantity.ts';
import { parseResources, runningAmounts, type Resources } from '#api/pod/requests.ts';
import { forbidden } from '#api/errors/status.ts';
import { isSameKind } from '#api/kinds/rules-of.ts';
import { builtIn } from '#control-plane/apiserver/built-in.ts';
import type {
  AdmissionContext,
  AdmissionPlugin,
  AdmissionRequest,
} from '#control-plane/apiserver/chain/admission/admission.ts';
import { writes } from '#control-plane/apiserver/chain/admission/made.ts';
import { makesPod, pods, resizesPod } from './pod.ts';

const limitRanges = builtIn('', 'v1', 'limitranges');
const claims = builtIn('', 'v1', 'persistentvolumeclaims');

/**
 * Containers have what LimitRanges of their namespace give them; containers, pods and claims keep within their bounds
 * (plugin/pkg/admission/limitranger). Each range is asked by itself, in order of names: what the first gives stays, and what the first
 * refuses is told. What is on its way out is left alone.
 */
export const limitRanger: AdmissionPlugin = {
  name: 'LimitRanger',
  handles: (attributes) =>
    makesPod(attributes) || resizesPod(attributes) || writes(claims, attributes) ? 'mayWait' : 'no',
  admit: async (context, { attributes, object = {}, old }) => {
    if (writes(claims, attributes) || isLeaving(old)) return object;
    const ranges = await rangesOf(context, attributes.namespace);
    return ranges
      .map((limits) => limits.filter(({ type }) => type === 'Container'))
      .filter((limits) => limits.length > 0)
      .reduce(withLimitDefaults, object);
  },
  validate: async (context, request) => {
    const { attributes, object = {} } = request;
    if (isLeaving(request.old)) return;
    for (const limits of await rangesOf(context, attributes.namespace)) {
      const complaints = limits.flatMap((limit) => complaintsOf(request, limit));
      if (complaints.length === 0) continue;
      const cause = complaints.length === 1 ? complaints.join('') : `[${complaints.join(', ')}]`;
      throw forbidden(isSameKind(attributes.kind, claims) ? claims : pods, nameOrPrefix(object), cause);
    }
  },
};

function isLeaving(old: JsonObject | undefined): boolean {
  return at(old, 'metadata.deletionTimestamp') !== undefined;
}

/** The limits of each range of the namespace. */
async function rangesOf(
  context: AdmissionContext,
  namespace: string,
): Promise<readonly (readonly JsonObject[])[]> {
  const ranges = await context.registry.readAll(limitRanges, namespace);
  return ranges.map((range) => objectsOf(at(range, 'spec.limits')));
}

const containerLists = [
  { list: 'containers', word: 'container' },
  { list: 'initContainers', word: 'init container' },
];

/** Pure part: an absent limit or request of each container becomes the range's, and an annotation says which of them did. */
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

/** What one limit looks at: what is asked for of each resource, and what it is limited to. */
interface Subject {
  readonly request: Resources;
  readonly limit: Resources;
}

/** What is wrong by one limit, of containers one by one, of the pod as a whole or of the claim. */
function complaintsOf(
  { attributes, object = {}, old }: AdmissionRequest,
  limit: JsonObject,
): readonly string[] {
  const type = stringOf(limit['type']);
  if (isSameKind(attributes.kind, claims))
    return type === 'PersistentVolumeClaim' ? claimComplaints(object, old, limit) : [];
  return subjectsOf(type, object).flatMap((subject) => [
    ...boundComplaints(limit, minimum, subject),
    ...boundComplaints(limit, maximum, subject),
    ...ratioComplaints(limit, subject),
  ]);
}

function subjectsOf(type: string, pod: JsonObject): readonly Subject[] {
  const { spec } = typed<Pod>(pod);
  if (type === 'Pod') {
    const whole = (field: 'requests' | 'limits'): Resources =>
      new Map([...runningAmounts(spec ?? {}, field), ...parseResources(spec?.resources?.[field])]);
    return [{ request: whole('requests'), limit: whole('limits') }];
  }
  if (type !== 'Container') return [];
  return [...(spec?.containers ?? []), ...(spec?.initContainers ?? [])].map(({ resources }) => ({
    request: parseResources(resources?.requests),
    limit: parseResources(resources?.limits),
  }));
}

interface Bound {
  readonly word: string;
  /** Of the limit. */
  readonly field: 'min' | 'max';
  /** What is held against it: the first has to be said. */
  readonly looksAt: readonly (keyof Subject)[];
  /** By how the amount compares with the bound. */
  readonly isWrong: (order: number) => boolean;
}

const minimum: Bound = {
  ...{ word: 'minimum', field: 'min', looksAt: ['request', 'limit'] },
  isWrong: (order) => order < 0,
};
const maximum: Bound = {
  ...{ word: 'maximum', field: 'max', looksAt: ['limit', 'request'] },
  isWrong: (order) => order > 0,
};
/** What a claim is limited to is nobody's business. */
const maximumOfRequest: Bound = { ...maximum, looksAt: ['request'] };

/** One complaint for each resource: that nothing is said, or the first that is out of the bound. */
function boundComplaints(
  limit: JsonObject,
  { word, field, looksAt, isWrong }: Bound,
  subject: Subject,
): readonly string[] {
  return Object.entries(objectOf(limit[field])).flatMap(([resource, bound]) => {
    const claim = `${word} ${resource} usage per ${stringOf(limit['type'])} is ${stringOf(bound)}`;
    const [first = 'request'] = looksAt;
    if (!subject[first].has(resource)) return [`${claim}.  No ${first} is specified`];
    const wrong = looksAt.flatMap((what) => {
      const amount = subject[what].get(resource);
      return amount === undefined || !isWrong(compareQuantity(amount, parseQuantity(stringOf(bound))))
        ? []
        : [`${claim}, but ${what} is ${formatQuantity(amount)}`];
    });
    return wrong.slice(0, 1);
  });
}

function ratioComplaints(limit: JsonObject, subject: Subject): readonly string[] {
  return Object.entries(objectOf(limit['maxLimitRequestRatio'])).flatMap(([resource, bound]) => {
    const claim = `${resource} max limit to request ratio per ${stringOf(limit['type'])} is ${stringOf(bound)}`;
    const request = subject.request.get(resource)?.nanos ?? 0n;
    if (request === 0n) return [`${claim}, but no request is specified or request is 0`];
    const most = subject.limit.get(resource)?.nanos ?? 0n;
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
  const requestOf = (one: JsonObject | undefined): Resources =>
    parseResources(stringMapOf(at(one, 'spec.resources.requests')));
  const [before, request] = [requestOf(old), requestOf(claim)];
  const isSame = (resource: string): boolean => {
    const [was, is] = [before.get(resource), request.get(resource)];
    return was !== undefined && is !== undefined && compareQuantity(was, is) === 0;
  };
  const changed = (field: string): JsonObject =>
    Object.fromEntries(Object.entries(objectOf(limit[field])).filter(([resource]) => !isSame(resource)));
  const rest = { ...limit, min: changed('min'), max: changed('max') };
  const subject = { request, limit: new Map() };
  return [...boundComplaints(rest, minimum, subject), ...boundComplaints(rest, maximumOfRequest, subject)];
}
