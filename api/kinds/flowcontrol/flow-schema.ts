import { at, numberOf, objectsOf, stringOf } from '#api/wire/json.ts';
import { shares } from '#api/kinds/effect.ts';
import type { KindRules } from '#api/kinds/rules.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { ageOfObject, nameOf, text } from '#api/table/object.ts';
import { none } from '#api/table/text.ts';
import { flowControlConditionErrors } from './flow-control-conditions.ts';
import { validateFlowSchema } from './flow-schema-validation.ts';

/** Rules of FlowSchemas. */
export const flowSchemaRules: KindRules = {
  effect: shares,
  reset: { status: { fields: ['metadata', 'spec'] } },
  defaults: [['spec.matchingPrecedence', 1000, 'zero']],
  updateChecks: ['metadata', 'object'],
  validate: validateFlowSchema,
  validateStatus: flowControlConditionErrors,
  validatesAll: true,
  cells: (schema, now) => {
    const dangling = objectsOf(at(schema, 'status.conditions')).find(({ type }) => type === 'Dangling');
    return [
      nameOf(schema),
      text(schema, 'spec.priorityLevelConfiguration.name', none),
      at(schema, 'spec.matchingPrecedence') ?? 0,
      text(schema, 'spec.distinguisherMethod.type', none),
      ageOfObject(schema, now),
      dangling === undefined ? '?' : stringOf(dangling['status']),
    ];
  },
  compareRows: (a, b) => precedenceOf(a) - precedenceOf(b) || (nameOf(a) < nameOf(b) ? -1 : 1),
};

function precedenceOf(schema: JsonObject): number {
  return numberOf(at(schema, 'spec.matchingPrecedence'));
}
