import {
  duplicateField,
  invalidField,
  invalidHidden,
  invalidStruct,
  requiredField,
  type FieldError,
} from '#api/errors/field-error.ts';
import { goStruct } from '#api/errors/go-struct.ts';
import { at, equalStored, listOf, numberOf, objectOf, objectsOf, stringOf } from '#api/wire/json.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { negativeErrors } from './field.ts';
import { countIndexes, intervalsOf } from './job-policy.ts';

/** A Job before and after a write of its status, and what it asks of both. */
interface Change {
  readonly before: JsonObject;
  readonly after: JsonObject;
  readonly spec: JsonObject;
  /** Whether one of these parts of the status differs. */
  readonly changed: (...fields: readonly string[]) => boolean;
  /** Whether one of these conditions is another than it was. */
  readonly turned: (...types: readonly string[]) => boolean;
}

/**
 * What of a Job's status may not be said (ValidateJobUpdateStatus, with the strict rules of KEP-4368). What was there before those rules
 * is only looked at where it changes.
 */
export function validateJobStatus(old: JsonObject, job: JsonObject): readonly FieldError[] {
  const [before, after] = [objectOf(old['status']), objectOf(job['status'])];
  const change: Change = {
    before,
    after,
    spec: objectOf(job['spec']),
    changed: (...fields) => fields.some((field) => !equalStored(before[field], after[field])),
    turned: (...types) => types.some((type) => isTrue(before, type) !== isTrue(after, type)),
  };
  return [
    ...countErrors(after),
    ...conditionErrors(change),
    ...finishedErrors(change),
    ...indexErrors(change),
    ...laterErrors(change),
    ...backwardErrors(change),
  ];
}

function isTrue(status: JsonObject, type: string): boolean {
  return objectsOf(status['conditions']).some((one) => one['type'] === type && one['status'] === 'True');
}

function isFinished(status: JsonObject): boolean {
  return isTrue(status, 'Complete') || isTrue(status, 'Failed');
}

const counts = ['active', 'succeeded', 'failed', 'ready', 'terminating'];

function countErrors(status: JsonObject): readonly FieldError[] {
  const seen = new Set<string>();
  const pods = objectOf(status['uncountedTerminatedPods']);
  return [
    ...negativeErrors(status, counts, 'status'),
    ...['succeeded', 'failed'].flatMap((list) =>
      listOf(pods[list]).flatMap((value, index) => {
        const [uid, field] = [stringOf(value), `status.uncountedTerminatedPods.${list}[${index}]`];
        if (uid === '') return [invalidField(field, uid, 'must not be empty')];
        const isDuplicate = seen.has(uid);
        seen.add(uid);
        return isDuplicate ? [duplicateField(field, uid)] : [];
      }),
    ),
  ];
}

/** What is refused if it holds: whether it is looked at, whether it holds, the complaint. */
type Rule = readonly [isAsked: boolean, isWrong: boolean, fault: () => FieldError];

function broken(rules: readonly Rule[]): readonly FieldError[] {
  return rules.flatMap(([isAsked, isWrong, fault]) => (isAsked && isWrong ? [fault()] : []));
}

const cannot = (what: string) => (): FieldError => invalidHidden('status.conditions', `cannot ${what}`);

function conditionErrors({ after, turned, changed }: Change): readonly FieldError[] {
  const is = (type: string): boolean => isTrue(after, type);
  const { completionTime, startTime } = after;
  const field = 'status.completionTime';
  const [ended, started] = [completionTime, startTime].map((time) => Date.parse(stringOf(time)));
  const times = changed('completionTime');
  return broken([
    [
      turned('Complete', 'Failed'),
      is('Complete') && is('Failed'),
      cannot('set Complete=True and Failed=true conditions'),
    ],
    [
      turned('Complete', 'FailureTarget'),
      is('Complete') && is('FailureTarget'),
      cannot('set Complete=True and FailureTarget=true conditions'),
    ],
    [
      turned('Complete') || times,
      completionTime !== undefined && !is('Complete'),
      () =>
        invalidField(
          field,
          completionTime,
          'cannot set completionTime when there is no Complete=True condition',
        ),
    ],
    [
      turned('Complete') || times,
      completionTime === undefined && is('Complete'),
      () => requiredField(field, 'completionTime is required for Complete jobs'),
    ],
    [
      times || changed('startTime'),
      (ended ?? Number.NaN) < (started ?? Number.NaN),
      () => invalidField(field, completionTime, 'must be equal to or after `startTime`'),
    ],
    [
      turned('Failed', 'FailureTarget'),
      is('Failed') && !is('FailureTarget'),
      cannot('set Failed=True condition without the FailureTarget=true condition'),
    ],
    [
      turned('Complete', 'SuccessCriteriaMet'),
      is('Complete') && !is('SuccessCriteriaMet'),
      cannot('set Complete=True condition without the SuccessCriteriaMet=true condition'),
    ],
  ]);
}

function finishedErrors({ before, after, spec, changed }: Change): readonly FieldError[] {
  const isDone = isFinished(after);
  const hasTurned = isFinished(before) !== isDone;
  const { active, startTime, uncountedTerminatedPods: pods } = after;
  const isIdle = spec['suspend'] === true && spec['completions'] === 0;
  const uncounted = listOf(at(pods, 'failed')).length + listOf(at(pods, 'succeeded')).length;
  return broken([
    [
      hasTurned || changed('active'),
      isDone && numberOf(active) > 0,
      () => invalidField('status.active', active, 'active>0 is invalid for finished job'),
    ],
    [
      (hasTurned || changed('startTime')) && !isIdle,
      isDone && startTime === undefined,
      () => requiredField('status.startTime', 'startTime is required for finished job'),
    ],
    [
      hasTurned || changed('uncountedTerminatedPods'),
      isDone && uncounted > 0,
      () =>
        invalidStruct(
          'status.uncountedTerminatedPods',
          goStruct('UncountedTerminatedPods', pods),
          'must be empty for finished job',
        ),
    ],
  ]);
}

function indexErrors({ after, spec, changed }: Change): readonly FieldError[] {
  const { completedIndexes, failedIndexes } = after;
  const { completions, backoffLimitPerIndex } = spec;
  const [done, failed] = [stringOf(completedIndexes), stringOf(failedIndexes)];
  const hasCount = typeof completions === 'number';
  const wrong = (text: string): string | undefined => {
    const count = countIndexes(text, numberOf(completions));
    return typeof count === 'string' ? count : undefined;
  };
  const [badDone, badFailed] = [wrong(done), wrong(failed)];
  const [completedField, failedField] = ['status.completedIndexes', 'status.failedIndexes'];
  const overlap = hasCount ? overlapOf(done, failed, completions) : undefined;
  const notIndexed = 'cannot set non-empty completedIndexes when non-indexed completion mode';
  const noLimit = 'cannot set non-null failedIndexes when backoffLimitPerIndex is null';
  return broken([
    [
      changed('completedIndexes') && hasCount,
      badDone !== undefined,
      () => invalidField(completedField, done, `error parsing completedIndexes: ${badDone}`),
    ],
    [
      changed('failedIndexes') && hasCount && backoffLimitPerIndex !== undefined,
      badFailed !== undefined,
      () => invalidField(failedField, failed, `error parsing failedIndexes: ${badFailed}`),
    ],
    [
      changed('completedIndexes'),
      done !== '' && spec['completionMode'] !== 'Indexed',
      () => invalidField(completedField, done, notIndexed),
    ],
    [
      changed('failedIndexes'),
      backoffLimitPerIndex === undefined && failedIndexes !== undefined,
      () => invalidField(failedField, failed, noLimit),
    ],
    [
      changed('failedIndexes', 'completedIndexes'),
      overlap !== undefined,
      () =>
        invalidField(failedField, failed, `failedIndexes and completedIndexes overlap at index: ${overlap}`),
    ],
  ]);
}

/** The first index that two lists of intervals have in common; what is no interval is left out. */
function overlapOf(completed: string, failed: string, completions: number): number | undefined {
  const [done, bad] = [intervalsOf(completed, completions), intervalsOf(failed, completions)];
  let [a, b] = [0, 0];
  while (a < done.length && b < bad.length) {
    const [[firstDone, lastDone], [firstBad, lastBad]] = [done[a] ?? [0, -1], bad[b] ?? [0, -1]];
    if (firstDone <= lastBad && firstBad <= lastDone) return Math.max(firstDone, firstBad);
    if (firstDone <= firstBad) a++;
    else b++;
  }
  return undefined;
}

/** What is looked at after the indexes. */
function laterErrors({ before, after, spec, changed }: Change): readonly FieldError[] {
  const is = (type: string): boolean => isTrue(after, type);
  const isDone = isFinished(after);
  const { terminating, ready, active } = after;
  const succeeds = is('SuccessCriteriaMet');
  return broken([
    [
      isFinished(before) !== isDone || changed('terminating'),
      isDone && numberOf(terminating) > 0,
      () => invalidField('status.terminating', terminating, 'terminating>0 is invalid for finished job'),
    ],
    [
      changed('ready', 'active'),
      numberOf(ready) > numberOf(active),
      () => invalidField('status.ready', ready ?? 0, 'cannot set more ready pods than active'),
    ],
    [true, succeeds && is('Failed'), cannot('set SuccessCriteriaMet=True and Failed=true conditions')],
    [
      true,
      succeeds && is('FailureTarget'),
      cannot('set SuccessCriteriaMet=True and FailureTarget=true conditions'),
    ],
    [
      spec['successPolicy'] !== undefined,
      !succeeds && is('Complete'),
      cannot('set Complete=True for Job with SuccessPolicy unless SuccessCriteriaMet=True'),
    ],
  ]);
}

/** What may not be taken back. */
function backwardErrors({ before, after, spec, changed }: Change): readonly FieldError[] {
  const fell = (field: string): boolean => numberOf(after[field]) < numberOf(before[field]);
  const isScaled = spec['completionMode'] === 'Indexed' && spec['completions'] === spec['parallelism'];
  const lost = (type: string): boolean => isTrue(before, type) && !isTrue(after, type);
  const shown = (field: string): unknown => after[field] ?? (counts.includes(field) ? 0 : null);
  const wrong = (field: string, detail: string) => (): FieldError =>
    invalidField(`status.${field}`, shown(field), detail);
  return broken([
    ...['Failed', 'Complete', 'FailureTarget'].map((type): Rule => [
      true,
      lost(type),
      cannot(`disable the terminal ${type}=True condition`),
    ]),
    [true, fell('failed'), wrong('failed', 'cannot decrease the failed counter')],
    [!isScaled, fell('succeeded'), wrong('succeeded', 'cannot decrease the succeeded counter')],
    [
      before['completionTime'] !== undefined && after['completionTime'] !== undefined,
      changed('completionTime'),
      wrong('completionTime', 'field is immutable'),
    ],
    [
      before['startTime'] !== undefined && spec['suspend'] !== true,
      changed('startTime'),
      wrong('startTime', 'field is immutable for unsuspended job once set'),
    ],
    [true, lost('SuccessCriteriaMet'), cannot('disable the SuccessCriteriaMet=True condition')],
    [
      isTrue(before, 'Complete') && !isTrue(before, 'SuccessCriteriaMet'),
      isTrue(after, 'SuccessCriteriaMet'),
      cannot('set SuccessCriteriaMet=True for Job already has Complete=true conditions'),
    ],
  ]);
}
