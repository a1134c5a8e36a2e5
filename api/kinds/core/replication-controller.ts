import { at, objectOf, type Draft } from '#api/json.ts';
import type { KindRules } from '#api/kinds/rules.ts';

/** Rules of ReplicationControllers: their selector is a map. */
export const replicationControllerRules: KindRules = {
  defaults: [
    ['spec.replicas', 1],
    ['spec.selector', (_spec, object) => templateLabels(object)],
    ['metadata.labels', (_metadata, object) => templateLabels(object)],
  ],
  podTemplatePath: 'spec.template',
};

function templateLabels(object: Draft): unknown {
  const labels = objectOf(at(object, 'spec.template.metadata.labels'));
  return Object.keys(labels).length === 0 ? undefined : { ...labels };
}
