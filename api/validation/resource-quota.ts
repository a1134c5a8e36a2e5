import { invalidField, invalidStruct, requiredField, type FieldError } from '#api/errors/field-error.ts';
import { goValue } from '#api/errors/go-value.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { at, listOf, memberOf, objectOf, objectsOf, stringOf } from '#api/wire/json.ts';
import { amountErrors, isQuotaResource, resourceNameErrors } from './resource-name.ts';

const scopePairs = [
  ['BestEffort', 'NotBestEffort'],
  ['Terminating', 'NotTerminating'],
];
const podAmounts = /^(pods|((requests|limits)\.)?(cpu|memory))$/;
/** What a scope lets a quota count; of other resources than these (extended ones) anything. */
const countedIn: Readonly<Record<string, RegExp>> = {
  BestEffort: /^pods$/,
  NotBestEffort: podAmounts,
  Terminating: podAmounts,
  NotTerminating: podAmounts,
  PriorityClass: podAmounts,
  CrossNamespacePodAffinity: podAmounts,
  VolumeAttributesClass: /^(persistentvolumeclaims|requests\.storage)$/,
};

/** Complaints about a ResourceQuota. */
export function validateResourceQuota(quota: JsonObject): readonly FieldError[] {
  return [
    ...hardErrors(at(quota, 'spec.hard'), 'spec.hard'),
    ...scopeErrors(quota),
    ...selectorErrors(quota),
  ];
}

/** Complaints about the status of a ResourceQuota. */
export function validateResourceQuotaStatus(quota: JsonObject): readonly FieldError[] {
  return ['status.hard', 'status.used'].flatMap((field) => hardErrors(at(quota, field), field));
}

/** What a quota is about stays: its usage was counted by it. */
export function validateResourceQuotaUpdate(old: JsonObject, quota: JsonObject): readonly FieldError[] {
  const field = 'spec.scopes';
  const [before, after] = [old, quota].map((object) => new Set(listOf(at(object, field))));
  if (before === undefined || after === undefined || before.symmetricDifference(after).size === 0) return [];
  return [invalidField(field, at(quota, field), 'field is immutable')];
}

function hardErrors(hard: unknown, path: string): readonly FieldError[] {
  return Object.entries(objectOf(hard)).flatMap(([name, value]) => {
    const field = `${path}[${name}]`;
    const isKnown = name.includes('/') || isQuotaResource(name);
    return [
      ...resourceNameErrors(field, name),
      ...(isKnown ? [] : [invalidField(field, name, 'must be a standard resource for quota')]),
      ...amountErrors(field, name, value),
    ];
  });
}

function scopeErrors(quota: JsonObject): readonly FieldError[] {
  const scopes = listOf(at(quota, 'spec.scopes')).map(stringOf);
  const complain = (detail: string): FieldError => invalidField('spec.scopes', scopes, detail);
  return [
    ...scopes.flatMap((scope) =>
      Object.hasOwn(countedIn, scope)
        ? uncounted(quota, scope).map(() => complain('unsupported scope applied to resource'))
        : [complain('unsupported scope')],
    ),
    ...conflicts(scopes).map(() => complain('conflicting scopes')),
  ];
}

/** What the quota limits although the scope does not let it be counted. */
function uncounted(quota: JsonObject, scope: string): readonly string[] {
  const names = Object.keys(objectOf(at(quota, 'spec.hard'))).filter(isQuotaResource);
  return names.filter((name) => memberOf(countedIn, scope)?.test(name) === false);
}

function conflicts(scopes: readonly string[]): readonly (readonly string[])[] {
  return scopePairs.filter((pair) => pair.every((scope) => scopes.includes(scope)));
}

const existing =
  "must be 'Exist' when scope is any of ResourceQuotaScopeTerminating, ResourceQuotaScopeNotTerminating, ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort or ResourceQuotaScopeCrossNamespacePodAffinity";

function selectorErrors(quota: JsonObject): readonly FieldError[] {
  const selector = at(quota, 'spec.scopeSelector');
  const field = 'spec.scopeSelector.matchExpressions';
  const requirements = objectsOf(at(selector, 'matchExpressions'));
  const scopes = requirements.map(({ scopeName }) => stringOf(scopeName));
  return [
    ...requirements.flatMap((requirement, index) => {
      const scope = scopes[index] ?? '';
      const { operator } = requirement;
      return [
        ...(Object.hasOwn(countedIn, scope)
          ? []
          : [invalidField(`${field}.scopeName`, scope, 'unsupported scope')]),
        ...uncounted(quota, scope).map(() =>
          invalidStruct(
            field,
            goValue('core.v1.ScopeSelector', selector),
            'unsupported scope applied to resource',
          ),
        ),
        ...(operator === 'Exists' || !isPlain(scope)
          ? []
          : [invalidField(`${field}.operator`, operator, existing)]),
        ...operatorErrors(requirement, field),
      ];
    }),
    ...conflicts(scopes).map(() =>
      invalidField(field, at(quota, 'spec.scopes') ?? null, 'conflicting scopes'),
    ),
  ];
}

/** A scope that is or is not: nothing in it has a name. */
function isPlain(scope: string): boolean {
  return Object.hasOwn(countedIn, scope) && scope !== 'PriorityClass' && scope !== 'VolumeAttributesClass';
}

function operatorErrors({ operator, values }: JsonObject, field: string): readonly FieldError[] {
  const count = listOf(values).length;
  if (operator === 'In' || operator === 'NotIn') {
    const detail = "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector";
    return count === 0 ? [requiredField(`${field}.values`, detail)] : [];
  }
  if (operator === 'Exists' || operator === 'DoesNotExist') {
    const detail = "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector";
    return count === 0 ? [] : [invalidField(`${field}.values`, values, detail)];
  }
  return [invalidField(`${field}.operator`, operator ?? '', 'not a valid selector operator')];
}
