import { objectsOf, stringMapOf } from '#api/wire/json.ts';
import { inert } from '#api/kinds/effect.ts';
import type { KindRules } from '#api/kinds/rules.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { nameOf } from '#api/table/object.ts';

/** Rules of ComponentStatuses: made up for each answer. */
export const componentStatusRules: KindRules = {
  effect: inert('made up for each answer; cannot be written'),
  deprecated: { since: 'v1.19' },
  isStored: false,
  cells: componentStatusCells,
};

function componentStatusCells(component: JsonObject): readonly unknown[] {
  const condition = objectsOf(component['conditions']).find(({ type }) => type === 'Healthy');
  const { status, message = '', error = '' } = stringMapOf(condition);
  const verdict = status === undefined ? 'Unknown' : status === 'True' ? 'Healthy' : 'Unhealthy';
  return [nameOf(component), verdict, message, error];
}
