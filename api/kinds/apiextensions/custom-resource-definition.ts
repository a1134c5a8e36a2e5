import { unknownFormats } from '#api/structural/definition/formats.ts';
import { at, listOf, objectOf, objectsOf, stringOf, withPath } from '#api/wire/json.ts';
import { acted } from '#api/kinds/effect.ts';
import type { KindRules } from '#api/kinds/rules.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { markDefinitionDeleted } from './definition-deletion.ts';
import { validateDefinition, validateDefinitionStatus } from './definition-validation.ts';

/** Rules of CustomResourceDefinitions. */
export const customResourceDefinitionRules: KindRules = {
  effect: acted('control-plane/apiserver/custom/keep-definitions.ts'),
  updatesNameRevision: true,
  reset: { status: { fields: ['metadata', 'spec'] } },
  storageFolder: 'apiextensions.k8s.io/customresourcedefinitions',
  defaults: [
    ['spec.names.singular', (names) => stringOf(names['kind']).toLowerCase()],
    ['spec.names.listKind', (names) => `${stringOf(names['kind'])}List`],
    ['spec.conversion', {}],
    ['spec.conversion.strategy', 'None'],
    ['spec.conversion.webhook.clientConfig.service.port', 443],
  ],
  initialStatus: (definition) => ({
    conditions: [],
    acceptedNames: { plural: '', kind: '' },
    storedVersions: storageVersions(definition).slice(0, 1),
  }),
  prepareUpdate: withStoredVersion,
  markDeleted: markDefinitionDeleted,
  takesAnyFinalizer: true,
  validate: validateDefinition,
  validateStatus: validateDefinitionStatus,
  updateChecks: ['metadata changes', 'object'],
  validatesAll: true,
  warnings: formatWarnings,
};

/** What is said of formats that nobody checks (customresourcedefinition strategy, WarningsOnCreate). */
function formatWarnings(definition: JsonObject): readonly string[] {
  return objectsOf(at(definition, 'spec.versions'))
    .map((version) => objectOf(at(version, 'schema.openAPIV3Schema')))
    .flatMap(unknownFormats)
    .map((format) => `unrecognized format ${JSON.stringify(format)}`);
}

function storageVersions(definition: JsonObject): readonly string[] {
  return objectsOf(at(definition, 'spec.versions'))
    .filter(({ storage }) => storage === true)
    .map(({ name }) => stringOf(name));
}

/** What objects are stored in from now on is told, beside what they were stored in. */
function withStoredVersion(_old: JsonObject, definition: JsonObject): JsonObject {
  const path = 'status.storedVersions';
  const told = listOf(at(definition, path));
  const [next] = storageVersions(definition);
  return next === undefined || told.includes(next) ? definition : withPath(definition, path, [...told, next]);
}
