import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createApiClient } from '#client/api-client.ts';
import type { ApiClient } from '#client/client.ts';
import { startTestServer, type TestServer } from '#control-plane/apiserver/test-server.fixture.ts';
import { versionsServed } from '#bin/options/runtime-config.ts';
import { isFine, whatIf } from './command.ts';
import { expand, podsOfObjectMax } from './expand.ts';
import type { WhatIf } from './observed.ts';
import { renderWhatIf } from './render.ts';

const merge = { 'content-type': 'application/merge-patch+json' };
const container = (cpu: string): object => ({ name: 'c', image: 'i', resources: { requests: { cpu } } });
const podOf = (name: string, cpu: string, more: object = {}): object => ({
  ...{ apiVersion: 'v1', kind: 'Pod', metadata: { name } },
  spec: { containers: [container(cpu)], ...more },
});
const deploymentOf = (name: string, replicas: number, spec: object, namespace = 'default'): object => ({
  ...{ apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name, namespace } },
  spec: {
    replicas,
    selector: { matchLabels: { a: name } },
    template: { metadata: { labels: { a: name } }, spec },
  },
});
const workload = (kind: string, name: string, more: object = {}): object => ({
  ...{ apiVersion: 'apps/v1', kind, metadata: { name } },
  spec: {
    selector: { matchLabels: { a: name } },
    template: { metadata: { labels: { a: name } }, spec: { containers: [container('1m')] } },
    ...more,
  },
});

describe('whatIf()', () => {
  const stack = new AsyncDisposableStack();
  let test: TestServer;
  let client: ApiClient;
  beforeAll(async () => {
    test = stack.use(
      await startTestServer({
        versions: versionsServed({ runtimeConfig: ['scheduling.k8s.io/v1alpha2=true'] }),
      }),
    );
    client = createApiClient({ transport: test.server.transport(), userAgent: 'plan' });
    for (const namespace of ['default', 'tight', 'strict']) {
      if (namespace !== 'default') await test.make('/api/v1/namespaces', { metadata: { name: namespace } });
      await test.make(`/api/v1/namespaces/${namespace}/serviceaccounts`, { metadata: { name: 'default' } });
    }
    const enforce = { metadata: { labels: { 'pod-security.kubernetes.io/enforce': 'restricted' } } };
    await test.call('PATCH', '/api/v1/namespaces/strict', { body: enforce, headers: merge });
    await test.make('/api/v1/namespaces/tight/resourcequotas', {
      metadata: { name: 'q' },
      spec: { hard: { pods: '2' } },
    });
    const room = { cpu: '2', memory: '4Gi', pods: '20' };
    for (const name of ['n0', 'n1']) {
      await test.make('/api/v1/nodes', { metadata: { name, labels: { 'kubernetes.io/hostname': name } } });
      const status = { capacity: room, allocatable: room, conditions: [{ type: 'Ready', status: 'True' }] };
      await test.call('PATCH', `/api/v1/nodes/${name}/status`, { body: { status }, headers: merge });
      await test.call('PATCH', `/api/v1/nodes/${name}`, { body: { spec: { taints: null } }, headers: merge });
    }
    await test.make('/apis/scheduling.k8s.io/v1/priorityclasses', {
      metadata: { name: 'high' },
      value: 1000,
    });
    await test.make('/apis/policy/v1/namespaces/default/poddisruptionbudgets', {
      metadata: { name: 'b' },
      spec: { minAvailable: 1, selector: { matchLabels: { app: 'low' } } },
    });
    for (const node of ['n0', 'n1'])
      await test.make('/api/v1/namespaces/default/pods', {
        metadata: { name: `low-${node}`, labels: { app: 'low' } },
        spec: { nodeName: node, containers: [container('1500m')] },
      });
    await test.make('/apis/storage.k8s.io/v1/storageclasses', {
      metadata: { name: 'late' },
      ...{ provisioner: 'kubernetes.io/no-provisioner', volumeBindingMode: 'WaitForFirstConsumer' },
    });
    await test.make('/api/v1/persistentvolumes', {
      metadata: { name: 'v1' },
      spec: {
        ...{ capacity: { storage: '2Gi' }, accessModes: ['ReadWriteOnce'], storageClassName: 'late' },
        hostPath: { path: '/v' },
        nodeAffinity: {
          required: {
            nodeSelectorTerms: [
              { matchExpressions: [{ key: 'kubernetes.io/hostname', operator: 'In', values: ['n1'] }] },
            ],
          },
        },
      },
    });
    const available = { body: { status: { phase: 'Available' } }, headers: merge };
    await test.call('PATCH', '/api/v1/persistentvolumes/v1/status', available);
  }, 120_000);
  afterAll(() => stack.disposeAsync());

  /** Of all that is stored; the server renews a Lease of its own meanwhile. */
  const versions = async (): Promise<ReadonlyMap<string, number>> => {
    const { values } = await test.server.store.range('/registry/');
    const others = values.filter(({ key }) => !key.startsWith('/registry/leases/kube-system/apiserver-'));
    expect(others.length).toBeGreaterThan(50);
    return new Map(others.map(({ key, modRevision }) => [key, modRevision]));
  };
  const ask = async (...objects: readonly object[]): Promise<WhatIf> => {
    const before = await versions();
    const text = objects.map((object) => JSON.stringify(object)).join('\n');
    const result = await whatIf(text, { client, source: 'app.json', namespace: 'default' });
    expect(await versions()).toEqual(before);
    return result;
  };

  it('counts on classes, volumes and priorities that the same file makes', async () => {
    const size = { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } };
    const hostname = (name: string): object => ({
      matchExpressions: [{ key: 'kubernetes.io/hostname', operator: 'In', values: [name] }],
    });
    const volume = (name: string, node: string): object => ({
      ...{ apiVersion: 'v1', kind: 'PersistentVolume', metadata: { name } },
      spec: {
        ...{ capacity: { storage: '1Gi' }, accessModes: ['ReadWriteOnce'], storageClassName: 'usual' },
        ...{ hostPath: { path: '/f' }, nodeAffinity: { required: { nodeSelectorTerms: [hostname(node)] } } },
      },
    });
    const { objects, pods } = await ask(
      {
        ...{
          apiVersion: 'storage.k8s.io/v1',
          kind: 'StorageClass',
          provisioner: 'kubernetes.io/no-provisioner',
        },
        metadata: { name: 'usual', annotations: { 'storageclass.kubernetes.io/is-default-class': 'true' } },
        volumeBindingMode: 'WaitForFirstConsumer',
      },
      volume('f1', 'n1'),
      volume('f0', 'n0'),
      workload('StatefulSet', 'kept', {
        ...{ replicas: 1, serviceName: 'kept' },
        volumeClaimTemplates: [{ metadata: { name: 'data' }, spec: size }],
      }),
      podOf('scratch', '1m', {
        volumes: [{ name: 'v', ephemeral: { volumeClaimTemplate: { spec: size } } }],
      }),
      { apiVersion: 'scheduling.k8s.io/v1', kind: 'PriorityClass', metadata: { name: 'vip' }, value: 1000 },
      podOf('vip', '1500m', { priorityClassName: 'vip' }),
      deploymentOf('vips', 1, { priorityClassName: 'vip', containers: [container('1500m')] }),
    );
    expect(objects.flatMap(({ refusal = [] }) => refusal)).toEqual([]);
    expect(pods.map((pod) => (pod.result === 'lands' ? [pod.pod, pod.node] : [pod.pod, pod.reason]))).toEqual(
      [
        ['default/kept-0', expect.stringMatching(/^n[01]$/)],
        ['default/scratch', expect.stringMatching(/^n[01]$/)],
        ['default/vip', expect.stringMatching(/^n[01]$/)],
        ['default/vips-1', expect.stringMatching(/^n[01]$/)],
      ],
    );
    expect(
      pods.flatMap((pod) => (pod.result === 'lands' ? [pod.claims.length, pod.evicts.length] : [])),
    ).toEqual([...[1, 0], ...[1, 0], ...[0, 1], ...[0, 1]]);
  });

  it('says where pods of each workload land, the second where the first left room', async () => {
    const { pods, objects } = await ask(
      deploymentOf('web', 2, { containers: [container('400m')] }),
      workload('StatefulSet', 'db', { replicas: 2, serviceName: 'db' }),
      workload('DaemonSet', 'log'),
      {
        ...{ apiVersion: 'batch/v1', kind: 'Job', metadata: { name: 'j' } },
        spec: {
          completions: 2,
          parallelism: 2,
          template: { spec: { restartPolicy: 'Never', containers: [container('1m')] } },
        },
      },
    );
    expect(objects.flatMap(({ refusal = [] }) => refusal)).toEqual([]);
    expect(pods.map(({ pod, result }) => [pod, result])).toEqual(
      ['web-1', 'web-2', 'db-0', 'db-1', 'log-1', 'log-2', 'j-1', 'j-2'].map((name) => [
        `default/${name}`,
        'lands',
      ]),
    );
    const nodesOf = (prefix: string): readonly string[] =>
      pods.flatMap((pod) =>
        pod.result === 'lands' && pod.pod.startsWith(`default/${prefix}-`) ? pod.node : [],
      );
    expect(nodesOf('web').toSorted()).toEqual(['n0', 'n1']);
    expect(nodesOf('log')).toEqual(['n0', 'n1']);
  }, 60_000);

  it('says in the scheduler\u2019s words why a pod would wait, and who would go for one that may evict', async () => {
    const { pods } = await ask(podOf('big', '1500m'), podOf('first', '1500m', { priorityClassName: 'high' }));
    expect(pods).toMatchObject([
      {
        pod: 'default/big',
        result: 'waits',
        reason: expect.stringMatching(/^0\/2 nodes are available: 2 Insufficient cpu\. /),
      },
      { pod: 'default/first', result: 'lands', evicts: [{ breaksBudget: true }] },
    ]);
    const result = await ask(podOf('big', '1500m'));
    expect(isFine(result)).toBe(false);
    expect(renderWhatIf(result)).toMatch(
      /^OBJECT +RESULT +WHERE OR WHY\nPod default\/big +waits +0\/2 nodes/,
    );
  }, 60_000);

  it('says what quotas, PodSecurity and the server itself refuse', async () => {
    const { pods, objects } = await ask(
      deploymentOf('many', 3, { containers: [container('1m')] }, 'tight'),
      { ...podOf('open', '1m'), metadata: { name: 'open', namespace: 'strict' } },
      { apiVersion: 'v1', kind: 'Service', metadata: { name: 's' }, spec: { ports: [] } },
      { apiVersion: 'example.com/v1', kind: 'Thing', metadata: { name: 't' } },
    );
    expect(pods.map(({ result }) => result)).toEqual(['lands', 'lands', 'refused']);
    expect(pods[2]).toMatchObject({
      reason: 'exceeded quota: q, requested: pods=1, used: pods=2, limited: pods=2',
    });
    expect(objects).toMatchObject([
      { object: 'Deployment tight/many' },
      {
        object: 'Pod strict/open',
        refusal: expect.stringContaining('violates PodSecurity "restricted:latest"'),
      },
      { object: 'Service default/s', refusal: expect.stringContaining('spec.ports: Required value') },
      { note: 'not asked about: the server does not have its kind' },
    ]);
  }, 60_000);

  it('says which volume a claim of the same file would have, and goes where that is', async () => {
    const claim = {
      ...{ apiVersion: 'v1', kind: 'PersistentVolumeClaim', metadata: { name: 'data' } },
      spec: {
        accessModes: ['ReadWriteOnce'],
        storageClassName: 'late',
        resources: { requests: { storage: '1Gi' } },
      },
    };
    const volumes = [{ name: 'd', persistentVolumeClaim: { claimName: 'data' } }];
    const { pods } = await ask(claim, podOf('user', '1m', { volumes }));
    expect(pods, JSON.stringify(pods)).toMatchObject([
      { result: 'lands', node: 'n1', claims: [{ claim: 'default/data', volume: 'v1' }] },
    ]);
  }, 60_000);

  it('binds a claim that waits for no pod, or has a volume made for it, before its pod is looked at', async () => {
    const claimOf = (name: string, storageClassName: string): object => ({
      ...{ apiVersion: 'v1', kind: 'PersistentVolumeClaim', metadata: { name } },
      spec: { accessModes: ['ReadWriteOnce'], storageClassName, resources: { requests: { storage: '1Gi' } } },
    });
    await test.make('/apis/storage.k8s.io/v1/storageclasses', {
      metadata: { name: 'now' },
      ...{ provisioner: 'example.com/disk', volumeBindingMode: 'Immediate' },
    });
    const volumes = [{ name: 'd', persistentVolumeClaim: { claimName: 'soon' } }];
    const result = await ask(
      claimOf('soon', 'now'),
      claimOf('never', 'nobodys'),
      podOf('user', '1m', { volumes }),
    );
    expect(result.claims).toEqual([{ claim: 'default/soon' }]);
    expect(result.pods).toMatchObject([{ result: 'lands', claims: [] }]);
    expect(renderWhatIf(result)).toContain('PersistentVolumeClaim default/soon   binds    a new volume\n');
  }, 60_000);

  const groupOf = (name: string, minCount: number, more: object = {}): object => ({
    ...{ apiVersion: 'scheduling.k8s.io/v1alpha2', kind: 'PodGroup', metadata: { name } },
    spec: { schedulingPolicy: { gang: { minCount } }, ...more },
  });
  const member = (name: string, podGroupName: string, cpu: string): object =>
    podOf(name, cpu, { schedulingGroup: { podGroupName } });

  it('says whether a gang fits, of which otherwise no pod lands', async () => {
    const fits = await ask(
      groupOf('small', 2),
      member('s1', 'small', '400m'),
      member('s2', 'small', '400m'),
      member('s3', 'small', '400m'),
    );
    expect(fits.pods.map(({ result }) => result)).toEqual(['lands', 'lands', 'waits']);
    const large = await ask(
      podOf('alone', '100m'),
      groupOf('large', 3),
      ...['l1', 'l2', 'l3'].map((name) => member(name, 'large', '400m')),
    );
    expect(large.pods.map(({ result }) => result)).toEqual(['lands', 'waits', 'waits', 'waits']);
    expect(large.pods[3]).toMatchObject({
      reason:
        'pod group is unschedulable: 2 of 3 pods that it needs find a node, pod group preemption: No preemption victims found for incoming preemptor',
    });
    const short = await ask(groupOf('short', 2), member('x', 'short', '1m'));
    expect(short.pods).toMatchObject([
      { reason: 'waiting for minCount pods from a gang to appear in scheduling queue' },
    ]);
    const none = await ask(member('x', 'nobodys', '1m'));
    expect(none.pods).toMatchObject([
      { reason: 'waiting for pod\'s pod group "nobodys" to appear in scheduling queue' },
    ]);
  }, 60_000);

  it('says who goes for a gang, and which gang a single pod leaves below its minimum', async () => {
    const result = await ask(
      groupOf('high', 3, { priorityClassName: 'high' }),
      ...['h1', 'h2', 'h3'].map((name) => member(name, 'high', '600m')),
    );
    expect(result.pods.map((pod) => pod.result)).toEqual(['lands', 'lands', 'lands']);
    expect(result.pods.flatMap((pod) => (pod.result === 'lands' ? pod.evicts : []))).not.toEqual([]);
    await test.make('/apis/scheduling.k8s.io/v1alpha2/namespaces/default/podgroups', groupOf('pair', 2));
    for (const node of ['n0', 'n1'])
      await test.make('/api/v1/namespaces/default/pods', {
        metadata: { name: `pair-${node}` },
        spec: {
          ...{ nodeName: node, schedulingGroup: { podGroupName: 'pair' } },
          containers: [container('400m')],
        },
      });
    const one = await ask(podOf('first', '400m', { priorityClassName: 'high' }));
    expect(renderWhatIf(one)).toMatch(
      /evicts default\/pair-n\d, which leaves PodGroup default\/pair below its minimum/,
    );
  }, 60_000);

  it('takes objects of a namespace that the same file makes', async () => {
    const result = await ask(
      { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'new' } },
      { ...podOf('p', '1m'), metadata: { name: 'p', namespace: 'new' } },
    );
    expect(result.objects[1]).toMatchObject({
      note: 'not asked about: its namespace is made by the same file',
    });
    expect(result.pods).toMatchObject([{ pod: 'new/p', result: 'lands' }]);
    expect(isFine(result)).toBe(true);
  }, 60_000);

  it('looks at so many pods of an object, and says so', () => {
    const spec = { replicas: podsOfObjectMax + 1, selector: {}, template: {} };
    const present = { nodes: [], pods: [], replicaSets: [], nowMs: 0 };
    const { pods, note } = expand(
      { group: 'apps', kind: 'ReplicaSet' },
      { metadata: { name: 'r' }, spec },
      present,
    );
    expect([pods.length, note]).toEqual([
      podsOfObjectMax,
      `of its pods the first ${podsOfObjectMax} are looked at`,
    ]);
  });

  it('refuses a file that is none', async () => {
    await expect(whatIf('a: 1', { client, source: 'x.yaml', namespace: 'default' })).rejects.toThrow(
      'plan x.yaml, document 1: apiVersion and kind must be set',
    );
    await expect(whatIf('', { client, source: 'x.yaml', namespace: 'default' })).rejects.toThrow(
      'there is nothing in it',
    );
  });
});
