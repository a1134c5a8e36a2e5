import { at, numberOf } from '#api/wire/json.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { newNameWarnings } from './name.ts';

const completionsMax = 100_000;
const parallelismMax = 10_000;

/** Warnings of a Job, or of what makes Jobs, whose spec is at `path` (pkg/api/job/warnings.go). */
export function jobWarnings(
  object: JsonObject,
  old: JsonObject | undefined,
  path = 'spec',
): readonly string[] {
  const isChanged = old === undefined || at(old, 'metadata.generation') !== at(object, 'metadata.generation');
  const spec = (field: string): unknown => at(object, `${path}.${field}`);
  const isHuge =
    spec('completionMode') === 'Indexed' &&
    numberOf(spec('completions')) > completionsMax &&
    numberOf(spec('parallelism')) > parallelismMax;
  return [
    ...newNameWarnings(object, old),
    ...(isChanged && isHuge
      ? [
          `${path}: In Indexed Jobs with a number of completions higher than 10^5 and a parallelism higher than 10^4, Kubernetes might not be able to track completedIndexes when a big number of indexes fail`,
        ]
      : []),
  ];
}
