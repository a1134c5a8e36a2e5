import { invalidField, type FieldError } from '#api/errors/field-error.ts';
import { devicesGiven } from '#api/kinds/effect.ts';
import type { KindRules } from '#api/kinds/rules.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { at, equalJson, objectsOf, stringOf } from '#api/wire/json.ts';
import { when } from '#api/validation/field.ts';
import { isExtendedResource } from '#api/validation/resource-name.ts';
import { configurationErrors, listCountMax } from './device-claim-validation.ts';
import { boundedErrors } from './device-names.ts';
import { selectorErrors } from './device-selector.ts';

/** Rules of DeviceClasses. */
export const deviceClassRules: KindRules = {
  effect: devicesGiven,
  answersDeleteWithObject: true,
  validate: validateClass,
  updateChecks: ['metadata', 'metadata changes', 'object'],
  validatesAll: true,
};

/** What was there before is not looked into again (validateDeviceClassSpec of kubernetes pkg/apis/resource/validation). */
function validateClass(deviceClass: JsonObject, old?: JsonObject): readonly FieldError[] {
  const isStored = (path: string): boolean =>
    old !== undefined && equalJson(at(old, path), at(deviceClass, path));
  const name = at(deviceClass, 'spec.extendedResourceName');
  return [
    ...selectorErrors(at(deviceClass, 'spec.selectors'), 'spec.selectors', isStored('spec.selectors')),
    ...boundedErrors(objectsOf(at(deviceClass, 'spec.config')), 'spec.config', listCountMax, (config, path) =>
      configurationErrors(config, path, isStored('spec.config')),
    ),
    ...when(name !== undefined && !isExtendedResource(stringOf(name)), () =>
      invalidField('spec.extendedResourceName', name, 'must be a valid extended resource name'),
    ),
  ];
}
