import { describe, expect, it } from 'vitest';
import type { Attributes } from '#control-plane/apiserver/chain/authz/authorizer.ts';
import { conditionProblem, matchConditions } from './match-conditions.ts';

const pods: Attributes = {
  kind: 'resource',
  user: { name: 'bob', groups: ['dev'] },
  ...{ verb: 'get', group: '', version: 'v1', resource: 'pods', subresource: '', namespace: 'n', name: 'p' },
};
const path: Attributes = { kind: 'path', user: { name: 'eve', groups: [] }, verb: 'get', path: '/x' };

describe('matchConditions()', () => {
  it.each<[readonly string[], Attributes, ReturnType<ReturnType<typeof matchConditions>>]>([
    [[], pods, 'all'],
    [['has(request.resourceAttributes)'], pods, 'all'],
    [['has(request.resourceAttributes)'], path, 'notAll'],
    [["request.resourceAttributes.namespace == 'n'", "!('dev' in request.groups)"], pods, 'notAll'],
    [["request.user == 'bob'", "request.resourceAttributes.verb in ['get', 'list']"], pods, 'all'],
    [
      ["request.resourceAttributes.namespace == 'n'"],
      path,
      {
        error:
          "expression 'request.resourceAttributes.namespace == 'n'' resulted in error: no such key: resourceAttributes",
      },
    ],
    [["request.resourceAttributes.namespace == 'n'", 'false'], path, 'notAll'],
  ])('%j', (expressions, attributes, want) => {
    expect(matchConditions(expressions)(attributes)).toEqual(want);
  });
});

describe('conditionProblem()', () => {
  it.each([
    ['', 'give an expression'],
    ['1', 'must evaluate to bool but got int'],
    [
      'request.colour == 1',
      "compilation failed: ERROR: <input>:1:8: undefined field 'colour'\n | request.colour == 1\n | .......^",
    ],
    ["request.user == 'x'", undefined],
  ])('of %j', (expression, want) => {
    expect(conditionProblem(expression)).toBe(want);
  });
});
