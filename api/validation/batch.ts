import { parseSchedule } from '#api/cron/schedule.ts';
import { timeZoneError } from '#api/cron/time-zone.ts';
import {
  invalidField,
  invalidStruct,
  notSupportedField,
  requiredField,
  tooLongField,
  type FieldError,
} from '#api/errors/field-error.ts';
import { goValue } from '#api/errors/go-value.ts';
import { goStruct, type GoShape } from '#api/errors/go-struct.ts';
import {
  at,
  equalStored,
  isObject,
  numberOf,
  objectOf,
  objectsOf,
  stringOf,
  typed,
  withPath,
} from '#api/wire/json.ts';
import type { JsonObject } from '#api/meta/object.ts';
import type { LabelSelector } from '#api/generated/objects.ts';
import { labelSelectorFromObject, matchesLabels } from '#api/meta/selector.ts';
import { dnsLabel, domainPrefixedPathErrors, labelLengthMax } from './format.ts';
import { choiceErrors, givenChoiceErrors, immutable, negativeErrors } from './field.ts';
import { podFailurePolicyErrors, successPolicyErrors } from './job-policy.ts';
import { labelSelectorErrors } from './label-selector.ts';
import { validateTemplate } from './pod/pod.ts';
import { labelMatchErrors, labelMismatch } from './workload.ts';

/** Complaints about a new or changed Job (ValidateJob). */
export function validateJob(job: JsonObject): readonly FieldError[] {
  return [
    ...generatedErrors(job),
    ...jobSpecErrors(objectOf(job['spec']), 'spec'),
    ...selectorErrors(job),
    ...hostnameErrors(job),
  ];
}

/** Complaints about what an update changes of a Job. */
export function validateJobUpdate(old: JsonObject, job: JsonObject): readonly FieldError[] {
  return [
    ...completionsErrors(old, job),
    ...immutable('spec.selector', undefined, 'meta.v1.LabelSelector')(old, job),
    ...jobTemplateUpdateErrors(old, job),
    ...immutable('spec.completionMode')(old, job),
    ...samePolicy(old, job, 'podFailurePolicy', 'PodFailurePolicy'),
    ...immutable('spec.backoffLimitPerIndex')(old, job),
    ...immutable('spec.managedBy')(old, job),
    ...samePolicy(old, job, 'successPolicy', 'SuccessPolicy'),
  ];
}

function samePolicy(old: JsonObject, job: JsonObject, name: string, shape: GoShape): readonly FieldError[] {
  const [before, after] = [old, job].map((one) => at(one, ['spec', name]));
  return equalStored(before, after)
    ? []
    : [invalidStruct(`spec.${name}`, goStruct(shape, after), 'field is immutable')];
}

/** Complaints about a new or changed CronJob (validateCronJobSpec). */
export function validateCronJob(cronJob: JsonObject): readonly FieldError[] {
  const spec = objectOf(cronJob['spec']);
  const job = objectOf(at(spec, 'jobTemplate.spec'));
  return [
    ...scheduleErrors(stringOf(spec['schedule'])),
    ...negativeErrors(spec, ['startingDeadlineSeconds'], 'spec'),
    ...zoneErrors(spec['timeZone']),
    ...choiceErrors('spec.concurrencyPolicy', spec['concurrencyPolicy'], ['Allow', 'Forbid', 'Replace']),
    ...jobSpecErrors(job, 'spec.jobTemplate.spec'),
    ...jobTemplateErrors(job, 'spec.jobTemplate.spec'),
    ...negativeErrors(spec, ['successfulJobsHistoryLimit', 'failedJobsHistoryLimit'], 'spec'),
  ];
}

/** The labels of a Job's pods by which it knows them, with what they say of it. */
export function jobLabels(uid: string, name: string): Readonly<Record<string, string>> {
  return {
    'controller-uid': uid,
    'job-name': name,
    'batch.kubernetes.io/controller-uid': uid,
    'batch.kubernetes.io/job-name': name,
  };
}

/** A Job that does not bring its own selector has that of its uid, and its pods have its labels (validateGeneratedSelector). */
function generatedErrors(job: JsonObject): readonly FieldError[] {
  const selector = at(job, 'spec.selector');
  if (at(job, 'spec.manualSelector') === true || !isObject(selector)) return [];
  const [uid, name] = ['uid', 'name'].map((field) => stringOf(at(job, ['metadata', field])));
  const expected = jobLabels(uid ?? '', name ?? '');
  const given = objectOf(at(job, 'spec.template.metadata.labels'));
  const matcher = labelSelectorFromObject(typed<LabelSelector>(selector));
  return [
    ...(uid === '' ? [requiredField('metadata.uid')] : []),
    ...Object.entries(expected).flatMap(([key, value]) => {
      const field = `spec.template.metadata.labels[${key}]`;
      const detail = `must be '${value}'`;
      if (given[key] === undefined) return [requiredField(field, detail)];
      return given[key] === value ? [] : [invalidField(field, given, detail)];
    }),
    ...(matchesLabels(matcher, expected)
      ? []
      : [
          invalidStruct(
            'spec.selector',
            goValue('meta.v1.LabelSelector', selector),
            '`selector` not auto-generated',
          ),
        ]),
  ];
}

/** The pods of an Indexed Job are called after it and their index, and so are their hosts. */
function hostnameErrors(job: JsonObject): readonly FieldError[] {
  const completions = numberOf(at(job, 'spec.completions'));
  if (at(job, 'spec.completionMode') !== 'Indexed' || completions <= 0) return [];
  const name = stringOf(at(job, 'metadata.name'));
  const last = `${name}-${completions - 1}`;
  const detail = `will not able to create pod with invalid DNS label: ${last}`;
  return dnsLabel(last).length === 0 ? [] : [invalidField('metadata.name', name, detail)];
}

/** As k8s.io/kubernetes batch validation: limits of Indexed jobs. */
const indexedMax = 100_000;
const indexedParallelismMax = 10_000;
const restartPolicies = ['OnFailure', 'Never'];

const counts = [
  'parallelism',
  'completions',
  'activeDeadlineSeconds',
  'backoffLimit',
  'ttlSecondsAfterFinished',
  'backoffLimitPerIndex',
  'maxFailedIndexes',
];

function jobSpecErrors(spec: JsonObject, path: string): readonly FieldError[] {
  const { completionMode: mode, maxFailedIndexes, backoffLimitPerIndex, successPolicy } = spec;
  const isIndexed = mode === 'Indexed';
  const isPlain = mode === undefined || mode === 'NonIndexed';
  const indexed = 'requires indexed completion mode';
  return [
    ...negativeErrors(spec, counts, path),
    ...(maxFailedIndexes !== undefined && backoffLimitPerIndex === undefined
      ? [requiredField(`${path}.backoffLimitPerIndex`, 'when maxFailedIndexes is specified')]
      : []),
    ...managedByErrors(spec, path),
    ...givenChoiceErrors(`${path}.completionMode`, mode, ['NonIndexed', 'Indexed']),
    ...(isIndexed ? indexedErrors(spec, path) : []),
    ...['backoffLimitPerIndex', 'maxFailedIndexes'].flatMap((name) =>
      isPlain && spec[name] !== undefined ? [invalidField(`${path}.${name}`, spec[name], indexed)] : [],
    ),
    ...podFailurePolicyErrors(spec, path),
    ...(isIndexed ? successPolicyErrors(spec, path) : []),
    ...(!isIndexed && successPolicy !== undefined
      ? [invalidStruct(`${path}.successPolicy`, goStruct('SuccessPolicy', successPolicy), indexed)]
      : []),
    ...replacementErrors(spec, `${path}.podReplacementPolicy`),
    ...validateTemplate(objectOf(spec['template']), `${path}.template`),
    ...restartPolicyErrors(spec, path),
  ];
}

/** A Job that judges failures waits until they are there. */
function replacementErrors(spec: JsonObject, field: string): readonly FieldError[] {
  const allowed = spec['podFailurePolicy'] === undefined ? ['Failed', 'TerminatingOrFailed'] : ['Failed'];
  return givenChoiceErrors(field, spec['podReplacementPolicy'], allowed);
}

function selectorErrors(job: JsonObject): readonly FieldError[] {
  const selector = at(job, 'spec.selector');
  const template = objectOf(at(job, 'spec.template'));
  // No selector selects nothing.
  if (!isObject(selector)) return [requiredField('spec.selector'), labelMismatch(template)];
  const wrong = labelSelectorErrors(selector, 'spec.selector');
  return wrong.length > 0 ? wrong : labelMatchErrors(selector, template);
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

function restartPolicyErrors(spec: JsonObject, path: string): readonly FieldError[] {
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

/**
 * What may change of the template of a suspended Job whose pods are gone: where its pods go, and what they ask for. One that was begun has to say
 * first that it is suspended (gates MutableSchedulingDirectivesForSuspendedJobs and MutablePodResourcesForSuspendedJobs).
 */
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
  const hasBegun = at(old, 'status.startTime') !== undefined && !isToldSuspended(old);
  const isIdle = at(old, 'spec.suspend') === true && numberOf(at(old, 'status.active')) === 0 && !hasBegun;
  const fixed = (object: JsonObject): JsonObject => {
    const template = objectOf(at(object, path));
    if (!isIdle) return template;
    const stripped = whileSuspended.reduce((next, field) => withPath(next, field, undefined), template);
    return withoutResources(['metadata', 'spec.affinity'].reduce(withoutEmpty, stripped));
  };
  if (equalStored(fixed(old), fixed(job))) return [];
  // What is compared of an idle Job is the spec.
  const [place, type] = isIdle ? [`${path}.spec`, 'core.v1.PodSpec'] : [path, 'core.v1.PodTemplateSpec'];
  return [invalidStruct(place, goValue(type, at(job, place)), 'field is immutable')];
}

function isToldSuspended(job: JsonObject): boolean {
  return objectsOf(at(job, 'status.conditions')).some(
    ({ type, status }) => type === 'Suspended' && status === 'True',
  );
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

function scheduleErrors(schedule: string): readonly FieldError[] {
  const field = 'spec.schedule';
  if (schedule === '') return [requiredField(field)];
  // A zone in the schedule is known, and refused.
  const parsed = parseSchedule(schedule.replace(/^(CRON_)?TZ=\S+\s*/, ''));
  const detail = 'cannot use TZ or CRON_TZ in schedule, use timeZone field instead';
  return [
    ...(parsed.kind === 'invalid' ? [invalidField(field, schedule, parsed.message)] : []),
    ...(schedule.includes('TZ') ? [invalidField(field, schedule, detail)] : []),
  ];
}

function zoneErrors(zone: unknown): readonly FieldError[] {
  const wrong = zone === undefined ? undefined : timeZoneError(stringOf(zone));
  return wrong === undefined ? [] : [invalidField('spec.timeZone', zone, wrong)];
}

/** The Jobs' own selectors are generated. */
function jobTemplateErrors(job: JsonObject, path: string): readonly FieldError[] {
  const { selector, manualSelector } = job;
  return [
    ...(selector === undefined
      ? []
      : [
          invalidStruct(
            `${path}.selector`,
            goValue('meta.v1.LabelSelector', selector),
            '`selector` will be auto-generated',
          ),
        ]),
    ...(manualSelector === true
      ? [notSupportedField(`${path}.manualSelector`, manualSelector, ['nil', 'false'])]
      : []),
  ];
}
