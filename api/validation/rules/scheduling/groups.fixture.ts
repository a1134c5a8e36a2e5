import { invalid, oneOfAt, ruleAt, says } from '#api/validation/rules/row.fixture.ts';
import type { RuleRow, RuleTable } from '#api/validation/rules/rule-table.fixture.ts';

const apiVersion = 'scheduling.k8s.io/v1alpha2';
const gang = { gang: { minCount: 1 } };
const shown = 'a struct that stays is shown in another order of its members';
const off = 'of features that are off in a 1.36, and left out';

/** What groups and their templates have alike. */
function groupRows(path: string): readonly RuleRow[] {
  const policy = `${path}.schedulingPolicy`;
  const names = '`basic`, `gang`';
  return [
    ruleAt(policy, 'one of the policies', { passes: { basic: {} }, fails: {} }, [
      `${policy}: ${invalid('', `must specify one of: ${names}`)}`,
    ]),
    ruleAt(policy, 'one alone', { passes: gang, fails: { ...gang, basic: {} } }, [
      `${policy}: ${invalid('{`basic`, `gang`}', `exactly one of ${names} is required, but multiple fields are set`)}`,
    ]),
    ruleAt(`${policy}.gang.minCount`, 'there', { passes: 1, fails: 0 }, 'Required value'),
    ruleAt(
      `${policy}.gang.minCount`,
      'above 0',
      { passes: 2, fails: -1 },
      invalid(-1, 'must be greater than or equal to 1'),
    ),
    ruleAt(
      `${path}.priorityClassName`,
      'a DNS subdomain',
      { passes: 'a.b', fails: 'a_b' },
      invalid('a_b', says.subdomain),
    ),
    ruleAt(
      `${path}.priority`,
      'up to a thousand million',
      { passes: 1_000_000_000, fails: 1_000_000_001 },
      invalid(1_000_000_001, 'must be less than or equal to 1000000000'),
    ),
    oneOfAt(`${path}.disruptionMode`, ['Pod', 'PodGroup']),
  ];
}

const dropped = (path: string): readonly string[] => [
  `${path}.schedulingConstraints.*`,
  `${path}.resourceClaims.*`,
];

/** What stays as it was made; of a struct, whose members upstream shows in the order of its type, how the text begins. */
function staysRow(path: string, passes: unknown, fails: unknown): RuleRow {
  const text = typeof fails === 'object' ? '…' : `${JSON.stringify(fails)}: field is immutable`;
  return {
    ...ruleAt(path, 'stays', { fails }, `Invalid value: ${text}`),
    from: { [path]: passes },
    passes: { 'metadata.labels': { a: 'b' } },
  };
}

const reference = 'spec.podGroupTemplateRef';
const named = { workload: { workloadName: 'w', podGroupTemplateName: 't' } };

export const podGroup: RuleTable = {
  apiVersion,
  kind: 'PodGroup',
  base: { spec: { schedulingPolicy: gang } },
  rows: [
    ruleAt(
      reference,
      'of a workload',
      { passes: named, fails: {} },
      invalid('', 'must specify one of: `workload`'),
    ),
    ...(['workloadName', 'podGroupTemplateName'] as const).flatMap((name) => [
      ruleAt(`${reference}.workload.${name}`, 'there', { passes: 'a', fails: '' }, 'Required value', {
        [reference]: named,
      }),
      ruleAt(
        `${reference}.workload.${name}`,
        name === 'workloadName' ? 'a DNS subdomain' : 'a label',
        { passes: 'a', fails: 'a_b' },
        invalid('a_b', name === 'workloadName' ? says.subdomain : says.label),
        { [reference]: named },
      ),
    ]),
    ...groupRows('spec'),
    staysRow('spec.priority', 1, 2),
    staysRow('spec.priorityClassName', 'a', 'b'),
    staysRow('spec.disruptionMode', 'Pod', 'PodGroup'),
    staysRow('spec.schedulingPolicy', gang, { gang: { minCount: 2 } }),
    staysRow(reference, named, { workload: { workloadName: 'w', podGroupTemplateName: 'u' } }),
  ],
  none: { [off]: dropped('spec') },
  lacks: { [shown]: [reference, 'spec.schedulingPolicy'] },
};

const templates = 'spec.podGroupTemplates';
const template = (name: string): object => ({ name, schedulingPolicy: gang });
const owner = { kind: 'Job', name: 'j' };

export const workload: RuleTable = {
  apiVersion,
  kind: 'Workload',
  base: { spec: { podGroupTemplates: [template('t')] } },
  rows: [
    ruleAt(
      'spec.controllerRef.apiGroup',
      'a DNS subdomain',
      { passes: 'a.b', fails: 'a_b' },
      invalid('a_b', says.subdomain),
      {
        'spec.controllerRef': owner,
      },
    ),
    ...(['kind', 'name'] as const).flatMap((name) => [
      ruleAt(`spec.controllerRef.${name}`, 'there', { passes: 'a', fails: '' }, 'Required value', {
        'spec.controllerRef': owner,
      }),
      ruleAt(
        `spec.controllerRef.${name}`,
        'part of a path',
        { passes: 'A_b', fails: 'a/b' },
        invalid('a/b', "may not contain '/'"),
        { 'spec.controllerRef': owner },
      ),
    ]),
    ruleAt(templates, 'some', { passes: [template('a')], fails: [] }, 'Required value'),
    ruleAt(
      templates,
      'at most 8',
      {
        passes: Array.from({ length: 8 }, (_, index) => template(`t${index}`)),
        fails: Array.from({ length: 9 }, (_, index) => template(`t${index}`)),
      },
      'Too many: 9: must have at most 8 items',
    ),
    ruleAt(
      templates,
      'each once',
      { passes: [template('a'), template('b')], fails: [template('a'), template('a')] },
      [`${templates}[1].name: Duplicate value: "a"`],
    ),
    ruleAt(`${templates}[0].name`, 'there', { passes: 'a', fails: '' }, 'Required value'),
    ruleAt(`${templates}[0].name`, 'a label', { passes: 'a', fails: 'a.b' }, invalid('a.b', says.label)),
    ...groupRows(`${templates}[0]`),
    staysRow(templates, [template('t')], [template('u')]),
    staysRow('spec.controllerRef', owner, { kind: 'Job', name: 'k' }),
  ],
  none: { [off]: dropped(templates) },
  lacks: { [shown]: [templates, 'spec.controllerRef'] },
};
