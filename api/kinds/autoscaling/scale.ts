import { at } from '#api/wire/json.ts';
import type { KindRules } from '#api/kinds/rules.ts';
import { ageOfObject, nameOf } from '#api/table/object.ts';

/** Rules of Scales: no kind of its own, but what a subresource answers with. */
export const scaleRules: KindRules = {
  cells: (scale, now) => [
    nameOf(scale),
    at(scale, 'spec.replicas') ?? 0,
    at(scale, 'status.replicas') ?? 0,
    ageOfObject(scale, now),
  ],
};
