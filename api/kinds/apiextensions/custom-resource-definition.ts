import { at, objectsOf } from '#api/json.ts';
import type { KindRules } from '#api/kinds/rules.ts';

/** Rules of CustomResourceDefinitions. */
export const customResourceDefinitionRules: KindRules = {
  initialStatus: (definition) => ({
    conditions: [],
    acceptedNames: { plural: '', kind: '' },
    storedVersions: objectsOf(at(definition, 'spec.versions'))
      .filter((version) => version['storage'] === true)
      .map((version) => version['name']),
  }),
};
