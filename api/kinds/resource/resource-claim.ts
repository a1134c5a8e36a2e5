import type { DefaultRule } from '#api/defaults/rule.ts';
import { at, listOf, objectOf, objectsOf, stringOf, withPath } from '#api/wire/json.ts';
import { acted, devicesGiven } from '#api/kinds/effect.ts';
import type { KindRules } from '#api/kinds/rules.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { ageOfObject, nameOf } from '#api/table/object.ts';
import { joined } from '#api/table/text.ts';
import { immutable } from '#api/validation/field.ts';
import { annotationErrors, labelErrors } from '#api/validation/labels.ts';
import { adminClaimErrors, adminRequestErrors } from './admin-access.ts';
import { claimStatusErrors } from './claim-status-validation.ts';
import { deviceClaimErrors } from './device-claim-validation.ts';

/** Rules of ResourceClaims. */
export const resourceClaimRules: KindRules = {
  effect: devicesGiven,
  answersDeleteWithObject: true,
  defaults: [...claimRules('spec'), tolerationRule('status.allocation.devices.results[]')],
  tracksGeneration: false,
  reset: { status: { fields: ['metadata', 'spec'] } },
  prepareStatusUpdate: withoutTakenBack,
  validate: (claim) => deviceClaimErrors(objectOf(at(claim, 'spec.devices')), 'spec.devices'),
  validateUpdate: immutable('spec', undefined, 'resource.v1.ResourceClaimSpec'),
  // What cannot change is not looked into again.
  updateChecks: ['metadata', 'metadata changes', 'changes'],
  validateStatusUpdate: claimStatusErrors,
  validateInNamespace: adminClaimErrors,
  validatesAll: true,
  cells: (claim, now) => [nameOf(claim), claimState(claim), ageOfObject(claim, now)],
};

/** Rules of ResourceClaimTemplates. */
export const resourceClaimTemplateRules: KindRules = {
  effect: acted('control-plane/controllers/resource-claim/reconcile.ts'),
  answersDeleteWithObject: true,
  defaults: claimRules('spec.spec'),
  tracksGeneration: false,
  validate: (template) => [
    ...labelErrors(at(template, 'spec.metadata.labels'), 'spec.metadata.labels'),
    ...annotationErrors(at(template, 'spec.metadata.annotations'), 'spec.metadata.annotations'),
    ...deviceClaimErrors(objectOf(at(template, 'spec.spec.devices')), 'spec.spec.devices'),
  ],
  validateUpdate: immutable('spec', undefined, 'resource.v1.ResourceClaimTemplateSpec'),
  updateChecks: ['metadata changes', 'changes'],
  validateInNamespace: adminRequestErrors('spec.spec.devices.requests'),
  validatesAll: true,
};

/** What drivers told of devices goes with them (dropDeallocatedStatusDevices). */
function withoutTakenBack(old: JsonObject, claim: JsonObject): JsonObject {
  const given = (object: JsonObject): readonly JsonObject[] =>
    objectsOf(at(object, 'status.allocation.devices.results'));
  const isSame = (a: JsonObject, b: JsonObject): boolean =>
    ['driver', 'pool', 'device'].every((name) => stringOf(a[name]) === stringOf(b[name]));
  const isGiven = (object: JsonObject, device: JsonObject): boolean =>
    given(object).some((result) => isSame(result, device));
  const devices = objectsOf(at(claim, 'status.devices'));
  const kept = devices.filter((device) => !isGiven(old, device) || isGiven(claim, device));
  if (kept.length === devices.length) return claim;
  return withPath(claim, 'status.devices', kept.length === 0 ? undefined : kept);
}

function claimRules(spec: string): readonly DefaultRule[] {
  const requests = `${spec}.devices.requests[]`;
  return [`${requests}.exactly`, `${requests}.firstAvailable[]`].flatMap(
    (request): readonly DefaultRule[] => [
      [`${request}.allocationMode`, 'ExactCount'],
      [`${request}.count`, (holder) => (holder['allocationMode'] === 'ExactCount' ? 1 : undefined), 'zero'],
      tolerationRule(request),
    ],
  );
}

/** Who names no operator asks for the value (the default of the type). */
function tolerationRule(holder: string): DefaultRule {
  return [`${holder}.tolerations[].operator`, 'Equal'];
}

function claimState(claim: JsonObject): string {
  const goes = at(claim, 'metadata.deletionTimestamp') !== undefined;
  if (at(claim, 'status.allocation') === undefined) return goes ? 'deleted' : 'pending';
  const isReserved = listOf(at(claim, 'status.reservedFor')).length > 0;
  return joined([goes ? 'deleted' : '', 'allocated', isReserved ? 'reserved' : '']);
}
