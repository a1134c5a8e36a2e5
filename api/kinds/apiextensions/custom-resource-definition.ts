import { at, objectsOf, stringOf } from '#api/json.ts';
import type { KindRules } from '#api/kinds/rules.ts';

/** Rules of CustomResourceDefinitions. */
export const customResourceDefinitionRules: KindRules = {
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
};
