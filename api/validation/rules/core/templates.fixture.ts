import { ownOfPods, podTemplateAt, staying } from '#api/validation/rules/pod/template.fixture.ts';
import { ruleAt, says } from '#api/validation/rules/row.fixture.ts';
import { partsOf, statusRows } from '#api/validation/rules/apps/workloads.fixture.ts';
import type { RuleTable } from '#api/validation/rules/rule-table.fixture.ts';

const containers = [{ name: 'c', image: 'i' }];
const mismatch = '`selector` does not match template `labels`';

export const replicationController: RuleTable = {
  apiVersion: 'v1',
  kind: 'ReplicationController',
  base: {
    // Without, it has those of its template.
    metadata: { name: 'x', labels: { own: '' } },
    spec: { selector: { a: 'b' }, template: { metadata: { labels: { a: 'b' } }, spec: { containers } } },
  },
  rows: [
    ...['replicas', 'minReadySeconds'].map((name) =>
      ruleAt(
        `spec.${name}`,
        'not negative',
        { passes: 0, fails: -1 },
        `Invalid value: -1: ${says.notNegative}`,
      ),
    ),
    {
      field: 'spec.selector',
      rule: 'not empty',
      fails: { 'spec.selector': {}, 'spec.template.metadata': {} },
      message: 'spec.selector: Required value',
    },
    ruleAt('spec.template', 'there', { fails: undefined }, 'Required value'),
    ruleAt('spec.selector', 'selects the template', { passes: { a: 'b' }, fails: { a: 'c' } }, [
      `spec.template.metadata.labels: Invalid value: {"a":"b"}: ${mismatch}`,
    ]),
    ruleAt(
      'spec.template.spec.restartPolicy',
      'Always',
      { passes: 'Always', fails: 'Never' },
      'Unsupported value: "Never": supported values: "Always"',
    ),
    ruleAt(
      'spec.template.spec.activeDeadlineSeconds',
      'none',
      { fails: 5 },
      'Forbidden: activeDeadlineSeconds in ReplicationController is not Supported',
    ),
    ...statusRows(
      ['replicas', 'fullyLabeledReplicas', 'readyReplicas', 'availableReplicas', 'observedGeneration'],
      partsOf('readyReplicas', ['fullyLabeledReplicas', 'readyReplicas', 'availableReplicas']),
    ),
  ],
  parts: [podTemplateAt('spec.template', { not: staying })],
  none: { 'as its pods have it': ownOfPods('spec.template') },
};

export const podTemplate: RuleTable = {
  apiVersion: 'v1',
  kind: 'PodTemplate',
  base: { template: { spec: { containers } } },
  rows: [
    ruleAt('template.spec.containers', 'some', { passes: containers, fails: [] }, 'Required value'),
    ruleAt(
      'template.spec.ephemeralContainers',
      'none',
      { fails: [{ name: 'e', image: 'i' }] },
      'Forbidden: ephemeral containers not allowed in pod template',
    ),
  ],
  parts: [podTemplateAt('template')],
  none: { 'as its pods have it': ownOfPods('template') },
};

export const controllerRevision: RuleTable = {
  apiVersion: 'apps/v1',
  kind: 'ControllerRevision',
  base: { data: { spec: {} }, revision: 1 },
  rows: [
    ruleAt('revision', 'not negative', { passes: 0, fails: -1 }, `Invalid value: -1: ${says.notNegative}`),
    ruleAt('data', 'there', { passes: { a: 'b' }, fails: undefined }, 'Required value: data is mandatory'),
    {
      ...ruleAt('data', 'stays', { fails: { a: 'b' } }, 'Invalid value: {"a":"b"}: field is immutable'),
      from: {},
      passes: { revision: 2 },
    },
  ],
};
