import { describe, expect, it } from 'vitest';
import type { PolicyRule } from '#api/generated/objects.ts';
import type { Attributes } from '#control-plane/apiserver/chain/authz/authorizer.ts';
import { allows, compactRules, describeRule, notHeld } from './policy-rule.ts';

const user = { name: 'u', groups: [] };
const get = (resource: string, more: object = {}): Attributes => {
  const [kind = '', subresource = ''] = resource.split('/');
  const place = { namespace: 'n', name: '', ...more };
  return { kind: 'resource', user, verb: 'get', group: '', resource: kind, subresource, ...place };
};
const path = (text: string): Attributes => ({ kind: 'path', user, verb: 'get', path: text });
const rule = (resources: readonly string[], more: object = {}): PolicyRule => ({
  ...{ verbs: ['get'], apiGroups: [''], resources },
  ...more,
});

const rows: readonly (readonly [name: string, rule: PolicyRule, asked: Attributes, want: boolean])[] = [
  ['the resource', rule(['pods']), get('pods'), true],
  ['another resource', rule(['pods']), get('secrets'), false],
  ['all resources', rule(['*']), get('secrets'), true],
  ['all resources, of a subresource', rule(['*']), get('pods/log'), true],
  ['a subresource by its name', rule(['pods/log']), get('pods/log'), true],
  ['a subresource, of the object', rule(['pods/log']), get('pods'), false],
  ['the object, of a subresource', rule(['pods']), get('pods/log'), false],
  ['a subresource of all', rule(['*/scale']), get('deployments/scale'), true],
  ['a subresource of all, of the object', rule(['*/scale']), get('deployments'), false],
  ['another verb', rule(['pods'], { verbs: ['list'] }), get('pods'), false],
  ['all verbs', rule(['pods'], { verbs: ['*'] }), get('pods'), true],
  ['another group', rule(['pods'], { apiGroups: ['apps'] }), get('pods'), false],
  ['all groups', rule(['pods'], { apiGroups: ['*'] }), get('pods'), true],
  ['a name', rule(['pods'], { resourceNames: ['a'] }), get('pods', { name: 'a' }), true],
  ['another name', rule(['pods'], { resourceNames: ['a'] }), get('pods', { name: 'b' }), false],
  ['a name, of all', rule(['pods'], { resourceNames: ['a'] }), get('pods'), false],
  ['a path', { verbs: ['get'], nonResourceURLs: ['/x'] }, path('/x'), true],
  ['a path below', { verbs: ['get'], nonResourceURLs: ['/x'] }, path('/x/y'), false],
  ['paths by prefix', { verbs: ['get'], nonResourceURLs: ['/x/*'] }, path('/x/y/z'), true],
  ['all paths', { verbs: ['get'], nonResourceURLs: ['*'] }, path('/x'), true],
  ['resources, of a path', rule(['*']), path('/x'), false],
  ['paths, of a resource', { verbs: ['*'], nonResourceURLs: ['*'] }, get('pods'), false],
];

describe('allows()', () => {
  it.each(rows)('%s', (_name, given, asked, want) => expect(allows(given, asked)).toBe(want));
});

describe('notHeld()', () => {
  const lacks = (held: readonly PolicyRule[], given: readonly PolicyRule[]): string =>
    compactRules(notHeld(held, given)).map(describeRule).join('');

  it('has each combination that is not held, with its verbs', () => {
    const given = { verbs: ['get', 'delete'], apiGroups: ['', 'apps'], resources: ['pods', 'secrets'] };
    expect(lacks([rule(['pods'])], [given])).toBe(
      '{APIGroups:[""], Resources:["pods"], Verbs:["delete"]}' +
        '{APIGroups:[""], Resources:["secrets"], Verbs:["get" "delete"]}' +
        '{APIGroups:["apps"], Resources:["pods"], Verbs:["get" "delete"]}' +
        '{APIGroups:["apps"], Resources:["secrets"], Verbs:["get" "delete"]}',
    );
  });

  it.each([
    ['all of them, of some names', [rule(['pods'])], rule(['pods'], { resourceNames: ['a'] }), true],
    ['some names, of all', [rule(['pods'], { resourceNames: ['a'] })], rule(['pods']), false],
    ['a subresource of all', [rule(['*/scale'])], rule(['deployments/scale']), true],
    ['all, of one', [rule(['*'])], rule(['pods/log']), true],
    ['one, of all', [rule(['pods'])], rule(['*']), false],
    ['in two rules', [rule(['pods']), rule(['secrets'])], rule(['pods', 'secrets']), true],
    [
      'paths by prefix',
      [{ verbs: ['get'], nonResourceURLs: ['/x/*'] }],
      { verbs: ['get'], nonResourceURLs: ['/x/y*'] },
      true,
    ],
    [
      'all paths, of a prefix',
      [{ verbs: ['get'], nonResourceURLs: ['/x/*'] }],
      { verbs: ['get'], nonResourceURLs: ['*'] },
      false,
    ],
  ] as const)('%s', (_name, held, given, want) => expect(lacks(held, [given]) === '').toBe(want));
});
