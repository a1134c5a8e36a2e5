import { describe, expect, it } from 'vitest';
import type { JsonObject } from '#api/meta/object.ts';
import { readDefinition, type Definition } from './definition.ts';
import { planNames, type UsedNames } from './names-plan.ts';

const names = {
  plural: 'things',
  singular: 'thing',
  shortNames: ['th'],
  kind: 'Thing',
  listKind: 'ThingList',
};

function definition(more: JsonObject = {}, group = 'example.com', annotations: JsonObject = {}): Definition {
  return readDefinition({
    metadata: { name: `things.${group}`, uid: 'u', generation: 1, annotations },
    spec: { group, scope: 'Namespaced', names, versions: [{ name: 'v1', served: true, storage: true }] },
    status: more,
  });
}

const used = (resources: readonly string[], kinds: readonly string[] = []): UsedNames => ({
  hasResource: (name) => resources.includes(name),
  hasKind: (name) => kinds.includes(name),
});
const free = used([]);

const conflicts: readonly {
  readonly name: string;
  readonly given: UsedNames;
  readonly reason: string;
  readonly message: string;
}[] = [
  {
    name: 'plural',
    given: used(['things']),
    reason: 'PluralConflict',
    message: '"things" is already in use',
  },
  {
    name: 'singular',
    given: used(['thing']),
    reason: 'SingularConflict',
    message: '"thing" is already in use',
  },
  { name: 'short', given: used(['th']), reason: 'ShortNamesConflict', message: '"th" is already in use' },
  { name: 'kind', given: used([], ['Thing']), reason: 'KindConflict', message: '"Thing" is already in use' },
  {
    name: 'all',
    given: used(['things', 'thing', 'th'], ['Thing', 'ThingList']),
    reason: 'ListKindConflict',
    message: '"ThingList" is already in use',
  },
];

describe('planNames()', () => {
  it('accepts what is free, and establishes', () => {
    const { accepted, conditions } = planNames(definition(), free, 0);
    expect(accepted).toMatchObject(names);
    expect(conditions.map(({ type, status }) => [type, status])).toEqual([
      ['NamesAccepted', 'True'],
      ['Established', 'True'],
    ]);
  });

  it.each(conflicts)('tells of a $name that another has', ({ given, reason, message }) => {
    const { conditions } = planNames(definition(), given, 0);
    expect(conditions).toMatchObject([
      { type: 'NamesAccepted', status: 'False', reason, message },
      { type: 'Established', status: 'False', reason: 'NotAccepted' },
    ]);
  });

  it('changes nothing of what it said before, and keeps what is established', () => {
    const first = planNames(definition(), free, 0);
    const told = definition({ acceptedNames: first.accepted as never, conditions: first.conditions });
    expect(planNames(told, free, 5_000)).toEqual(first);
    const taken = planNames(told, used(['things', 'thing', 'th'], ['Thing', 'ThingList']), 5_000);
    expect(taken).toEqual(first); // They are its own.
  });

  it.each([
    ['', 'False', 'MissingAnnotation'],
    ['nope', 'False', 'InvalidAnnotation'],
    ['unapproved, a test', 'False', 'UnapprovedAnnotation'],
    ['https://github.com/kubernetes/kubernetes/pull/1', 'True', 'ApprovedAnnotation'],
  ])('says of a group of Kubernetes with the approval %j: %s, %s', (approval, status, reason) => {
    const annotations = approval === '' ? {} : { 'api-approved.kubernetes.io': approval };
    const { conditions } = planNames(definition({}, 'x.k8s.io', annotations), free, 0);
    expect(conditions[0]).toMatchObject({ type: 'KubernetesAPIApprovalPolicyConformant', status, reason });
  });
});
