import { at, objectOf, stringOf, withPath } from '#api/json.ts';
import type { CreateContext, KindRules } from '#api/kinds/rules.ts';
import type { JsonObject } from '#api/object.ts';

/** Rules of Jobs. */
export const jobRules: KindRules = {
  prepareCreate: labelJob,
};

/** A Job without manualSelector selects its pods by its own uid. */
function labelJob(job: JsonObject, { uid }: CreateContext): JsonObject {
  if (at(job, 'spec.manualSelector') === true) return job;
  const name = stringOf(at(job, 'metadata.name'));
  const labels = {
    'batch.kubernetes.io/controller-uid': uid,
    'batch.kubernetes.io/job-name': name,
    'controller-uid': uid,
    'job-name': name,
  };
  const merge = (object: JsonObject, path: string): JsonObject =>
    withPath(object, path, { ...objectOf(at(object, path)), ...labels });
  const labelled = merge(merge(job, 'metadata.labels'), 'spec.template.metadata.labels');
  return withPath(labelled, 'spec.selector', { matchLabels: { 'batch.kubernetes.io/controller-uid': uid } });
}
