import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isPodwrightError } from '#base/errors.ts';
import type { Attributes, ResourceAttributes } from '#control-plane/apiserver/chain/authz/authorizer.ts';
import { compilePolicy, parsePolicy, type Level, type PolicyRule } from './policy.ts';

const bob = { name: 'bob', groups: ['devs', 'system:authenticated'] };
const base: ResourceAttributes = {
  kind: 'resource',
  user: bob,
  verb: 'get',
  group: '',
  resource: 'pods',
  subresource: '',
  namespace: 'n',
  name: 'p',
};
const log: Attributes = { ...base, subresource: 'log' };
const scale: Attributes = { ...base, group: 'apps', resource: 'deployments', subresource: 'scale' };
const path: Attributes = { kind: 'path', user: bob, verb: 'get', path: '/api/v1' };
const node: Attributes = { ...base, resource: 'nodes', namespace: '', name: 'a' };
const named = (...resources: string[]): Omit<PolicyRule, 'level'> => ({
  resources: [{ group: '', resources }],
});

describe('compilePolicy()', () => {
  it.each<[string, Omit<PolicyRule, 'level'>, Attributes, boolean]>([
    ['a rule that asks nothing', {}, base, true],
    ['a rule that asks nothing, of a path', {}, path, true],
    ['empty lists, which ask nothing', { users: [], verbs: [], resources: [], namespaces: [] }, path, true],
    ['the user', { users: ['alice', 'bob'] }, base, true],
    ['another user', { users: ['alice'] }, base, false],
    ['one of the groups', { userGroups: ['x', 'devs'] }, base, true],
    ['none of the groups', { userGroups: ['x'] }, base, false],
    ['the verb', { verbs: ['get'] }, base, true],
    ['another verb', { verbs: ['list'] }, base, false],
    ['the namespace', { namespaces: ['n'] }, base, true],
    ['another namespace', { namespaces: ['m'] }, base, false],
    ['no namespace', { namespaces: [''] }, node, true],
    ['no namespace, of a path', { namespaces: [''] }, path, false],
    ['all of a group', { resources: [{ group: '' }] }, log, true],
    ['all of another group', { resources: [{ group: 'apps' }] }, base, false],
    ['the resource', named('pods'), base, true],
    ['the resource, of its subresource', named('pods'), log, false],
    ['the subresource', named('pods/log'), log, true],
    ['the subresource, of the resource', named('pods/log'), base, false],
    ['all subresources', named('pods/*'), log, true],
    ['all subresources, of the resource', named('pods/*'), base, true],
    ['a subresource of all', { resources: [{ group: 'apps', resources: ['*/scale'] }] }, scale, true],
    ['another subresource of all', named('*/status'), log, false],
    ['everything of a group', named('*'), log, true],
    ['the name', { resources: [{ group: '', resources: ['pods'], resourceNames: ['p'] }] }, base, true],
    ['another name', { resources: [{ group: '', resources: ['pods'], resourceNames: ['q'] }] }, base, false],
    ['a second resource', { resources: [{ group: 'apps' }, { group: '' }] }, base, true],
    ['the path', { nonResourceURLs: ['/api/v1'] }, path, true],
    ['the beginning of the path', { nonResourceURLs: ['/api*'] }, path, true],
    ['every path', { nonResourceURLs: ['*'] }, path, true],
    ['another path', { nonResourceURLs: ['/version'] }, path, false],
    ['paths, of a resource', { nonResourceURLs: ['*'] }, base, false],
  ])('knows %s', (_name, rule, asked, fits) => {
    const rulingOf = compilePolicy({ rules: [{ level: 'Request', ...rule }] });
    expect(rulingOf(asked).level).toBe(fits ? 'Request' : 'None');
  });

  it('takes the first rule that fits, and adds up the stages that are left out', () => {
    const rulingOf = compilePolicy({
      omitStages: ['RequestReceived'],
      omitManagedFields: true,
      rules: [
        { level: 'Metadata', verbs: ['get'], omitStages: ['ResponseStarted'], omitManagedFields: false },
        { level: 'Request', users: ['bob'] },
      ],
    });
    expect(rulingOf(base)).toEqual({
      level: 'Metadata',
      omitStages: new Set(['RequestReceived', 'ResponseStarted']),
      omitManagedFields: false,
    });
    expect(rulingOf({ ...base, verb: 'list' })).toMatchObject({ level: 'Request', omitManagedFields: true });
  });
});

const head = 'apiVersion: audit.k8s.io/v1\nkind: Policy\n';

describe('parsePolicy()', () => {
  it('reads YAML and JSON', () => {
    const levels: readonly Level[] = ['None', 'Metadata', 'Request', 'RequestResponse'];
    const rules = levels.map((level) => ({ level }));
    expect(
      parsePolicy(`${head}rules:\n${levels.map((level) => `- level: ${level}\n`).join('')}`).rules,
    ).toEqual(rules);
    const document = { apiVersion: 'audit.k8s.io/v1', kind: 'Policy', rules };
    expect(parsePolicy(JSON.stringify(document)).rules).toEqual(rules);
  });

  it.each([
    ['', 'it is empty'],
    ['- a', 'it is no object; begin with kind: Policy'],
    ['kind: Policy\nrules: []', "'apiVersion' is not set"],
    ['kind: Policy\napiVersion: audit.k8s.io/v1beta1', 'no kind "Policy" is known for version'],
    ['kind: Foo\napiVersion: audit.k8s.io/v1', 'no kind "Foo" is known for version'],
    [head, 'it has no rules'],
    [`${head}rules: []`, 'it has no rules'],
    [`${head}foo: 1\nrules: [{level: None}]`, 'strict decoding error: unknown field "foo"'],
    [`${head}rules: [{level: None, verb: [get]}]`, 'unknown field "rules[0].verb"'],
    [`${head}rules: [{level: None, verbs: get}]`, 'rules[0].verbs must be a list'],
    [`${head}rules: [{level: None, verbs: [1]}]`, 'rules[0].verbs[0] must be a string'],
    [`${head}rules: [{verbs: [get]}]`, 'rules[0].level: Required value'],
    [`${head}rules: [{level: metadata}]`, 'rules[0].level: Unsupported value: "metadata"'],
    [
      `${head}rules: [{level: None, omitStages: [Begin]}]`,
      'rules[0].omitStages[0]: Unsupported value: "Begin"',
    ],
    [`${head}omitStages: [x]\nrules: [{level: None}]`, 'omitStages[0]: Unsupported value'],
    [`${head}rules: [{level: None, nonResourceURLs: [api]}]`, "must begin with a '/' character"],
    [`${head}rules: [{level: None, nonResourceURLs: [/a*b]}]`, 'must be the final character'],
    [`${head}rules: [{level: None, nonResourceURLs: [/a], namespaces: [ns]}]`, 'both regular resources and'],
    [`${head}rules: [{level: None, resources: [{group: apps/v1}]}]`, 'without its version'],
    [`${head}rules: [{level: None, resources: [{group: '*'}]}]`, 'RFC 1123 subdomain'],
    [`${head}rules: [{level: None, resources: [{resourceNames: [a]}]}]`, 'requires at least one resource'],
    [`${head}rules: [{level: None}]\nrules: []`, 'rules'],
  ])('refuses %j', (text, why) => {
    expect(() => parsePolicy(text)).toThrow(why);
  });

  it('answers whatever is there with a policy or one clear error', () => {
    const word = fc.constantFrom(
      'level',
      'rules',
      'users',
      'None',
      'resources',
      'group',
      '*',
      '/',
      '__proto__',
    );
    const value = fc.letrec((tie) => ({
      any: fc.oneof(
        word,
        fc.integer(),
        fc.boolean(),
        fc.constant(null),
        fc.array(tie('any'), { maxLength: 3 }),
        tie('map'),
      ),
      map: fc.dictionary(word, tie('any'), { maxKeys: 4 }),
    }));
    const attempt = (text: string): void => {
      try {
        compilePolicy(parsePolicy(text))(base);
      } catch (error) {
        expect(isPodwrightError(error, 'E_USAGE'), String(error)).toBe(true);
      }
    };
    fc.assert(fc.property(value.map, (map) => attempt(head + JSON.stringify(map).slice(1, -1))));
    fc.assert(
      fc.property(value.map, (map) =>
        attempt(JSON.stringify({ apiVersion: 'audit.k8s.io/v1', kind: 'Policy', ...map })),
      ),
    );
    fc.assert(fc.property(fc.string({ unit: 'binary', maxLength: 200 }), (text) => attempt(head + text)));
  });
});
