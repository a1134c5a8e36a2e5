/** What a 1.36.2 answered several users, asked again. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { aggregateRoles } from '#control-plane/apiserver/chain/authz/aggregate-roles.fixture.ts';
import { replayed, type Otherwise } from '#control-plane/apiserver/observed/observed-step.fixture.ts';
import {
  podNamed,
  startTestServer,
  type Answer,
  type TestServer,
} from '#control-plane/apiserver/test-server.fixture.ts';
import { askAs, readSections, type AccessStep } from './replay.fixture.ts';

let test: TestServer;
/** Uids as the observer calls them. */
const uids = new Map<string, string>();
beforeAll(async () => {
  test = await startTestServer();
  await fill(test);
});
afterAll(() => test[Symbol.asyncDispose]());

const otherwise: Otherwise = new Map([
  [84, 'the vendor has one rule more, and the order is that of a map of Go'],
  [120, 'the vendor lets nodes say which role they have'],
  [310, 'what the server says of its own schemas has no owner'],
]);

describe.each(readSections())('$title', ({ steps }) => {
  it.each(steps)('$line $label', async (step) => {
    const found = await replayed(step, otherwise, ask);
    if (otherwise.has(step.line)) expect(found).not.toEqual([]);
    else expect(found).toEqual([]);
  });
});

async function ask(step: AccessStep): Promise<Answer> {
  const body = step.body?.replaceAll(/"U\d+"/g, (name) => `"${uids.get(name.slice(1, -1)) ?? name}"`);
  return askAs(test, { ...step, body });
}

/** The cluster that was observed. */
async function fill({ make, call }: TestServer): Promise<void> {
  await make('/api/v1/namespaces', { metadata: { name: 'acc' } });
  const core = '/api/v1/namespaces/acc';
  const made = async (name: string, path: string, object: object): Promise<void> => {
    uids.set(name, String((await make(path, object))['metadata']?.['uid']));
  };
  for (const name of ['default', 'viewer']) await make(`${core}/serviceaccounts`, { metadata: { name } });
  for (const name of ['s-used', 's-other']) await make(`${core}/secrets`, { metadata: { name } });
  await call('POST', `${core}/persistentvolumeclaims`, {
    headers: { 'user-agent': 'obs/1.0' },
    body: {
      metadata: { name: 'pvc-used' },
      spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } },
    },
  });
  const volumes = [
    { name: 's', secret: { secretName: 's-used' } },
    { name: 'p', persistentVolumeClaim: { claimName: 'pvc-used' } },
  ];
  const containers = [{ name: 'c', image: 'i' }];
  await made('U1', '/api/v1/nodes', { metadata: { name: 'a' } });
  await made('U3', '/api/v1/nodes', { metadata: { name: 'b' } });
  await made('U2', `${core}/pods`, podNamed('pa', { spec: { nodeName: 'a', containers, volumes } }));
  await made('U5', `${core}/pods`, podNamed('pb', { spec: { nodeName: 'b', containers } }));
  await make('/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases', { metadata: { name: 'a' } });
  await make('/api/v1/namespaces', { metadata: { name: 'psp' } });
  await make('/api/v1/namespaces/psp/serviceaccounts', { metadata: { name: 'default' } });
  const bad = { containers, hostNetwork: true };
  for (const name of ['bad', 'bad2'])
    await make('/api/v1/namespaces/psp/pods', podNamed(name, { spec: bad }));
  await make('/api/v1/namespaces', { metadata: { name: 'psr' } });
  await fillRoles(make);
  await aggregateRoles(call);
}

async function fillRoles(make: TestServer['make']): Promise<void> {
  const group = '/apis/rbac.authorization.k8s.io/v1';
  const write = ['get', 'list', 'create', 'update', 'patch'];
  await make(`${group}/clusterroles`, {
    metadata: { name: 'rbac-writer' },
    rules: [
      { apiGroups: ['rbac.authorization.k8s.io'], resources: ['*'], verbs: write },
      { apiGroups: [''], resources: ['pods'], verbs: ['get', 'list'] },
    ],
  });
  const roleRef = (name: string): object => ({
    ...{ apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name },
  });
  await make(`${group}/clusterrolebindings`, {
    ...{ metadata: { name: 'bob-w' }, roleRef: roleRef('rbac-writer') },
    subjects: [{ kind: 'User', name: 'bob', apiGroup: 'rbac.authorization.k8s.io' }],
  });
  await make(`${group}/namespaces/acc/rolebindings`, {
    ...{ metadata: { name: 'viewer' }, roleRef: roleRef('view') },
    subjects: [{ kind: 'ServiceAccount', name: 'viewer', namespace: 'acc' }],
  });
}
