import { parseSchedule } from '#api/cron/schedule.ts';
import { timeZoneError } from '#api/cron/time-zone.ts';
import {
  invalidField,
  notSupportedField,
  requiredField,
  tooLongField,
  type FieldError,
} from '#api/errors/field-error.ts';
import {
  at,
  equalJson,
  isObject,
  numberOf,
  objectOf,
  objectsOf,
  stringMapOf,
  stringOf,
  typed,
  withPath,
} from '#api/wire/json.ts';
import type { JsonObject } from '#api/meta/object.ts';
import type { LabelSelector } from '#api/generated/objects.ts';
import { labelSelectorFromObject, matchesLabels } from '#api/meta/selector.ts';
import { domainPrefixedPathErrors, labelLengthMax } from './format.ts';
import { immutable, nonNegative } from './field.ts';
import { podFailurePolicyErrors, successPolicyErrors } from './job-policy.ts';
import { templateErrors } from './workload.ts';

/** Complaints about a new or changed Job. */
export function validateJob(job: JsonObject): readonly FieldError[] {
  return [...jobSpecErrors(job, 'spec'), ...selectorErrors(job)];
}

/** Complaints about what an update changes of a Job. */
export function validateJobUpdate(old: JsonObject, job: JsonObject): readonly FieldError[] {
  return [
    ...completionsErrors(old, job),
    ...immutable('spec.selector')(old, job),
    ...jobTemplateUpdateErrors(old, job),
    ...['completionMode', 'podFailurePolicy', 'backoffLimitPerIndex', 'managedBy', 'successPolicy'].flatMap(
      (field) => immutable(`spec.${field}`)(old, job),
    ),
  ];
}

/** Complaints about a new or changed CronJob. */
export function validateCronJob(cronJob: JsonObject): readonly FieldError[] {
  return [
    ...scheduleErrors(cronJob),
    ...nonNegative(cronJob, [
      'spec.startingDeadlineSeconds',
      'spec.successfulJobsHistoryLimit',
      'spec.failedJobsHistoryLimit',
    ]),
    ...jobSpecErrors(cronJob, 'spec.jobTemplate.spec'),
    ...jobTemplateErrors(cronJob),
  ];
}

/** As k8s.io/kubernetes batch validation: limits of Indexed jobs. */
const indexedMax = 100_000;
const indexedParallelismMax = 10_000;
const restartPolicies = ['OnFailure', 'Never'];

function jobSpecErrors(object: JsonObject, path: string): readonly FieldError[] {
  const spec = objectOf(at(object, path));
  const fields = [
    'parallelism',
    'completions',
    'activeDeadlineSeconds',
    'backoffLimit',
    'ttlSecondsAfterFinished',
  ];
  const counts = [...fields, 'backoffLimitPerIndex', 'maxFailedIndexes'].map((name) => `${path}.${name}`);
  const isIndexed = spec['completionMode'] === 'Indexed';
  return [
    ...nonNegative(object, counts),
    ...managedByErrors(spec, path),
    ...(isIndexed ? indexedErrors(spec, path) : notIndexedErrors(spec, path)),
    ...(spec['maxFailedIndexes'] !== undefined && spec['backoffLimitPerIndex'] === undefined
      ? [requiredField(`${path}.backoffLimitPerIndex`, 'when maxFailedIndexes is specified')]
      : []),
    ...podFailurePolicyErrors(spec, path),
    ...(isIndexed ? successPolicyErrors(spec, path) : []),
    ...(spec['podFailurePolicy'] !== undefined && (spec['podReplacementPolicy'] ?? 'Failed') !== 'Failed'
      ? [notSupportedField(`${path}.podReplacementPolicy`, spec['podReplacementPolicy'], ['Failed'])]
      : []),
    ...templateErrors(object, `${path}.template`),
    ...restartPolicyErrors(spec, path),
  ];
}

function selectorErrors(job: JsonObject): readonly FieldError[] {
  const selector = at(job, 'spec.selector');
  if (!isObject(selector)) return [requiredField('spec.selector')];
  const labels = stringMapOf(at(job, 'spec.template.metadata.labels'));
  return matchesLabels(labelSelectorFromObject(typed<LabelSelector>(selector)), labels)
    ? []
    : [invalidField('spec.template.metadata.labels', labels, '`selector` does not match template `labels`')];
}

function managedByErrors(spec: JsonObject, path: string): readonly FieldError[] {
  const value = spec['managedBy'];
  if (value === undefined) return [];
  const field = `${path}.managedBy`;
  const text = stringOf(value);
  const wrong = domainPrefixedPathErrors(field, text);
  return text.length > labelLengthMax ? [...wrong, tooLongField(field, labelLengthMax)] : wrong;
}

function indexedErrors(spec: JsonObject, path: string): readonly FieldError[] {
  const { completions, parallelism, maxFailedIndexes } = spec;
  const over = (name: string, max: number, detail: string): readonly FieldError[] =>
    numberOf(spec[name]) > max ? [invalidField(`${path}.${name}`, spec[name], detail)] : [];
  const atMost = `must be less than or equal to ${indexedMax}`;
  const errors: FieldError[] = [
    ...(completions === undefined
      ? [requiredField(`${path}.completions`, 'when completion mode is Indexed')]
      : []),
    ...over('parallelism', indexedMax, `${atMost} when completion mode is Indexed`),
    ...(completions !== undefined && numberOf(maxFailedIndexes) > numberOf(completions)
      ? over('maxFailedIndexes', numberOf(completions), 'must be less than or equal to completions')
      : []),
    ...over('maxFailedIndexes', indexedMax, atMost),
  ];
  if (numberOf(completions) <= indexedMax || spec['backoffLimitPerIndex'] === undefined) return errors;
  const many = `must be less than or equal to ${indexedParallelismMax} when completions are above ${indexedMax} and used with backoff limit per index`;
  return [
    ...errors,
    ...(maxFailedIndexes === undefined
      ? [
          requiredField(
            `${path}.maxFailedIndexes`,
            `must be specified when completions is above ${indexedMax}`,
          ),
        ]
      : []),
    ...(parallelism === undefined ? [] : over('parallelism', indexedParallelismMax, many)),
    ...over('maxFailedIndexes', indexedParallelismMax, many),
  ];
}

function notIndexedErrors(spec: JsonObject, path: string): readonly FieldError[] {
  return ['backoffLimitPerIndex', 'maxFailedIndexes', 'successPolicy'].flatMap((name) =>
    spec[name] === undefined
      ? []
      : [invalidField(`${path}.${name}`, spec[name], 'requires indexed completion mode')],
  );
}

function restartPolicyErrors(spec: JsonObject, path: string): readonly FieldError[] {
  if (spec['template'] === undefined) return [];
  const field = `${path}.template.spec.restartPolicy`;
  const policy = stringOf(at(spec, 'template.spec.restartPolicy'));
  if (policy === '' || policy === 'Always')
    return [requiredField(field, 'valid values: "OnFailure", "Never"')];
  if (!restartPolicies.includes(policy)) return [notSupportedField(field, policy, restartPolicies)];
  const detail = 'only "Never" is supported when podFailurePolicy is specified';
  return spec['podFailurePolicy'] !== undefined && policy !== 'Never'
    ? [invalidField(field, policy, detail)]
    : [];
}

/** An Indexed job may grow and shrink, completions and parallelism together. */
function completionsErrors(old: JsonObject, job: JsonObject): readonly FieldError[] {
  if (at(job, 'spec.completionMode') !== 'Indexed') return immutable('spec.completions')(old, job);
  const completions = at(job, 'spec.completions');
  if (completions === undefined || completions === at(old, 'spec.completions')) return [];
  return completions === at(job, 'spec.parallelism')
    ? []
    : [invalidField('spec.completions', completions, 'can only be modified in tandem with spec.parallelism')];
}

/** What may change of the template of a suspended Job whose pods are gone: where its pods go, and what they ask for. */
const whileSuspended = [
  'metadata.labels',
  'metadata.annotations',
  'spec.nodeSelector',
  'spec.affinity.nodeAffinity',
  'spec.tolerations',
  'spec.schedulingGates',
];

function jobTemplateUpdateErrors(old: JsonObject, job: JsonObject): readonly FieldError[] {
  const path = 'spec.template';
  const isIdle = at(old, 'spec.suspend') === true && numberOf(at(old, 'status.active')) === 0;
  const fixed = (object: JsonObject): JsonObject => {
    const template = objectOf(at(object, path));
    if (!isIdle) return template;
    const stripped = whileSuspended.reduce((next, field) => withPath(next, field, undefined), template);
    return withoutResources(['metadata', 'spec.affinity'].reduce(withoutEmpty, stripped));
  };
  return equalJson(fixed(old), fixed(job)) ? [] : [invalidField(path, at(job, path), 'field is immutable')];
}

/** An object that was only there for what was taken out of it counts as absent. */
function withoutEmpty(object: JsonObject, path: string): JsonObject {
  return Object.keys(objectOf(at(object, path))).length === 0 ? withPath(object, path, undefined) : object;
}

function withoutResources(template: JsonObject): JsonObject {
  return ['spec.containers', 'spec.initContainers'].reduce((next, path) => {
    const bare = objectsOf(at(next, path)).map(({ resources: _resources, ...rest }) => rest);
    return bare.length === 0 ? next : withPath(next, path, bare);
  }, template);
}

function scheduleErrors(cronJob: JsonObject): readonly FieldError[] {
  const field = 'spec.schedule';
  const schedule = stringOf(at(cronJob, field));
  const zone = at(cronJob, 'spec.timeZone');
  const wrong = zone === undefined ? undefined : timeZoneError(stringOf(zone));
  const zoneErrors = wrong === undefined ? [] : [invalidField('spec.timeZone', zone, wrong)];
  if (schedule === '') return [requiredField(field), ...zoneErrors];
  // A zone in the schedule is known, and refused.
  const parsed = parseSchedule(schedule.replace(/^(CRON_)?TZ=\S+\s*/, ''));
  const detail = 'cannot use TZ or CRON_TZ in schedule, use timeZone field instead';
  return [
    ...(parsed.kind === 'invalid' ? [invalidField(field, schedule, parsed.message)] : []),
    ...(schedule.includes('TZ') ? [invalidField(field, schedule, detail)] : []),
    ...zoneErrors,
  ];
}

/** The Jobs' own selectors are generated. */
function jobTemplateErrors(cronJob: JsonObject): readonly FieldError[] {
  const path = 'spec.jobTemplate.spec';
  const { selector, manualSelector } = objectOf(at(cronJob, path));
  return [
    ...(selector === undefined
      ? []
      : [invalidField(`${path}.selector`, selector, '`selector` will be auto-generated')]),
    ...(manualSelector === true
      ? [notSupportedField(`${path}.manualSelector`, manualSelector, ['nil', 'false'])]
      : []),
  ];
}
