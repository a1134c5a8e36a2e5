import type { Job } from '#api/generated/objects.ts';
import { parseIndexes } from './indexes.ts';

/** The first rule of a Job's successPolicy that is met, in kube-controller-manager's words; undefined: none. */
export function metSuccessRule({ spec }: Job, succeeded: ReadonlySet<number>): string | undefined {
  if (succeeded.size === 0) return undefined;
  const index = (spec?.successPolicy?.rules ?? []).findIndex(({ succeededIndexes, succeededCount }) => {
    if (succeededIndexes === undefined)
      return succeededCount !== undefined && succeeded.size >= succeededCount;
    const wanted = parseIndexes(succeededIndexes, spec?.completions ?? 0);
    const done = wanted.filter((one) => succeeded.has(one)).length;
    return done >= Math.min(wanted.length, succeededCount ?? wanted.length);
  });
  return index < 0 ? undefined : `Matched rules at index ${index}`;
}
