import { describe, expect, it } from 'vitest';
import type { FlowSchema, PolicyRulesWithSubjects } from '#api/generated/objects.ts';
import type { Attributes } from '#control-plane/apiserver/chain/authz/authorizer.ts';
import { readFlowSchema } from './flow-schema.ts';
import { FlowTable, inOrder, Schema } from './flow-table.ts';

const everybody = [{ kind: 'Group', group: { name: '*' } }];
const everything = {
  resourceRules: [
    { verbs: ['*'], apiGroups: ['*'], resources: ['*'], clusterScope: true, namespaces: ['*'] },
  ],
  nonResourceRules: [{ verbs: ['*'], nonResourceURLs: ['*'] }],
};

function schemaOf(name: string, rules: readonly PolicyRulesWithSubjects[], given: object = {}): FlowSchema {
  const spec = { priorityLevelConfiguration: { name: 'l' }, matchingPrecedence: 100, rules, ...given };
  return { metadata: { name, uid: `uid-${name}` }, spec };
}

function tableOf(...schemas: readonly FlowSchema[]): FlowTable<string> {
  const last = new Schema(readFlowSchema(schemaOf('last', [])), 'level');
  return new FlowTable(
    inOrder(schemas.map(readFlowSchema)).map((rules) => new Schema(rules, 'level')),
    last,
  );
}

const alice = { name: 'alice', groups: ['devs'] };
const account = { name: 'system:serviceaccount:kube-system:job', groups: [] };
const pods: Attributes = {
  kind: 'resource',
  user: alice,
  verb: 'get',
  group: '',
  resource: 'pods',
  subresource: '',
  namespace: 'n',
  name: 'p',
};
const path: Attributes = { kind: 'path', user: alice, verb: 'get', path: '/healthz/ping' };

/** Of one rule, that is about everything but what a row says. */
const rows: readonly {
  readonly name: string;
  readonly rule: Partial<PolicyRulesWithSubjects>;
  readonly asked?: Partial<Attributes>;
  readonly of?: Attributes;
  readonly is: boolean;
}[] = [
  { name: 'a user by name', rule: { subjects: [{ kind: 'User', user: { name: 'alice' } }] }, is: true },
  { name: 'another user', rule: { subjects: [{ kind: 'User', user: { name: 'bob' } }] }, is: false },
  { name: 'all users', rule: { subjects: [{ kind: 'User', user: { name: '*' } }] }, is: true },
  { name: 'a group', rule: { subjects: [{ kind: 'Group', group: { name: 'devs' } }] }, is: true },
  { name: 'another group', rule: { subjects: [{ kind: 'Group', group: { name: 'ops' } }] }, is: false },
  {
    name: 'one of several subjects',
    rule: {
      subjects: [
        { kind: 'User', user: { name: 'bob' } },
        { kind: 'Group', group: { name: 'devs' } },
      ],
    },
    is: true,
  },
  {
    name: 'an account',
    rule: {
      subjects: [{ kind: 'ServiceAccount', serviceAccount: { namespace: 'kube-system', name: 'job' } }],
    },
    asked: { user: account },
    is: true,
  },
  {
    name: 'all accounts of a namespace',
    rule: { subjects: [{ kind: 'ServiceAccount', serviceAccount: { namespace: 'kube-system', name: '*' } }] },
    asked: { user: account },
    is: true,
  },
  {
    name: 'accounts of a namespace that begins so',
    rule: { subjects: [{ kind: 'ServiceAccount', serviceAccount: { namespace: 'kube', name: '*' } }] },
    asked: { user: account },
    is: false,
  },
  { name: 'no rule for resources', rule: { resourceRules: [] }, is: false },
  { name: 'a verb', rule: resources({ verbs: ['get', 'list'] }), is: true },
  { name: 'another verb', rule: resources({ verbs: ['watch'] }), is: false },
  { name: 'a group of the API', rule: resources({ apiGroups: ['apps'] }), is: false },
  { name: 'a resource', rule: resources({ resources: ['pods'] }), is: true },
  {
    name: 'a resource, not its parts',
    rule: resources({ resources: ['pods'] }),
    asked: { subresource: 'status' },
    is: false,
  },
  {
    name: 'a part',
    rule: resources({ resources: ['pods/status'] }),
    asked: { subresource: 'status' },
    is: true,
  },
  { name: 'another namespace', rule: resources({ namespaces: ['m'] }), is: false },
  { name: 'the cluster alone', rule: resources({ namespaces: [], clusterScope: true }), is: false },
  {
    name: 'all namespaces, asked for at once',
    rule: resources({ clusterScope: false }),
    asked: { namespace: '' },
    is: false,
  },
  { name: 'the cluster', rule: resources({ clusterScope: true }), asked: { namespace: '' }, is: true },
  { name: 'a path', rule: paths(['/healthz/ping']), of: path, is: true },
  { name: 'what is below a path', rule: paths(['/healthz']), of: path, is: true },
  { name: 'a path that only begins so', rule: paths(['/health']), of: path, is: false },
  { name: 'all below', rule: paths(['/healthz/*']), of: path, is: true },
  { name: 'no rule for paths', rule: { nonResourceRules: [] }, of: path, is: false },
  {
    name: 'another method',
    rule: { nonResourceRules: [{ verbs: ['put'], nonResourceURLs: ['*'] }] },
    of: path,
    is: false,
  },
];

function resources(given: object): Partial<PolicyRulesWithSubjects> {
  return { resourceRules: everything.resourceRules.map((rule) => ({ ...rule, ...given })) };
}

function paths(nonResourceURLs: readonly string[]): Partial<PolicyRulesWithSubjects> {
  return { nonResourceRules: [{ verbs: ['get'], nonResourceURLs }] };
}

describe('FlowTable', () => {
  it.each(rows)('compares $name: $is', ({ rule, asked, of = pods, is }) => {
    const table = tableOf(schemaOf('a', [{ subjects: everybody, ...everything, ...rule }]));
    const attributes = { ...of, ...asked } as Attributes;
    expect(table.classify(attributes).rules.name).toBe(is ? 'a' : 'last');
    expect(table.classify(attributes).rules.name).toBe(is ? 'a' : 'last'); // From what it remembers.
  });

  it('asks by precedence, then by name', () => {
    const rule = { subjects: everybody, ...everything };
    const [b, a] = [schemaOf('b', [rule]), schemaOf('a', [rule])];
    expect(tableOf(b, a).classify(pods).rules.name).toBe('a');
    expect(tableOf(schemaOf('z', [rule], { matchingPrecedence: 1 }), a, b).classify(pods).rules.name).toBe(
      'z',
    );
  });

  it('tells users of a name in different groups apart', () => {
    const table = tableOf(
      schemaOf('a', [{ subjects: [{ kind: 'Group', group: { name: 'devs' } }], ...everything }]),
    );
    expect(table.classify(pods).rules.name).toBe('a');
    expect(table.classify({ ...pods, user: { name: 'alice', groups: [] } }).rules.name).toBe('last');
  });

  it.each([
    { method: { type: 'ByUser' }, distinguisher: 'alice' },
    { method: { type: 'ByNamespace' }, distinguisher: 'n' },
    { method: undefined, distinguisher: '' },
  ])('makes flows by $method.type', ({ method, distinguisher }) => {
    const rule = { subjects: everybody, ...everything };
    const schema = tableOf(schemaOf('a', [rule], { distinguisherMethod: method })).classify(pods);
    expect(schema.flowOf(pods)).toMatchObject({ schema: 'a', distinguisher });
    expect(schema.flowOf({ ...pods, name: 'other' })).toBe(schema.flowOf(pods));
  });
});
