import { templateLabels } from '#api/defaults/template-labels.ts';
import type { DefaultRule } from '#api/defaults/rule.ts';
import { at, objectOf, stringOf, typed, withPath } from '#api/wire/json.ts';
import { acted } from '#api/kinds/effect.ts';
import type { CreateContext, KindRules } from '#api/kinds/rules.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { jobCells } from '#api/table/workload.ts';
import { jobLabels, validateJob, validateJobUpdate } from '#api/validation/batch.ts';
import { validateJobStatus } from '#api/validation/job-status.ts';
import { jobWarnings } from '#api/warnings/job.ts';

/** What a Job is given also within a CronJob (generated defaults go into each type that has some of its own). */
export function conditionDefaults(spec: string): DefaultRule {
  return [`${spec}.podFailurePolicy.rules[].onPodConditions[].status`, 'True'];
}

const jobDefaults: readonly DefaultRule[] = [
  // Both unset means one pod that has to succeed; completions alone means a fixed count, one at a time.
  ['spec.completions', (job) => (job['parallelism'] === undefined ? 1 : undefined)],
  ['spec.parallelism', 1],
  ['metadata.labels', (_metadata, job) => templateLabels(job)],
  ['spec.backoffLimit', (job) => (job['backoffLimitPerIndex'] === undefined ? 6 : 2_147_483_647)],
  ['spec.completionMode', 'NonIndexed'],
  ['spec.suspend', false],
  ['spec.manualSelector', false],
  [
    'spec.podReplacementPolicy',
    (job) => (job['podFailurePolicy'] === undefined ? 'TerminatingOrFailed' : 'Failed'),
  ],
  conditionDefaults('spec'),
];

/** Rules of Jobs. */
export const jobRules: KindRules = {
  effect: acted('control-plane/controllers/job/reconcile.ts'),
  defaults: jobDefaults,
  podSpec: { path: 'spec.template.spec', isTemplate: true },
  warnings: (job, old) => jobWarnings(job, old),
  prepareCreate: labelJob,
  validate: validateJob,
  validateUpdate: validateJobUpdate,
  validateStatusUpdate: validateJobStatus,
  validatesAll: true,
  propagation: {
    unsaid: 'Orphan',
    warning:
      'child pods are preserved by default when jobs are deleted; set propagationPolicy=Background to remove them or set propagationPolicy=Orphan to suppress this warning',
  },
  selectableFields: [['status.successful', (job) => String(at(job, 'status.succeeded') ?? 0)]],
  cells: (object, now) => jobCells(typed(object), now),
};

/**
 * A Job without manualSelector selects its pods by its own uid. Labels and selectors that say otherwise are left for validation to
 * refuse (generateSelector).
 */
function labelJob(job: JsonObject, { uid }: CreateContext): JsonObject {
  if (at(job, 'spec.manualSelector') === true) return job;
  const labels = jobLabels(uid, stringOf(at(job, 'metadata.name')));
  const [own, pods] = ['metadata.labels', 'spec.template.metadata.labels'];
  const labelled = withPath(job, own, { ...objectOf(at(job, own)), ...labels });
  const complete = withPath(labelled, pods, { ...labels, ...objectOf(at(job, pods)) });
  const key = 'batch.kubernetes.io/controller-uid';
  const selected = { [key]: uid, ...objectOf(at(job, 'spec.selector.matchLabels')) };
  return withPath(complete, 'spec.selector', {
    ...objectOf(at(job, 'spec.selector')),
    matchLabels: selected,
  });
}
