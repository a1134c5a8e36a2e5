import {
  duplicateField,
  forbiddenField,
  invalidField,
  invalidStruct,
  notFoundField,
  notSupportedField,
  requiredField,
  type FieldError,
} from '#api/errors/field-error.ts';
import { at, isObject, objectOf, objectsOf, stringOf, typed } from '#api/wire/json.ts';
import type { JsonObject } from '#api/meta/object.ts';
import type { Container } from '#api/generated/objects.ts';
import { compareQuantity, formatQuantity, tryParseQuantity } from '#api/meta/quantity.ts';
import { goStruct } from '#api/errors/go-struct.ts';
import { runningAmounts } from '#api/pod/requests.ts';
import { dnsLabel, dnsSubdomain, formatErrors } from '#api/validation/format.ts';
import {
  amountErrors,
  containerResourceErrors,
  mayBeOvercommitted,
  resourceNameErrors,
} from '#api/validation/resource-name.ts';

type NameErrors = (field: string, name: string) => readonly FieldError[];

/** Names of the claims of a pod, in order; what containers name must be one of them. */
export type ClaimNames = ReadonlySet<string>;

/** Complaints about what a container asks for, and may have at most (ValidateContainerResourceRequirements). */
export function resourceErrors(
  resources: JsonObject,
  path: string,
  claims: ClaimNames,
  nameErrors: NameErrors = containerResourceErrors,
): readonly FieldError[] {
  const [limits, requests] = [objectOf(resources['limits']), objectOf(resources['requests'])];
  const names = [...Object.keys(limits), ...Object.keys(requests)];
  const isBare = names.some(isHugePages) && !names.includes('cpu') && !names.includes('memory');
  return [
    ...Object.keys(limits).flatMap((name) => oneErrors(limits, name, `${path}.limits`, nameErrors)),
    ...Object.entries(requests).flatMap(([name, value]) => [
      ...oneErrors(requests, name, `${path}.requests`, nameErrors),
      ...limitErrors(name, { request: value, limit: limits[name] }, path),
      ...hugePageErrors(name, value, `${path}.requests[${name}]`),
    ]),
    ...(isBare ? [forbiddenField(path, 'HugePages require cpu or memory')] : []),
    ...claimNameErrors(objectsOf(resources['claims']), claims, `${path}.claims`),
  ];
}

function isHugePages(name: string): boolean {
  return name.startsWith('hugepages-');
}

function oneErrors(
  amounts: JsonObject,
  name: string,
  path: string,
  nameErrors: NameErrors,
): readonly FieldError[] {
  const field = `${path}[${name}]`;
  const errors = [...nameErrors(field, name), ...amountErrors(field, name, amounts[name])];
  return path.endsWith('.limits') ? [...errors, ...hugePageErrors(name, amounts[name], field)] : errors;
}

/** Huge pages are given out whole (IsHugePageResourceValueDivisible). */
function hugePageErrors(name: string, value: unknown, field: string): readonly FieldError[] {
  const amount = isHugePages(name) ? tryParseQuantity(value) : undefined;
  if (amount === undefined) return [];
  const size = tryParseQuantity(name.slice('hugepages-'.length))?.nanos ?? 0n;
  const isWhole = size > 0n && size % 1_000_000_000n === 0n && amount.nanos % size === 0n;
  if (isWhole) return [];
  const text = formatQuantity(amount);
  return [invalidField(field, text, `${text} is not positive integer multiple of ${name}`)];
}

/** What is not given out twice: what is asked for is the limit. */
function limitErrors(
  name: string,
  { request, limit }: { readonly request: unknown; readonly limit: unknown },
  path: string,
): readonly FieldError[] {
  const isShared = mayBeOvercommitted(name);
  if (limit === undefined) {
    const detail = 'Limit must be set for non overcommitable resources';
    return isShared ? [] : [requiredField(`${path}.limits`, detail)];
  }
  const [asked, most] = [tryParseQuantity(request), tryParseQuantity(limit)];
  if (asked === undefined || most === undefined) return [];
  const order = compareQuantity(asked, most);
  if (order === 0 || (isShared && order < 0)) return [];
  const relation = isShared ? 'less than or equal to' : 'equal to';
  const detail = `must be ${relation} ${name} limit of ${formatQuantity(most)}`;
  return [invalidField(`${path}.requests`, formatQuantity(asked), detail)];
}

/** A claim is named as a whole once, or by its requests, each once (validateResourceClaimNames). */
function claimNameErrors(
  claims: readonly JsonObject[],
  known: ClaimNames,
  path: string,
): readonly FieldError[] {
  const seen = new Set<string>();
  return claims.flatMap((claim, index) => {
    const field = `${path}[${index}]`;
    const [name, request] = [stringOf(claim['name']), stringOf(claim['request'])];
    if (name === '') return [requiredField(field)];
    const errors: FieldError[] = [];
    const key = request === '' ? name : `${name}/${request}`;
    if (seen.has(name)) errors.push(duplicateField(field, name));
    else {
      if (request !== '') errors.push(...formatErrors(`${field}.request`, request, dnsLabel));
      const parts = request === '' ? [...seen].filter((other) => other.startsWith(`${name}/`)) : [];
      if (seen.has(key)) errors.push(duplicateField(field, key));
      errors.push(...parts.map(() => duplicateField(field, name)));
      seen.add(key);
    }
    if (!known.has(name)) errors.push(unknownClaim(field, name, known));
    return errors;
  });
}

function unknownClaim(field: string, value: string, known: ClaimNames): FieldError {
  const list = known.size === 0 ? ' which is empty' : `: ${[...known].toSorted().join(', ')}`;
  return notFoundField(field, value, `must be one of the names in pod.spec.resourceClaims${list}`);
}

/** The claims of a pod itself (validatePodResourceClaims). */
export function podClaimErrors(claims: readonly JsonObject[], path: string): readonly FieldError[] {
  const seen = new Set<string>();
  return claims.flatMap((claim, index) => {
    const field = `${path}[${index}]`;
    const name = stringOf(claim['name']);
    const isDuplicate = name !== '' && seen.has(name);
    seen.add(name);
    const given = ['resourceClaimName', 'resourceClaimTemplateName'].filter(
      (key) => claim[key] !== undefined,
    );
    return [
      ...(name === '' ? [requiredField(`${field}.name`)] : []),
      ...(isDuplicate ? [duplicateField(`${field}.name`, name)] : []),
      ...(name === '' || isDuplicate ? [] : formatErrors(`${field}.name`, name, dnsLabel)),
      ...(given.length === 1 ? [] : [claimSourceError(claim, field, given.length)]),
      ...given.flatMap((key) => formatErrors(`${field}.${key}`, stringOf(claim[key]), dnsSubdomain)),
    ];
  });
}

function claimSourceError(claim: JsonObject, field: string, count: number): FieldError {
  const detail =
    count === 0
      ? 'must specify one of: `resourceClaimName`, `resourceClaimTemplateName`'
      : 'at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified';
  return invalidStruct(field, goStruct('PodResourceClaim', claim), detail);
}

/** What a pod asks for as a whole, beside what its containers do (validatePodResources, KEP-2837). */
export function podResourceErrors(spec: JsonObject, path: string, claims: ClaimNames): readonly FieldError[] {
  const resources = spec['resources'];
  if (!isObject(resources)) return [];
  if (at(spec, 'os.name') === 'windows') return [forbiddenField(path, 'may not be set for a windows pod')];
  const { claims: own, ...amounts } = resources;
  return [
    ...(own === undefined
      ? []
      : [forbiddenField(`${path}.claims`, 'claims may not be set for Resources at pod-level')]),
    ...resourceErrors(own === undefined ? amounts : resources, path, claims, podResourceName),
    ...sumErrors(spec, resources, path),
    ...containerLimitErrors(spec, objectOf(resources['limits']), path),
  ];
}

function podResourceName(field: string, name: string): readonly FieldError[] {
  const errors = resourceNameErrors(field, name);
  if (errors.length > 0 || name === 'cpu' || name === 'memory' || isHugePages(name)) return errors;
  return [notSupportedField(field, name, ['cpu', 'memory'])];
}

/** Of requests, and of limits of huge pages, a pod has no less than its containers together. */
function sumErrors(spec: JsonObject, resources: JsonObject, path: string): readonly FieldError[] {
  return (['requests', 'limits'] as const).flatMap((list) => {
    const whole = objectOf(resources[list]);
    return [...runningAmounts(typed(spec), list)].flatMap(([name, sum]) => {
      const own = list === 'requests' || isHugePages(name) ? tryParseQuantity(whole[name]) : undefined;
      if (own === undefined || compareQuantity(sum, own) <= 0) return [];
      const detail = `must be greater than or equal to aggregate container ${list} of ${formatQuantity(sum)}`;
      return [invalidField(`${path}.${list}[${name}]`, formatQuantity(own), detail)];
    });
  });
}

/** No container has a higher limit than the pod; the path is upstream's. */
function containerLimitErrors(spec: JsonObject, limits: JsonObject, path: string): readonly FieldError[] {
  return objectsOf(spec['containers']).flatMap((container, index) =>
    Object.entries(typed<Container>(container).resources?.limits ?? {}).flatMap(([name, value]) => {
      const [own, most] = [tryParseQuantity(value), tryParseQuantity(limits[name])];
      if (own === undefined || most === undefined || compareQuantity(own, most) <= 0) return [];
      const detail = `must be less than or equal to pod limits of ${formatQuantity(most)}`;
      return [invalidField(`${path}.containers[${index}][${name}].limits`, formatQuantity(own), detail)];
    }),
  );
}
