import { describe, expect, it } from 'vitest';
import type { ResourceAttributes } from '#control-plane/apiserver/chain/authz/authorizer.ts';
import type { User } from '#control-plane/apiserver/serve/request.ts';
import { nodeAuthorizer } from './node-authorizer.ts';
import { NodeGraph } from './node-graph.ts';

const node: User = { name: 'system:node:a', groups: ['system:nodes', 'system:authenticated'] };
const proxy: User = { name: 'system:kube-proxy', groups: ['system:authenticated'] };
const get = (name: string, user: User): ResourceAttributes => ({
  ...{ kind: 'resource', verb: 'get', group: '', resource: 'namespaces', subresource: '' },
  ...{ namespace: name, name, user },
});

/** What it says of all else, matrix.test.ts has as observed. */
describe('nodeAuthorizer()', () => {
  it.each([
    ['a node', 'kube-system', node, 'allow'],
    ['a proxy', 'kube-system', proxy, 'allow'],
    ['somebody else', 'kube-system', { name: 'bob', groups: ['system:authenticated'] }, 'noOpinion'],
    ['a node, of another namespace,', 'default', node, 'noOpinion'],
    ['a proxy, of another namespace,', 'default', proxy, 'noOpinion'],
  ] as const)('tells %s which cluster it is by %s', async (_name, namespace, user, want) => {
    const { decision } = await nodeAuthorizer(new NodeGraph(), []).decide(get(namespace, user));
    expect(decision).toBe(want);
  });
});
