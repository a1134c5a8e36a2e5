import { describe, expect, it } from 'vitest';
import { parseFieldSelector } from '#api/meta/field-selector.ts';
import { parseLabelSelector } from '#api/meta/selector.ts';
import type { Attributes } from '#control-plane/apiserver/chain/authz/authorizer.ts';
import { conditionProblem, matchConditions } from './match-conditions.ts';

const pods: Attributes = {
  kind: 'resource',
  user: { name: 'bob', groups: ['dev'] },
  ...{ verb: 'get', group: '', version: 'v1', resource: 'pods', subresource: '', namespace: 'n', name: 'p' },
};
/** Who lists all pods: of nothing that may be empty does he say anything. */
const all: Attributes = {
  kind: 'resource',
  user: { name: 'bob', groups: [] },
  ...{ verb: 'list', group: '', version: 'v1', resource: 'pods', subresource: '', namespace: '', name: '' },
};
const selecting: Attributes = {
  ...all,
  labelSelector: parseLabelSelector('gpu'),
  fieldSelector: parseFieldSelector('spec.nodeName=n1'),
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
    [["request.resourceAttributes.namespace == '' && request.resourceAttributes.name == ''"], all, 'all'],
    [["request.resourceAttributes.group != ''"], all, 'notAll'],
    [["request.resourceAttributes.subresource in ['', 'log']"], all, 'all'],
    [["request.uid == '' && request.groups.size() == 0 && !('team' in request.extra)"], all, 'all'],
    [['has(request.uid) && has(request.resourceAttributes.version)'], all, 'all'],
    [['has(request.nonResourceAttributes) || has(request.resourceAttributes.labelSelector)'], all, 'notAll'],
    [['request.resourceAttributes.labelSelector.requirements[0].values.size() == 0'], selecting, 'all'],
    [["request.resourceAttributes.fieldSelector.requirements[0].values == ['n1']"], selecting, 'all'],
    [["request.user != '' && has(request.resourceAttributes)"], path, 'notAll'],
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
