import { describe, expect, it } from 'vitest';
import { tierKinds } from './cluster-policies.ts';
import {
  decodeStandings,
  encodeStandings,
  problemLengthMax,
  standingsMax,
  type PolicyStanding,
} from './policy-standing.ts';

const [admin] = tierKinds;
const one = (name: string, more: Partial<PolicyStanding> = {}): PolicyStanding => ({
  ...{ kind: admin ?? expect.fail('no kinds'), name, uid: `u-${name}`, generation: 3 },
  ...more,
});

describe('what a node says of policies of the cluster', () => {
  it('is read as it was written', () => {
    const given = [one('b'), one('a', { problem: 'egress rule 1: x is not understood' })];
    const text = encodeStandings(given);
    expect(text).toBe(
      '{"AdminNetworkPolicy/a":["v1alpha1","u-a",3,"egress rule 1: x is not understood"],"AdminNetworkPolicy/b":["v1alpha1","u-b",3]}',
    );
    expect([...decodeStandings(text).values()]).toEqual(given.toReversed());
    expect(encodeStandings([])).toBe(undefined);
  });

  it('has bounds', () => {
    const many = Array.from({ length: 300 }, (_, index) => one(`p${index}`, { problem: 'x'.repeat(9_999) }));
    const found = decodeStandings(encodeStandings(many));
    expect(found.size).toBe(standingsMax);
    expect([...found.values()][0]?.problem).toHaveLength(problemLengthMax);
  });

  it.each([
    undefined,
    '',
    '[]',
    '{',
    'null',
    '{"Pod/a":["v1","u",1]}',
    '{"AdminNetworkPolicy/a":["v9","u",1]}',
    '{"AdminNetworkPolicy/..":["v1alpha1","u",1]}',
    '{"AdminNetworkPolicy/a":7}',
  ])('that is none: %s', (text) => {
    expect(decodeStandings(text).size).toBe(0);
  });
});
