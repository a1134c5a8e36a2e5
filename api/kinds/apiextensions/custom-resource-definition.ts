import { invalidField, type FieldError } from '#api/errors/field-error.ts';
import { at, objectOf, objectsOf, stringOf } from '#api/wire/json.ts';
import { unacted } from '#api/kinds/effect.ts';
import type { KindRules } from '#api/kinds/rules.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { immutable } from '#api/validation/field.ts';

/** Rules of CustomResourceDefinitions. */
export const customResourceDefinitionRules: KindRules = {
  effect: unacted('the kind that it defines is not served'),
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
    storedVersions: objectsOf(at(definition, 'spec.versions'))
      .filter((version) => version['storage'] === true)
      .map((version) => version['name']),
  }),
  takesAnyFinalizer: true,
  validate: definitionErrors,
  validateUpdate: (old, definition) => [
    ...immutable('spec.group')(old, definition),
    ...immutable('spec.names.plural')(old, definition),
    ...immutable('spec.names.kind')(old, definition),
    ...immutable('spec.scope')(old, definition),
  ],
};

function definitionErrors(definition: JsonObject): readonly FieldError[] {
  const spec = objectOf(definition['spec']);
  const wanted = `${stringOf(at(spec, 'names.plural'))}.${stringOf(spec['group'])}`;
  const name = stringOf(at(definition, 'metadata.name'));
  const stored = objectsOf(spec['versions']).filter((version) => version['storage'] === true);
  return [
    ...(name === wanted
      ? []
      : [invalidField('metadata.name', name, 'must be spec.names.plural+"."+spec.group')]),
    ...(stored.length === 1
      ? []
      : [
          invalidField(
            'spec.versions',
            spec['versions'] ?? [],
            'must have exactly one version marked as storage version',
          ),
        ]),
  ];
}
