import { afterAll, beforeAll, expect, it } from 'vitest';
import { podNamed, startTestServer, type TestServer } from '#control-plane/apiserver/test-server.fixture.ts';

const ns = '/api/v1/namespaces/qq';
const merge = { 'content-type': 'application/merge-patch+json' };
const size = (storage: string): object => ({ spec: { resources: { requests: { storage } } } });
const podSaying = (spec: object): object =>
  podNamed('p', { spec: { containers: [{ name: 'c', image: 'i' }], ...spec } });

let test: TestServer;
beforeAll(async () => {
  test = await startTestServer();
  await test.make('/api/v1/namespaces', { metadata: { name: 'qq' } });
  await test.make(`${ns}/serviceaccounts`, { metadata: { name: 'default' } });
  await test.make('/apis/node.k8s.io/v1/runtimeclasses', {
    ...{ metadata: { name: 'rc' }, handler: 'h', overhead: { podFixed: { cpu: '10m' } } },
    scheduling: { nodeSelector: { a: 'b' }, tolerations: [{ key: 'k', operator: 'Exists' }] },
  });
  for (const [name, allowVolumeExpansion] of [
    ['exp', true],
    ['fix', false],
  ] as const) {
    const made = { metadata: { name }, provisioner: 'example.com/p', allowVolumeExpansion };
    await test.make('/apis/storage.k8s.io/v1/storageclasses', made);
    for (const phase of ['Bound', 'Pending']) {
      const claim = `${name}-${phase.toLowerCase()}`;
      const spec = {
        accessModes: ['ReadWriteOnce'],
        storageClassName: name,
        resources: { requests: { storage: '1Gi' } },
      };
      await test.make(`${ns}/persistentvolumeclaims`, { metadata: { name: claim }, spec });
      await test.call('PATCH', `${ns}/persistentvolumeclaims/${claim}/status`, {
        body: { status: { phase, capacity: { storage: '1Gi' } } },
        headers: merge,
      });
    }
  }
  const labels = { 'topology.kubernetes.io/zone': 'z', 'kubernetes.io/hostname': 'a' };
  await test.make('/api/v1/nodes', { metadata: { name: 'a', labels } });
});
afterAll(() => test[Symbol.asyncDispose]());

/** As kube-apiserver 1.36.2 was seen to answer. */
it.each<{
  readonly name: string;
  readonly call: readonly [method: string, path: string, body?: object];
  readonly want: readonly [status: number, message: string | undefined];
}>([
  {
    name: 'a claim grows that is not bound',
    call: ['PATCH', `${ns}/persistentvolumeclaims/exp-pending`, size('2Gi')],
    want: [
      422,
      'PersistentVolumeClaim "exp-pending" is invalid: spec: Forbidden: spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims',
    ],
  },
  {
    name: 'a claim grows of a class that lets',
    call: ['PATCH', `${ns}/persistentvolumeclaims/exp-bound`, size('2Gi')],
    want: [200, undefined],
  },
  {
    name: 'a claim grows of a class that does not let',
    call: ['PATCH', `${ns}/persistentvolumeclaims/fix-bound`, size('2Gi')],
    want: [
      403,
      'persistentvolumeclaims "fix-bound" is forbidden: only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support resize',
    ],
  },
  {
    name: 'a class of the system is deleted',
    call: ['DELETE', '/apis/scheduling.k8s.io/v1/priorityclasses/system-node-critical'],
    want: [
      403,
      'priorityclasses.scheduling.k8s.io "system-node-critical" is forbidden: this is a system priority class and cannot be deleted',
    ],
  },
  {
    name: 'a priority by hand',
    call: ['POST', `${ns}/pods`, podSaying({ priority: 5 })],
    want: [
      403,
      'pods "p" is forbidden: the integer value of priority (5) must not be provided in pod spec; priority admission controller computed 0 from the given PriorityClass name',
    ],
  },
  {
    name: 'a runtime class that is not there',
    call: ['POST', `${ns}/pods`, podSaying({ runtimeClassName: 'zz' })],
    want: [403, 'pods "p" is forbidden: pod rejected: RuntimeClass "zz" not found'],
  },
  {
    name: 'overhead without a class',
    call: ['POST', `${ns}/pods`, podSaying({ overhead: { cpu: '1' } })],
    want: [
      403,
      'pods "p" is forbidden: pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead',
    ],
  },
  {
    name: 'namespace default is deleted',
    call: ['DELETE', '/api/v1/namespaces/default?dryRun=All'],
    want: [403, 'namespaces "default" is forbidden: this namespace may not be deleted'],
  },
])('$name', async ({ call: [method, path, body], want: [status, message] }) => {
  const answer = await test.call(method, path, {
    ...(body === undefined ? {} : { body }),
    ...(method === 'PATCH' ? { headers: merge } : {}),
  });
  const text = String(answer.json['message'] ?? '').split('\n')[0];
  expect([answer.status, text]).toEqual([status, message ?? '']);
});

it('a runtime class is merged into the pod', async () => {
  const body = podSaying({ runtimeClassName: 'rc' });
  const { json } = await test.call('POST', `${ns}/pods?dryRun=All`, { body });
  const waits = (key: string): object => ({
    key: `node.kubernetes.io/${key}`,
    ...{ operator: 'Exists', effect: 'NoExecute', tolerationSeconds: 300 },
  });
  expect(json['spec']).toMatchObject({
    overhead: { cpu: '10m' },
    nodeSelector: { a: 'b' },
    tolerations: [waits('not-ready'), waits('unreachable'), { key: 'k', operator: 'Exists' }],
  });
});

it('a pod has the zone of the node that it is bound to', async () => {
  await test.make(`${ns}/pods`, podNamed('bound', { metadata: { name: 'bound', labels: { own: 'x' } } }));
  await test.make(`${ns}/pods/bound/binding`, {
    metadata: { name: 'bound' },
    target: { kind: 'Node', name: 'a' },
  });
  const { json } = await test.call('GET', `${ns}/pods/bound`);
  expect(json['metadata']?.['labels']).toEqual({ own: 'x', 'topology.kubernetes.io/zone': 'z' });
  expect(json['spec']?.['nodeName']).toBe('a');
});

it('no pod is bound, evicted or given a token in a namespace that goes', async () => {
  const gone = '/api/v1/namespaces/gone';
  await test.make('/api/v1/namespaces', { metadata: { name: 'gone' } });
  await test.make(`${gone}/serviceaccounts`, { metadata: { name: 'default' } });
  await test.make(`${gone}/pods`, podNamed('p'));
  await test.call('DELETE', gone);
  const target = { kind: 'Node', name: 'a' };
  for (const [what, body] of [
    ['pods/p/binding', { metadata: { name: 'p' }, target }],
    ['pods/p/eviction', { metadata: { name: 'p' } }],
    ['serviceaccounts/default/token', { spec: {} }],
    ['bindings', { metadata: { name: 'p' }, target }],
  ] as const) {
    const answer = await test.call('POST', `${gone}/${what}`, { body });
    expect([what, answer.status, answer.json['details']?.['causes']?.['0']?.['reason']]).toEqual([
      what,
      403,
      'NamespaceTerminating',
    ]);
  }
});
