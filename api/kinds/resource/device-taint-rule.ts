import { tooManyField, type FieldError } from '#api/errors/field-error.ts';
import { acted } from '#api/kinds/effect.ts';
import type { KindRules } from '#api/kinds/rules.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { formatTime } from '#api/meta/time.ts';
import { conditionErrors } from '#api/validation/parts/conditions.ts';
import { at, equalJson, isObject, objectOf, objectsOf, stringOf, withPath } from '#api/wire/json.ts';
import { deviceTaintErrors } from './device-claim-validation.ts';
import { driverNameErrors, labelNameErrors, poolNameErrors } from './device-names.ts';

const conditionCountMax = 8;

/** Rules of DeviceTaintRules (resource.k8s.io/v1beta2 of Kubernetes 1.36, KEP-5055). */
export const deviceTaintRuleRules: KindRules = {
  effect: acted('control-plane/controllers/device-taint-eviction/reconcile.ts'),
  prepareCreate: (rule, { now }) => dated(rule, now),
  dateUpdate: datedAnew,
  reset: { '': { fields: ['status'] }, status: { fields: ['metadata', 'spec'] } },
  validate: (rule) => [
    ...selectorErrors(at(rule, 'spec.deviceSelector')),
    ...deviceTaintErrors(objectOf(at(rule, 'spec.taint')), 'spec.taint'),
  ],
  validatesAll: true,
  updateChecks: ['metadata changes', 'object'],
  validateStatusUpdate: (_old, rule) => {
    const { length } = objectsOf(at(rule, 'status.conditions'));
    return length > conditionCountMax
      ? [tooManyField('status.conditions', length, conditionCountMax)]
      : conditionErrors(rule);
  },
};

const timeField = 'spec.taint.timeAdded';

function dated(rule: JsonObject, now: number): JsonObject {
  const isDated = at(rule, timeField) !== undefined || !isObject(at(rule, 'spec.taint'));
  return isDated ? rule : withPath(rule, timeField, formatTime(now));
}

/** The time is that of the effect: with another one it is now, unless the writer says another time, too. */
function datedAnew(old: JsonObject, rule: JsonObject, now: number): JsonObject {
  const isSame = (path: string): boolean => equalJson(at(old, path), at(rule, path));
  if (isSame('spec.taint.effect') || !isSame(timeField)) return dated(rule, now);
  return withPath(rule, timeField, formatTime(now));
}

/** A selector that names nothing selects all devices. */
function selectorErrors(selector: unknown): readonly FieldError[] {
  const path = 'spec.deviceSelector';
  const named = (name: string, check: (text: string, field: string) => readonly FieldError[]) => {
    const value = objectOf(selector)[name];
    return value === undefined ? [] : check(stringOf(value), `${path}.${name}`);
  };
  return [
    ...named('driver', driverNameErrors),
    ...named('pool', poolNameErrors),
    ...named('device', labelNameErrors),
  ];
}
