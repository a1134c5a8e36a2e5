import { invalid, ruleAt, says } from '#api/validation/rules/row.fixture.ts';
import type { Edits, RuleRow, TablePart } from '#api/validation/rules/rule-table.fixture.ts';
import { pod } from './pod.fixture.ts';

/** What a pod is asked for, and a template is not, or in another way. */
const onlyOfPods: TablePart['not'] = {
  'only of pods': [
    'spec.containers.image: without blanks around it',
    'spec.nodeName: not while gated',
    'spec.ephemeralContainers: none of a new pod',
  ],
  'only what a pod may have at most is also what it asks for': [
    'spec.containers.resources.limits: names of resources',
    'spec.containers.resources.limits: whole huge pages',
    'spec.resources.limits: cpu, memory and huge pages',
  ],
};

/** Of pods that are there to stay. */
export const staying: TablePart['not'] = {
  'Always, which the owner asks for': [
    'spec.restartPolicy: one of three',
    'spec.containers.resizePolicy.restartPolicy: none in a pod that is not restarted',
  ],
  'none, which the owner asks for': ['spec.activeDeadlineSeconds: above 0'],
};

/** The template of an owner's pods, where it is; `times`: how often upstream looks at its labels and annotations. */
export function podTemplateAt(
  template: string,
  {
    beside = {},
    not = {},
    times = 1,
  }: { readonly beside?: Edits; readonly not?: TablePart['not']; readonly times?: number } = {},
): TablePart {
  const said = (name: string, detail: string): readonly string[] =>
    Array.from({ length: times }, () => `${template}.${name}: ${detail}`);
  const rows: readonly RuleRow[] = [
    ruleAt(
      `${template}.metadata.labels[x]`,
      'values of labels',
      { passes: 'b', fails: 'b c' },
      said('labels', invalid('b c', says.labelValue)),
    ),
    ruleAt(
      `${template}.metadata.annotations`,
      'qualified names',
      { passes: { a: 'b c' }, fails: { 'a b': 'c' } },
      said('annotations', invalid('a b', says.qualified)),
    ),
  ].map((row) => ({ ...row, field: row.field.replace('[x]', '') }));
  return { of: pod, at: `${template}.spec`, beside, not: { ...onlyOfPods, ...not }, rows };
}

/** What a pod that is made by a template has of its own, whatever the template says. */
export function ownOfPods(template: string): readonly string[] {
  return [`${template}.metadata.*`];
}
