import { at } from '#api/wire/json.ts';
import type { KindRules } from '#api/kinds/rules.ts';
import { nonNegative } from '#api/validation/field.ts';
import { ageOfObject, nameOf } from '#api/table/object.ts';

/** Rules of Scales: no kind of its own, but what a subresource answers with. */
export const scaleRules: KindRules = {
  validate: (scale) => nonNegative(scale, ['spec.replicas']),
  cells: (scale, now) => [
    nameOf(scale),
    at(scale, 'spec.replicas') ?? 0,
    at(scale, 'status.replicas') ?? 0,
    ageOfObject(scale, now),
  ],
};
