import { hostname } from 'node:os';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { apiServices } from './api-services.ts';
import { identityOf } from './identity.ts';
import { startTestServer, type Json, type TestServer } from './test-server.fixture.ts';

/** An object without what differs from cluster to cluster. */
function trimmed(object: Json): unknown {
  const { metadata, ...rest } = object;
  const {
    uid: _uid,
    creationTimestamp: _made,
    resourceVersion: _revision,
    managedFields: _owners,
    ...kept
  } = metadata ?? {};
  return JSON.parse(
    JSON.stringify({ metadata: kept, ...rest }, (key, value: unknown) =>
      key === 'lastTransitionTime' ? 'T' : value,
    ),
  );
}

const condition = (fields: object): object => ({
  conditions: [{ status: 'True', lastTransitionTime: 'T', ...fields }],
});
const local = condition({
  type: 'Available',
  reason: 'Local',
  message: 'Local APIServices are always available',
});
const namespace = (name: string): object => ({
  metadata: { name, labels: { 'kubernetes.io/metadata.name': name } },
  spec: { finalizers: ['kubernetes'] },
  status: { phase: 'Active' },
});
const address = (name: string, service: string): object => ({
  metadata: {
    name,
    labels: {
      'ipaddress.kubernetes.io/ip-family': 'IPv4',
      'ipaddress.kubernetes.io/managed-by': 'ipallocator.k8s.io',
    },
  },
  spec: { parentRef: { resource: 'services', namespace: 'default', name: service } },
});
const port = { name: 'https', protocol: 'TCP', port: 6443 };

/** What kube-apiserver 1.36.2 has made by itself when it has started. */
const objects: readonly { readonly path: string; readonly want: readonly object[] }[] = [
  {
    path: '/api/v1/namespaces',
    want: ['default', 'kube-node-lease', 'kube-public', 'kube-system'].map(namespace),
  },
  {
    path: '/api/v1/services',
    want: [
      {
        metadata: {
          name: 'kubernetes',
          namespace: 'default',
          labels: { component: 'apiserver', provider: 'kubernetes' },
        },
        spec: {
          ports: [{ name: 'https', protocol: 'TCP', port: 443, targetPort: 6443 }],
          clusterIP: '10.96.0.1',
          clusterIPs: ['10.96.0.1'],
          type: 'ClusterIP',
          sessionAffinity: 'None',
          ipFamilies: ['IPv4'],
          ipFamilyPolicy: 'SingleStack',
          internalTrafficPolicy: 'Cluster',
        },
        status: { loadBalancer: {} },
      },
    ],
  },
  {
    path: '/api/v1/endpoints',
    want: [
      {
        metadata: {
          name: 'kubernetes',
          namespace: 'default',
          labels: { 'endpointslice.kubernetes.io/skip-mirror': 'true' },
        },
        subsets: [{ addresses: [{ ip: '192.0.2.1' }], ports: [port] }],
      },
    ],
  },
  {
    path: '/apis/discovery.k8s.io/v1/endpointslices',
    want: [
      {
        metadata: {
          name: 'kubernetes',
          namespace: 'default',
          generation: 1,
          labels: { 'kubernetes.io/service-name': 'kubernetes' },
        },
        addressType: 'IPv4',
        endpoints: [{ addresses: ['192.0.2.1'], conditions: { ready: true } }],
        ports: [port],
      },
    ],
  },
  { path: '/apis/networking.k8s.io/v1/ipaddresses', want: [address('10.96.0.1', 'kubernetes')] },
  {
    path: '/apis/networking.k8s.io/v1/servicecidrs',
    want: [
      {
        metadata: { name: 'kubernetes', finalizers: ['networking.k8s.io/service-cidr-finalizer'] },
        spec: { cidrs: ['10.96.0.0/16'] },
        status: condition({ type: 'Ready', reason: '', message: 'Kubernetes Service CIDR is ready' }),
      },
    ],
  },
  {
    path: '/apis/scheduling.k8s.io/v1/priorityclasses',
    want: [
      {
        metadata: { name: 'system-cluster-critical', generation: 1 },
        value: 2_000_000_000,
        description:
          'Used for system critical pods that must run in the cluster, but can be moved to another node if necessary.',
        preemptionPolicy: 'PreemptLowerPriority',
      },
      {
        metadata: { name: 'system-node-critical', generation: 1 },
        value: 2_000_001_000,
        description: 'Used for system critical pods that must not be moved from their current node.',
        preemptionPolicy: 'PreemptLowerPriority',
      },
    ],
  },
  {
    path: '/apis/apiregistration.k8s.io/v1/apiservices',
    want: apiServices()
      .map((service) => ({ ...service, status: local }))
      .toSorted((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1)),
  },
];

const leases = '/apis/coordination.k8s.io/v1/leases';

/** bootstrap-policy.test.ts has them. */
const access = ['roles', 'rolebindings', 'clusterroles', 'clusterrolebindings'].map(
  (resource) => `/apis/rbac.authorization.k8s.io/v1/${resource}`,
);

/** fair-shares.test.ts has them. */
const flowControl = ['flowschemas', 'prioritylevelconfigurations'].map(
  (resource) => `/apis/flowcontrol.apiserver.k8s.io/v1/${resource}`,
);

describe('a cluster that nobody has used', () => {
  let test: TestServer;
  beforeAll(async () => {
    test = await startTestServer({ advertisePort: 6443 });
  });
  afterAll(() => test[Symbol.asyncDispose]());

  const itemsOf = async (path: string): Promise<unknown[]> =>
    ((await test.call('GET', path)).json['items'] as unknown as Json[]).map(trimmed);

  it.each(objects)('has $path as Kubernetes has them', async ({ path, want }) => {
    expect(await itemsOf(path)).toEqual(want);
  });

  it('has the lease of its server, and the day since when unused tokens are known', async () => {
    const [lease] = await itemsOf(leases);
    const name = identityOf(hostname());
    expect(lease).toEqual({
      metadata: {
        name,
        namespace: 'kube-system',
        labels: {
          'apiserver.kubernetes.io/identity': 'kube-apiserver',
          'kubernetes.io/hostname': hostname(),
        },
        annotations: { 'kubernetes.io/peer-advertise-address': '192.0.2.1:6443' },
      },
      spec: {
        holderIdentity: expect.stringMatching(new RegExp(`^${name}_[0-9a-f-]{36}$`)),
        leaseDurationSeconds: 3600,
        renewTime: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:]+\.\d{6}Z$/),
      },
    });
    const tracking = 'configmaps/kube-apiserver-legacy-service-account-token-tracking';
    const { json } = await test.call('GET', `/api/v1/namespaces/kube-system/${tracking}`);
    expect(json['data']).toEqual({ since: expect.stringMatching(/^\d{4}-\d\d-\d\d$/) });
  });

  it('has nothing else, but for what is known', async () => {
    const { json } = await test.call('GET', '/apis/apiregistration.k8s.io/v1/apiservices');
    const versions = (json['items'] as unknown as Json[]).map(({ spec }) => spec as unknown as Json);
    const found: string[] = [];
    const all = [...versions, { group: 'apiregistration.k8s.io', version: 'v1' }];
    for (const { group, version } of all) {
      const root = group === undefined ? `/api/${version}` : `/apis/${group}/${version}`;
      const { resources } = (await test.call('GET', root)).json;
      for (const resource of resources as unknown as Json[]) {
        const verbs = resource['verbs'] as unknown as string[];
        if (!verbs.includes('list') || String(resource['name']) === 'componentstatuses') continue;
        const path = `${root}/${resource['name']}`;
        if ((await itemsOf(path)).length > 0) found.push(path);
      }
    }
    const known = [
      ...objects.map(({ path }) => path),
      ...access,
      ...flowControl,
      '/api/v1/configmaps',
      leases,
    ];
    expect(found.toSorted()).toEqual(known.toSorted());
  });

  it('an IPAddress comes and goes with its Service, and comes back while that has it', async () => {
    const path = '/apis/networking.k8s.io/v1/ipaddresses';
    const spec = { clusterIP: '10.96.0.77', ports: [{ port: 80 }] };
    const services = '/api/v1/namespaces/default/services';
    await test.make(services, { metadata: { name: 's' }, spec });
    const { json } = await test.call('GET', `${path}/10.96.0.77`);
    expect(trimmed(json)).toMatchObject(address('10.96.0.77', 's'));
    const since = json['metadata']?.['resourceVersion'];
    const enough = new AbortController();
    const events = test.watch(`${path}?watch=1&resourceVersion=${since}`, enough.signal);
    await test.call('DELETE', `${path}/10.96.0.77`);
    expect((await events.next()).value).toMatchObject({ type: 'DELETED' });
    expect((await events.next()).value).toMatchObject({
      type: 'ADDED',
      object: { metadata: { name: '10.96.0.77' } },
    });
    await test.call('DELETE', `${services}/s`);
    expect((await events.next()).value).toMatchObject({ type: 'DELETED' });
    enough.abort();
    expect((await test.call('GET', `${path}/10.96.0.77`)).status).toBe(404);
  });

  it('an IPAddress that somebody made keeps its address from Services', async () => {
    const parentRef = { resource: 'things', name: 't' };
    await test.make('/apis/networking.k8s.io/v1/ipaddresses', {
      metadata: { name: '10.96.0.78' },
      spec: { parentRef },
    });
    const spec = { clusterIP: '10.96.0.78', ports: [{ port: 80 }] };
    const answer = await test.call('POST', '/api/v1/namespaces/default/services', {
      body: { metadata: { name: 't' }, spec },
    });
    expect(answer).toMatchObject({ status: 422 });
    expect(answer.text).toContain('failed to allocate IP 10.96.0.78: provided IP is already allocated');
  });
});
