import { expect, it } from 'vitest';
import * as failure from '#api/errors/status.ts';
import * as kinds from '#api/schema/kind-ref.ts';
import type { Deployment, Pod } from '#api/generated/objects.ts';
import { formatMicroTime, formatTime } from '#api/meta/time.ts';
import { readyNode, startCluster } from './cluster.fixture.ts';

const web: Deployment = {
  metadata: { name: 'web', namespace: 'default' },
  spec: {
    replicas: 4,
    selector: { matchLabels: { app: 'web' } },
    template: { metadata: { labels: { app: 'web' } }, spec: { containers: [{ name: 'c', image: 'v1' }] } },
  },
};

function withImage(deployment: Deployment, image: string): Deployment {
  const { spec = { selector: {}, template: {} } } = deployment;
  const template = { ...spec.template, spec: { containers: [{ name: 'c', image }] } };
  return { ...deployment, spec: { ...spec, template } };
}

const where = { namespace: 'default', name: 'web' };

it('a Deployment becomes pods spread over the nodes, and its status says so', async () => {
  await using cluster = await startCluster();
  const { client } = cluster;
  await client.create(kinds.deployments, web);
  await cluster.settle();
  const nodes = client.all(kinds.pods).map(({ spec }) => spec?.nodeName);
  expect(nodes.toSorted()).toEqual(['node-1', 'node-1', 'node-2', 'node-2']);
  const { status, metadata } = await client.get(kinds.deployments, where);
  expect(status).toMatchObject({
    observedGeneration: 1,
    replicas: 4,
    updatedReplicas: 4,
    availableReplicas: 4,
  });
  expect(status?.unavailableReplicas).toBeUndefined();
  expect(status?.conditions?.map(({ type, reason }) => `${type} ${reason ?? ''}`).toSorted()).toEqual([
    'Available MinimumReplicasAvailable',
    'Progressing NewReplicaSetAvailable',
  ]);
  expect(metadata?.annotations).toMatchObject({ 'deployment.kubernetes.io/revision': '1' });
});

it('a rolling update keeps enough pods available, and undo brings the old ReplicaSet back as the newest revision', async () => {
  await using cluster = await startCluster();
  const { client } = cluster;
  await client.create(kinds.deployments, web);
  await cluster.settle();
  let lowest = Number.POSITIVE_INFINITY;
  let highest = 0;
  using _watch = cluster.informers.for(kinds.pods).onChange(() => {
    const pods = client.all(kinds.pods).filter(({ metadata }) => metadata?.deletionTimestamp === undefined);
    lowest = Math.min(lowest, pods.filter(({ status }) => status?.podIP !== undefined).length);
    highest = Math.max(highest, pods.length);
  });
  await client.update(kinds.deployments, withImage(await client.get(kinds.deployments, where), 'v2'));
  await cluster.settle(1000);
  expect(client.all(kinds.pods).map(({ spec }) => spec?.containers[0]?.image)).toEqual([
    'v2',
    'v2',
    'v2',
    'v2',
  ]);
  expect(lowest).toBeGreaterThanOrEqual(3);
  expect(highest).toBe(5);
  await client.update(kinds.deployments, withImage(await client.get(kinds.deployments, where), 'v1'));
  await cluster.settle(1000);
  const sets = client.all(kinds.replicaSets).map(({ metadata, spec }) => ({
    revision: metadata?.annotations?.['deployment.kubernetes.io/revision'],
    history: metadata?.annotations?.['deployment.kubernetes.io/revision-history'],
    image: spec?.template?.spec?.containers[0]?.image,
    replicas: spec?.replicas,
  }));
  expect(sets.toSorted((a, b) => ((a.image ?? '') < (b.image ?? '') ? -1 : 1))).toEqual([
    { revision: '3', history: '1', image: 'v1', replicas: 4 },
    { revision: '2', history: undefined, image: 'v2', replicas: 0 },
  ]);
});

it('a rollout that does not become ready stops at its surge and exceeds its progress deadline', async () => {
  await using cluster = await startCluster();
  const { client } = cluster;
  await client.create(kinds.deployments, {
    ...web,
    spec: {
      ...web.spec,
      selector: web.spec?.selector ?? {},
      template: web.spec?.template ?? {},
      progressDeadlineSeconds: 10,
    },
  });
  await cluster.settle();
  await client.update(kinds.deployments, withImage(await client.get(kinds.deployments, where), 'failing'));
  await cluster.settle(15_000);
  const images = client.all(kinds.pods).map(({ spec }) => spec?.containers[0]?.image);
  expect(images.toSorted()).toEqual(['failing', 'failing', 'v1', 'v1', 'v1']);
  const { status } = await client.get(kinds.deployments, where);
  const progressing = status?.conditions?.find(({ type }) => type === 'Progressing');
  expect(progressing).toMatchObject({ status: 'False', reason: 'ProgressDeadlineExceeded' });
});

it('a ReplicaSet whose template somebody else changed is no longer that of the Deployment', async () => {
  await using cluster = await startCluster();
  const { client } = cluster;
  await client.create(kinds.deployments, web);
  await cluster.settle(1000);
  const [first] = client.all(kinds.replicaSets);
  const { name = '', namespace } = first?.metadata ?? {};
  const by = (manager: string, operation: 'Update') => ({
    ...{ manager, operation, apiVersion: 'apps/v1', fieldsType: 'FieldsV1' },
    fieldsV1: { 'f:spec': { 'f:template': { 'f:spec': {} } } },
  });
  const [container] = first?.spec?.template?.spec?.containers ?? [];
  const body = {
    metadata: { managedFields: [by('kube-controller-manager', 'Update'), by('kubectl-edit', 'Update')] },
    spec: { template: { spec: { containers: [{ ...container, image: 'edited' }] } } },
  };
  await client.patch(kinds.replicaSets, { namespace, name }, { kind: 'merge', body });
  await cluster.settle(3000);
  const sets = client.all(kinds.replicaSets).map(({ metadata, spec }) => ({
    isFirst: metadata?.name === name,
    image: spec?.template?.spec?.containers[0]?.image,
    replicas: spec?.replicas,
  }));
  expect(sets.toSorted((a, b) => Number(a.isFirst) - Number(b.isFirst))).toEqual([
    { isFirst: false, image: 'v1', replicas: 4 },
    { isFirst: true, image: 'edited', replicas: 0 },
  ]);
  expect((await client.get(kinds.deployments, where)).status?.collisionCount).toBe(1);
});

it('Recreate lets all old pods go before the first new one comes', async () => {
  await using cluster = await startCluster();
  const { client } = cluster;
  const spec = { replicas: 4, selector: { matchLabels: { app: 'web' } }, template: web.spec?.template ?? {} };
  await client.create(kinds.deployments, { ...web, spec: { ...spec, strategy: { type: 'Recreate' } } });
  await cluster.settle();
  const mixes = new Set<string>();
  using _watch = cluster.informers.for(kinds.pods).onChange(() => {
    const images = client.all(kinds.pods).map(({ spec }) => spec?.containers[0]?.image ?? '');
    mixes.add([...new Set(images)].toSorted().join('+'));
  });
  await client.update(kinds.deployments, withImage(await client.get(kinds.deployments, where), 'v2'));
  await cluster.settle(2000);
  expect(client.all(kinds.pods).map(({ spec }) => spec?.containers[0]?.image)).toEqual(Array(4).fill('v2'));
  expect(mixes.has('v1+v2')).toBe(false);
});

it('a paused Deployment scales but does not roll out until it is resumed; history is limited', async () => {
  await using cluster = await startCluster();
  const { client } = cluster;
  const spec = { replicas: 2, selector: { matchLabels: { app: 'web' } }, template: web.spec?.template ?? {} };
  await client.create(kinds.deployments, { ...web, spec: { ...spec, revisionHistoryLimit: 1 } });
  await cluster.settle();
  const change = async (body: object): Promise<void> => {
    await client.patch(kinds.deployments, where, { kind: 'merge', body: { spec: body } });
    await cluster.settle(2000);
  };
  const images = () => client.all(kinds.pods).map(({ spec }) => spec?.containers[0]?.image);
  const template = (image: string) => ({ template: { spec: { containers: [{ name: 'c', image }] } } });
  await change({ paused: true, replicas: 3, ...template('v2') });
  expect(images()).toEqual(['v1', 'v1', 'v1']);
  await change({ paused: false });
  expect(images()).toEqual(['v2', 'v2', 'v2']);
  await change(template('v3'));
  await change(template('v4'));
  const revisions = client
    .all(kinds.replicaSets)
    .map(({ metadata }) => metadata?.annotations?.['deployment.kubernetes.io/revision']);
  expect(revisions.toSorted()).toEqual(['3', '4']);
});

it('a pod with scheduling gates waits for them to go', async () => {
  await using cluster = await startCluster();
  const { client } = cluster;
  const gated = { namespace: 'default', name: 'gated' };
  const spec = { containers: [{ name: 'c', image: 'i' }], schedulingGates: [{ name: 'g' }] };
  await client.create(kinds.pods, { metadata: gated, spec });
  await cluster.settle();
  const waiting = await client.get(kinds.pods, gated);
  expect(waiting.status?.conditions).toMatchObject([{ type: 'PodScheduled', reason: 'SchedulingGated' }]);
  await client.patch(kinds.pods, gated, { kind: 'merge', body: { spec: { schedulingGates: null } } });
  await cluster.settle();
  expect((await client.get(kinds.pods, gated)).spec?.nodeName).toBeDefined();
});

it('a pod of another scheduler is left to that', async () => {
  await using cluster = await startCluster();
  const { client } = cluster;
  const containers = [{ name: 'c', image: 'i' }];
  const [own, other] = ['own', 'other'].map((name) => ({ namespace: 'default', name }));
  if (own === undefined || other === undefined) return;
  await client.create(kinds.pods, { metadata: other, spec: { containers, schedulerName: 'mine' } });
  await client.create(kinds.pods, { metadata: own, spec: { containers } });
  await cluster.settle();
  expect((await client.get(kinds.pods, own)).spec?.nodeName).toBeDefined();
  expect((await client.get(kinds.pods, other)).spec?.nodeName).toBeUndefined();
});

it('each write failing once changes nothing in the end', async () => {
  await using cluster = await startCluster();
  const { client } = cluster;
  const failed = new Set<string>();
  client.intercept = ({ verb, resource, name, subresource }) => {
    const isKubelet = resource === 'pods' && (verb === 'patch' || verb === 'delete');
    if (isKubelet || !['create', 'update', 'patch', 'delete'].includes(verb)) return undefined;
    const key = `${verb} ${resource} ${subresource ?? ''} ${name}`;
    if (failed.has(key)) return undefined;
    failed.add(key);
    return new Error(`injected: ${key}`);
  };
  await client.create(kinds.deployments, web).catch(() => client.create(kinds.deployments, web));
  await cluster.settle(30_000);
  expect(client.all(kinds.pods).map(({ status }) => status?.phase)).toEqual(Array(4).fill('Running'));
  const scaled = { kind: 'merge' as const, body: { spec: { replicas: 2 } } };
  await client
    .patch(kinds.deployments, where, scaled)
    .catch(() => client.patch(kinds.deployments, where, scaled));
  await cluster.settle(5000);
  expect(client.all(kinds.pods).length).toBe(2);
  expect((await client.get(kinds.deployments, where)).status).toMatchObject({
    replicas: 2,
    availableReplicas: 2,
  });
  expect(failed.size).toBeGreaterThan(10);
});

it('a Service gets slices and Endpoints of its ready pods', async () => {
  await using cluster = await startCluster();
  const { client } = cluster;
  await client.create(kinds.services, {
    metadata: where,
    spec: { selector: { app: 'web' }, ports: [{ port: 80, targetPort: 8080 }], clusterIP: '10.96.0.10' },
  });
  await client.create(kinds.deployments, web);
  await cluster.settle();
  const [slice, ...others] = client.all(kinds.endpointSlices);
  expect(others).toEqual([]);
  expect(slice?.endpoints?.map(({ conditions }) => conditions?.ready)).toEqual([true, true, true, true]);
  expect(slice?.ports).toEqual([{ name: '', port: 8080, protocol: 'TCP' }]);
  const [mirror] = client.all(kinds.endpoints);
  expect(mirror?.subsets?.[0]?.addresses?.length).toBe(4);
  const since = { 'endpoints.kubernetes.io/last-change-trigger-time': '2026-01-01T00:00:00Z' };
  expect([slice, mirror].map((one) => one?.metadata?.annotations)).toEqual([since, since]);
  await client.delete(kinds.services, where);
  await cluster.settle();
  expect([...client.all(kinds.endpointSlices), ...client.all(kinds.endpoints)]).toEqual([]);
});

it('Endpoints of a Service without a selector become slices, until the Service gets one', async () => {
  await using cluster = await startCluster();
  const { client } = cluster;
  const subsets = [{ addresses: [{ ip: '192.0.2.1' }], ports: [{ port: 80 }] }];
  const slicesBy = (manager: string) =>
    client
      .all(kinds.endpointSlices)
      .filter(({ metadata }) => metadata?.labels?.['endpointslice.kubernetes.io/managed-by'] === manager)
      .map(({ endpoints = [] }) => endpoints.map(({ addresses }) => addresses[0]));
  const mirrored = () => slicesBy('endpointslicemirroring-controller.k8s.io');
  const spec = { ports: [{ port: 80 }], clusterIP: '10.96.0.10' };

  await client.create(kinds.endpoints, { metadata: where, subsets });
  await cluster.settle();
  expect(mirrored()).toEqual([]);
  const service = await client.create(kinds.services, { metadata: where, spec });
  await cluster.settle();
  expect(mirrored()).toEqual([['192.0.2.1']]);
  const [slice] = client.all(kinds.endpointSlices);
  await client.delete(kinds.endpointSlices, {
    namespace: 'default',
    name: slice?.metadata?.name ?? '',
  });
  await cluster.settle();
  expect(mirrored()).toEqual([['192.0.2.1']]);
  const body = { subsets: [{ addresses: [{ ip: '192.0.2.2' }], ports: [{ port: 80 }] }] };
  await client.patch(kinds.endpoints, where, { kind: 'merge', body });
  await cluster.settle();
  expect(mirrored()).toEqual([['192.0.2.2']]);
  await client.update(kinds.services, { ...service, spec: { ...spec, selector: { app: 'web' } } });
  await cluster.settle();
  expect(mirrored()).toEqual([]);
  expect(slicesBy('endpointslice-controller.k8s.io')).toEqual([[]]);
});

it('mirrored slices go with their Endpoints or their Service', async () => {
  await using cluster = await startCluster();
  const { client } = cluster;
  const subsets = [{ addresses: [{ ip: '192.0.2.1' }], ports: [{ port: 80 }] }];
  for (const name of ['one', 'two']) {
    const metadata = { namespace: 'default', name };
    await client.create(kinds.services, { metadata, spec: { ports: [{ port: 80 }] } });
    await client.create(kinds.endpoints, { metadata, subsets });
  }
  await cluster.settle();
  expect(client.all(kinds.endpointSlices).length).toBe(2);
  await client.delete(kinds.endpoints, { namespace: 'default', name: 'one' });
  await client.delete(kinds.services, { namespace: 'default', name: 'two' });
  await cluster.settle(1000);
  expect(client.all(kinds.endpointSlices)).toEqual([]);
});

it("endpoints follow their node's zone, and hint at it", async () => {
  await using cluster = await startCluster(['node-1']);
  const { client } = cluster;
  await client.create(kinds.deployments, web);
  await client.create(kinds.services, {
    metadata: { name: 'web', namespace: 'default' },
    spec: { selector: { app: 'web' }, ports: [{ port: 80 }], trafficDistribution: 'PreferSameZone' },
  });
  await cluster.settle(500);
  /** Zone, and zone that the hint is for, as far as they differ between the endpoints. */
  const zones = (): ReadonlySet<string> =>
    new Set(
      client
        .all(kinds.endpointSlices)
        .flatMap(({ endpoints = [] }) => endpoints)
        .map(({ zone, hints }) => `${zone} ${hints?.forZones?.[0]?.name}`),
    );
  expect(zones()).toEqual(new Set(['undefined undefined']));
  const body = { metadata: { labels: { 'topology.kubernetes.io/zone': 'a' } } };
  await client.patch(kinds.nodes, { name: 'node-1' }, { kind: 'merge', body });
  await cluster.settle(500);
  expect(zones()).toEqual(new Set(['a a']));
});

it.each(['Background', 'Foreground', 'Orphan'])(
  'deletion of a Deployment with policy %s',
  async (propagationPolicy) => {
    await using cluster = await startCluster();
    const { client } = cluster;
    await client.create(kinds.deployments, web);
    await cluster.settle();
    await client.delete(kinds.deployments, where, { propagationPolicy });
    await cluster.settle(2000);
    expect(client.all(kinds.deployments)).toEqual([]);
    const isOrphaned = propagationPolicy === 'Orphan';
    expect(client.all(kinds.replicaSets).map(({ metadata }) => metadata?.ownerReferences)).toEqual(
      isOrphaned ? [undefined] : [],
    );
    expect(client.all(kinds.pods).length).toBe(isOrphaned ? 4 : 0);
  },
);

it('owners in a circle are deleted in the foreground all the same', async () => {
  await using cluster = await startCluster();
  const { client } = cluster;
  const names = ['a', 'b', 'c'];
  const made = names.map((name) =>
    client.seed(kinds.configMaps, { metadata: { name, namespace: 'default' } }),
  );
  for (const [index, name] of names.entries()) {
    const { name: owner = '', uid = '' } = made.at(index - 1)?.metadata ?? {};
    const reference = { apiVersion: 'v1', kind: 'ConfigMap', name: owner, uid, blockOwnerDeletion: true };
    const body = { metadata: { ownerReferences: [{ ...reference, controller: true }] } };
    await client.patch(kinds.configMaps, { namespace: 'default', name }, { kind: 'merge', body });
  }
  await cluster.settle();
  const where = { namespace: 'default', name: 'a' };
  await client.delete(kinds.configMaps, where, { propagationPolicy: 'Foreground' });
  await cluster.settle(2000);
  const left = client.all(kinds.configMaps).map(({ metadata }) => metadata?.name);
  expect(left.filter((name) => names.includes(name ?? ''))).toEqual([]);
});

it('a dependent with another owner outlives the one that waits for its dependents', async () => {
  await using cluster = await startCluster();
  const { client } = cluster;
  const owners = ['going', 'staying'].map((name) =>
    client.seed(kinds.configMaps, { metadata: { name, namespace: 'default' } }),
  );
  const ownerReferences = owners.map(({ metadata: { name = '', uid = '' } = {} }) => ({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    name,
    uid,
    blockOwnerDeletion: true,
  }));
  client.seed(kinds.secrets, { metadata: { name: 'dependent', namespace: 'default', ownerReferences } });
  await cluster.settle();
  const where = { namespace: 'default', name: 'going' };
  await client.delete(kinds.configMaps, where, { propagationPolicy: 'Foreground' });
  await cluster.settle(2000);
  const [dependent] = client.all(kinds.secrets);
  expect(dependent?.metadata?.ownerReferences?.map(({ name }) => name)).toEqual(['staying']);
  const left = client.all(kinds.configMaps).map(({ metadata }) => metadata?.name);
  expect(left).not.toContain('going');
});

it('a kind that is gone since it was found keeps no namespace', async () => {
  await using cluster = await startCluster();
  const { client } = cluster;
  await client.create(kinds.namespaces, { metadata: { name: 'other' } });
  client.intercept = ({ verb, resource }) =>
    verb === 'list' && resource === 'leases' ? failure.resourceNotFound() : undefined;
  await client.delete(kinds.namespaces, { name: 'other' });
  await cluster.settle(5000);
  expect(client.all(kinds.namespaces).map(({ metadata }) => metadata?.name)).toEqual(['default']);
});

it('a namespace that is deleted is emptied, pods first, and goes', async () => {
  await using cluster = await startCluster();
  const { client } = cluster;
  await client.create(kinds.namespaces, { metadata: { name: 'other' } });
  await cluster.settle();
  expect(
    client
      .all(kinds.serviceAccounts)
      .map(({ metadata }) => metadata?.namespace)
      .toSorted(),
  ).toEqual(['default', 'other']);
  await client.create(kinds.deployments, { ...web, metadata: { name: 'web', namespace: 'other' } });
  await client.create(kinds.configMaps, { metadata: { name: 'a', namespace: 'other' } });
  await cluster.settle();
  await client.delete(kinds.namespaces, { name: 'other' });
  await cluster.settle(5000);
  expect(client.all(kinds.namespaces).map(({ metadata }) => metadata?.name)).toEqual(['default']);
  const left = [
    ...client.all(kinds.pods),
    ...client.all(kinds.configMaps),
    ...client.all(kinds.serviceAccounts),
  ];
  expect(left.filter(({ metadata }) => metadata?.namespace === 'other')).toEqual([]);
});

it('a silent node is marked, tainted and emptied; pods move to the other', async () => {
  await using cluster = await startCluster();
  const { client } = cluster;
  const body = {
    spec: {
      tolerations: [
        {
          key: 'node.kubernetes.io/unreachable',
          operator: 'Exists',
          effect: 'NoExecute',
          tolerationSeconds: 5,
        },
      ],
    },
  };
  const template = {
    ...web.spec?.template,
    spec: { containers: [{ name: 'c', image: 'v1' }], ...body.spec },
  };
  await client.create(kinds.deployments, {
    ...web,
    spec: { ...web.spec, selector: web.spec?.selector ?? {}, template } as Deployment['spec'],
  });
  await cluster.settle();
  const beat = async (): Promise<void> => {
    const lease = {
      metadata: { name: 'node-2', namespace: 'kube-node-lease' },
      spec: { renewTime: formatMicroTime(cluster.clock.now()) },
    };
    await client.create(kinds.leases, lease).catch(() => client.update(kinds.leases, lease));
  };
  for (let passed = 0; passed < 70_000; passed += 10_000) {
    await beat();
    await cluster.settle(10_000);
  }
  const node = await client.get(kinds.nodes, { name: 'node-1' });
  expect(node.status?.conditions?.find(({ type }) => type === 'Ready')).toMatchObject({ status: 'Unknown' });
  expect(node.spec?.taints?.map(({ key, effect }) => `${key}:${effect}`)).toEqual([
    'node.kubernetes.io/unreachable:NoSchedule',
    'node.kubernetes.io/unreachable:NoExecute',
  ]);
  const running = client.all(kinds.pods).filter(({ metadata }) => metadata?.deletionTimestamp === undefined);
  expect(running.map(({ spec }) => spec?.nodeName)).toEqual(Array(4).fill('node-2'));
});

it('an absence of our own is not that of the nodes', async () => {
  await using cluster = await startCluster();
  const { client, clock } = cluster;
  const toleration = {
    key: 'node.kubernetes.io/unreachable',
    operator: 'Exists' as const,
    effect: 'NoExecute' as const,
    tolerationSeconds: 0,
  };
  const name = 'p';
  await client.create(kinds.pods, {
    metadata: { name, namespace: 'default' },
    spec: { nodeName: 'node-1', tolerations: [toleration], containers: [{ name: 'c', image: 'i' }] },
  });
  const ready = async (): Promise<readonly string[]> =>
    (await client.list(kinds.nodes)).items.map(
      ({ status }) => status?.conditions?.find(({ type }) => type === 'Ready')?.status ?? '',
    );
  await cluster.settle(30_000);
  for (let absences = 0; absences < 3; absences++) {
    clock.stop(62_000);
    await cluster.settle(30_000);
    expect(await ready()).toEqual(['True', 'True']);
  }
  await cluster.settle(25_000);
  expect(await ready()).toEqual(['Unknown', 'Unknown']);
  // Nobody at all is heard: that is no reason to empty the cluster.
  await cluster.settle(60_000);
  const { metadata, status } = await client.get(kinds.pods, { namespace: 'default', name });
  expect(metadata?.deletionTimestamp).toBeUndefined();
  expect(status?.conditions?.find(({ type }) => type === 'Ready')).toEqual(
    expect.objectContaining({ status: 'False', observedGeneration: 1 }),
  );
  expect(status?.conditions?.find(({ type }) => type === 'Ready')?.reason).toBeUndefined();
});

it('a NoExecute taint takes what has ended, too', async () => {
  await using cluster = await startCluster();
  const { client } = cluster;
  const containers = [{ name: 'c', image: 'i' }];
  for (const [name, nodeName] of [
    ['ended', 'node-1'],
    ['other', 'node-2'],
  ] as const)
    await client.create(kinds.pods, {
      metadata: { name, namespace: 'default' },
      spec: { nodeName, restartPolicy: 'Never', containers },
    });
  await cluster.settle(500);
  expect(client.all(kinds.pods).map(({ status }) => status?.phase)).toEqual(['Succeeded', 'Succeeded']);
  const body = { spec: { taints: [{ key: 'a', effect: 'NoExecute' }] } };
  await client.patch(kinds.nodes, { name: 'node-1' }, { kind: 'merge', body });
  await cluster.settle(2000);
  expect(client.all(kinds.pods).map(({ metadata }) => metadata?.name)).toEqual(['other']);
});

it('a time for which a pod tolerates runs on through other taints and longer tolerations, not beyond the last taint', async () => {
  await using cluster = await startCluster();
  const { client } = cluster;
  const tolerating = (tolerationSeconds: number) =>
    ['a', 'b'].map((key) => ({ key, operator: 'Exists' as const, tolerationSeconds }));
  const containers = [{ name: 'c', image: 'i' }];
  for (const nodeName of ['node-1', 'node-2'])
    await client.create(kinds.pods, {
      metadata: { name: `on-${nodeName}`, namespace: 'default' },
      spec: { nodeName, containers, tolerations: tolerating(20) },
    });
  const taint = async (name: string, keys: readonly string[]): Promise<void> => {
    const timeAdded = formatTime(cluster.clock.now());
    const taints = keys.map((key) => ({ key, effect: 'NoExecute', timeAdded }));
    await client.patch(kinds.nodes, { name }, { kind: 'merge', body: { spec: { taints } } });
    await cluster.settle(1000);
  };
  for (const name of ['node-1', 'node-2']) await taint(name, ['a']);
  await cluster.settle(10_000);
  await taint('node-1', ['b']);
  const body = { spec: { tolerations: tolerating(200) } };
  await client.patch(kinds.pods, { namespace: 'default', name: 'on-node-1' }, { kind: 'merge', body });
  await taint('node-2', []);
  await taint('node-2', ['b']);
  await cluster.settle(10_000);
  expect(client.all(kinds.pods).map(({ metadata }) => metadata?.name)).toEqual(['on-node-2']);
  await cluster.settle(15_000);
  expect(client.all(kinds.pods)).toEqual([]);
});

it('nodes get parts of the cluster range, and a pod that fits nowhere is told why', async () => {
  await using cluster = await startCluster();
  const { client } = cluster;
  expect(client.all(kinds.nodes).map(({ spec }) => spec?.podCIDR)).toEqual([
    '10.244.0.0/24',
    '10.244.1.0/24',
  ]);
  const resources = { requests: { cpu: '5' } };
  await client.create(kinds.pods, {
    metadata: { name: 'big', namespace: 'default', generation: 1 },
    spec: { containers: [{ name: 'c', image: 'i', resources }] },
  });
  await cluster.settle();
  const big = await client.get(kinds.pods, { namespace: 'default', name: 'big' });
  expect(big.status?.conditions).toMatchObject([
    {
      type: 'PodScheduled',
      observedGeneration: 1,
      status: 'False',
      reason: 'Unschedulable',
      message:
        '0/2 nodes are available: 2 Insufficient cpu. no new claims to deallocate, preemption: 0/2 nodes are available: 2 Preemption is not helpful for scheduling.',
    },
  ]);
  client.seed(kinds.nodes, {
    ...readyNode('node-3'),
    status: { ...readyNode('node-3').status, allocatable: { cpu: '8', memory: '8Gi', pods: '10' } },
  });
  await cluster.settle(3000);
  expect((await client.get(kinds.pods, { namespace: 'default', name: 'big' })).spec?.nodeName).toBe('node-3');
});

it('a pod of higher priority has others go for it, and their place from then on', async () => {
  await using cluster = await startCluster(['node-1']);
  const { client } = cluster;
  const create = (name: string, priority: number, cpu: string): Promise<Pod> =>
    client.create(kinds.pods, {
      // Those that run take their time to go.
      metadata: { name, namespace: 'default', finalizers: priority === 0 ? ['a.b/c'] : [] },
      spec: { priority, containers: [{ name: 'c', image: 'i', resources: { requests: { cpu } } }] },
    });
  const get = (name: string): Promise<Pod> => client.get(kinds.pods, { namespace: 'default', name });
  for (const name of ['low-1', 'low-2']) await create(name, 0, '2');
  await cluster.settle(500);
  expect((await get('low-2')).spec?.nodeName).toBe('node-1');
  await create('vip', 100, '2');
  await cluster.settle();
  const { status } = await get('vip');
  expect(status).toMatchObject({
    nominatedNodeName: 'node-1',
    conditions: [{ reason: 'Unschedulable', message: '0/1 nodes are available: 1 Insufficient cpu.' }],
  });
  await create('late', 0, '2'); // The place is not its.
  await cluster.settle(5000);
  expect((await get('vip')).spec?.nodeName).toBeUndefined();
  const gone = client.all(kinds.pods).filter(({ metadata }) => metadata?.deletionTimestamp !== undefined);
  const body = { metadata: { finalizers: null } };
  for (const { metadata } of gone)
    await client.patch(
      kinds.pods,
      { namespace: 'default', name: metadata?.name ?? '' },
      { kind: 'merge', body },
    );
  await cluster.settle();
  expect((await get('vip')).spec?.nodeName).toBe('node-1');
  expect((await get('late')).spec?.nodeName).toBeUndefined();
  const events = client.all(kinds.events).filter(({ reason }) => reason === 'Preempted');
  expect(events).toMatchObject([
    {
      message: `Preempted by pod ${status === undefined ? '' : (await get('vip')).metadata?.uid} on node node-1`,
    },
  ]);
});

const podTemplate = (image: string, more: Partial<NonNullable<Pod['spec']>> = {}) => ({
  metadata: { labels: { app: 'set' } },
  spec: { containers: [{ name: 'c', image }], ...more },
});
const selector = { matchLabels: { app: 'set' } };
const setWhere = { namespace: 'default', name: 'set' };

it('a DaemonSet runs one pod on each node, also on one that comes later, and updates them one by one', async () => {
  await using cluster = await startCluster();
  const { client } = cluster;
  await client.create(kinds.daemonSets, {
    metadata: { ...setWhere, annotations: { 'deprecated.daemonset.template.generation': '1' } },
    spec: { selector, template: podTemplate('v1') },
  });
  await cluster.settle();
  client.seed(kinds.nodes, readyNode('node-3'));
  await cluster.settle(1000);
  const byNode = () =>
    client
      .all(kinds.pods)
      .map(({ spec }) => `${spec?.nodeName} ${spec?.containers[0]?.image}`)
      .toSorted();
  expect(byNode()).toEqual(['node-1 v1', 'node-2 v1', 'node-3 v1']);
  expect(client.all(kinds.pods)[0]?.metadata?.labels).toMatchObject({ 'pod-template-generation': '1' });
  const daemonSet = await client.get(kinds.daemonSets, setWhere);
  await client.update(kinds.daemonSets, { ...daemonSet, spec: { selector, template: podTemplate('v2') } });
  await cluster.settle(3000);
  expect(byNode()).toEqual(['node-1 v2', 'node-2 v2', 'node-3 v2']);
  expect((await client.get(kinds.daemonSets, setWhere)).status).toMatchObject({
    desiredNumberScheduled: 3,
    numberReady: 3,
    numberAvailable: 3,
    updatedNumberScheduled: 3,
  });
  expect(
    client
      .all(kinds.controllerRevisions)
      .map(({ revision }) => revision)
      .toSorted(),
  ).toEqual([1, 2]);
});

it('a StatefulSet makes its pods in order, scales down in reverse, and updates above its partition', async () => {
  await using cluster = await startCluster();
  const { client } = cluster;
  const claim = { metadata: { name: 'data' }, spec: { accessModes: ['ReadWriteOnce'] } };
  const spec = {
    replicas: 3,
    serviceName: 'set',
    selector,
    template: podTemplate('v1'),
    volumeClaimTemplates: [claim],
  };
  await client.create(kinds.statefulSets, { metadata: setWhere, spec });
  await cluster.settle(5000);
  const made = client.writes.filter((write) => write.startsWith('create pods default/set'));
  expect(made).toEqual([0, 1, 2].map((ordinal) => `create pods default/set-${ordinal}`));
  expect(client.all(kinds.persistentVolumeClaims).map(({ metadata }) => metadata?.name)).toEqual([
    'data-set-0',
    'data-set-1',
    'data-set-2',
  ]);
  const updateStrategy = { type: 'RollingUpdate' as const, rollingUpdate: { partition: 1 } };
  const old = await client.get(kinds.statefulSets, setWhere);
  await client.update(kinds.statefulSets, {
    ...old,
    spec: { ...spec, template: podTemplate('v2'), updateStrategy },
  });
  await cluster.settle(3000);
  const images = () =>
    client.all(kinds.pods).map(({ metadata, spec }) => `${metadata?.name} ${spec?.containers[0]?.image}`);
  expect(images()).toEqual(['set-0 v1', 'set-1 v2', 'set-2 v2']);
  await client.patch(kinds.statefulSets, setWhere, { kind: 'merge', body: { spec: { replicas: 1 } } });
  await cluster.settle(3000);
  expect(images()).toEqual(['set-0 v1']);
  const deletions = client.writes.filter((write) => /^delete pods default\/set-[12]$/.test(write)).slice(-4);
  expect(new Set(deletions.map((write) => write.slice(-1)))).toEqual(new Set(['2', '1']));
});

it('claims go with the pods that a StatefulSet scales away, and with the set; old revisions beyond the limit go', async () => {
  await using cluster = await startCluster();
  const { client } = cluster;
  const spec = {
    replicas: 2,
    selector,
    template: podTemplate('v1'),
    volumeClaimTemplates: [{ metadata: { name: 'data' }, spec: { accessModes: ['ReadWriteOnce'] } }],
    persistentVolumeClaimRetentionPolicy: { whenDeleted: 'Delete', whenScaled: 'Delete' },
    revisionHistoryLimit: 1,
  };
  const claims = () => client.all(kinds.persistentVolumeClaims).map(({ metadata }) => metadata?.name);
  const annotations = { 'kubernetes.io/change-cause': 'tried' };
  await client.create(kinds.statefulSets, { metadata: { ...setWhere, annotations }, spec });
  await cluster.settle(1000);
  const [made] = client.all(kinds.controllerRevisions);
  expect(made?.metadata?.annotations).toEqual(annotations);
  expect(made?.metadata?.name).toBe(`set-${made?.metadata?.labels?.['controller.kubernetes.io/hash']}`);
  expect(claims()).toEqual(['data-set-0', 'data-set-1']);
  await client.patch(kinds.statefulSets, setWhere, { kind: 'merge', body: { spec: { replicas: 1 } } });
  await cluster.settle(3000);
  expect(claims()).toEqual(['data-set-0']);
  for (const image of ['v2', 'v3', 'v4']) {
    const body = { spec: { template: podTemplate(image) } };
    await client.patch(kinds.statefulSets, setWhere, { kind: 'merge', body });
    await cluster.settle(3000);
  }
  expect(
    client
      .all(kinds.controllerRevisions)
      .map(({ revision }) => revision)
      .toSorted(),
  ).toEqual([3, 4]);
  await client.delete(kinds.statefulSets, setWhere, { propagationPolicy: 'Background' });
  await cluster.settle(5000);
  expect([...claims(), ...client.all(kinds.pods)]).toEqual([]);
});

it.each([
  { image: 'ok', want: { type: 'Complete', succeeded: 3, failed: undefined } },
  { image: 'failing', want: { type: 'Failed', succeeded: undefined, failed: 2 } },
])('a Job whose pods are $image ends as $want.type', async ({ image, want }) => {
  await using cluster = await startCluster();
  const { client } = cluster;
  const template = podTemplate(image, { restartPolicy: 'Never' });
  const spec = { completions: 3, parallelism: 1, backoffLimit: 1, selector, template };
  await client.create(kinds.jobs, { metadata: setWhere, spec });
  await cluster.settle(15_000); // Past the back-off after the first failure.
  const { status } = await client.get(kinds.jobs, setWhere);
  expect(status?.conditions?.map(({ type }) => type)).toContain(want.type);
  expect({ succeeded: status?.succeeded, failed: status?.failed }).toEqual({
    succeeded: want.succeeded,
    failed: want.failed,
  });
  expect(status?.uncountedTerminatedPods).toEqual({});
  expect(client.all(kinds.pods).flatMap(({ metadata }) => metadata?.finalizers ?? [])).toEqual([]);
});

it('a CronJob starts a Job each minute, keeps as many ended ones as it may, and takes all along', async () => {
  await using cluster = await startCluster();
  const { client } = cluster;
  const template = podTemplate('ok', { restartPolicy: 'Never' });
  const spec = {
    schedule: '* * * * *',
    successfulJobsHistoryLimit: 2,
    jobTemplate: { spec: { completions: 1, parallelism: 1, selector, template } },
  };
  await client.create(kinds.cronJobs, { metadata: setWhere, spec });
  for (let beat = 0; beat < 10; beat++) {
    // Nodes that say nothing for long get no pods.
    const conditions = [
      { type: 'Ready', status: 'True', lastHeartbeatTime: formatTime(cluster.clock.now()) },
    ];
    const body = { status: { conditions } };
    for (const name of ['node-1', 'node-2']) {
      await client.patch(kinds.nodes, { name }, { kind: 'strategic', body, subresource: 'status' });
    }
    await cluster.settle(20_000);
  }
  const start = Date.UTC(2026, 0, 1) / 60_000;
  const names = client.all(kinds.jobs).map(({ metadata }) => metadata?.name);
  expect(names).toEqual([`set-${start + 2}`, `set-${start + 3}`]);
  const { status } = await client.get(kinds.cronJobs, setWhere);
  expect(status).toMatchObject({
    lastScheduleTime: '2026-01-01T00:03:00Z',
    lastSuccessfulTime: '2026-01-01T00:03:00Z',
  });
  expect(status?.active).toBeUndefined();
  await client.delete(kinds.cronJobs, setWhere, { propagationPolicy: 'Background' });
  await cluster.settle(5000);
  expect([...client.all(kinds.jobs), ...client.all(kinds.pods)]).toEqual([]);
});

it('a CronJob leaves a Job of somebody else that has the name of a time alone, and starts the next', async () => {
  await using cluster = await startCluster();
  const { client } = cluster;
  const jobTemplate = { spec: { template: podTemplate('ok', { restartPolicy: 'Never' }) } };
  const start = Date.UTC(2026, 0, 1) / 60_000;
  const stranger = { ...setWhere, name: `set-${start + 1}`, labels: { of: 'stranger' } };
  await client.create(kinds.jobs, { metadata: stranger, spec: { suspend: true, ...jobTemplate.spec } });
  await client.create(kinds.cronJobs, { metadata: setWhere, spec: { schedule: '* * * * *', jobTemplate } });
  await cluster.settle(130_000);
  const made = client.all(kinds.jobs).map(({ metadata }) => `${metadata?.name} ${metadata?.labels?.['of']}`);
  expect(made).toEqual([`set-${start + 1} stranger`, `set-${start + 2} undefined`]);
  const told = client.all(kinds.events).filter(({ type }) => type === 'Warning');
  expect(told.filter(({ involvedObject }) => involvedObject.kind === 'CronJob')).toEqual([]);
});

it('a CronJob whose schedule changes does not make up for a time that the new one would have had', async () => {
  await using cluster = await startCluster();
  const { client } = cluster;
  const jobTemplate = { spec: { template: podTemplate('ok', { restartPolicy: 'Never' }) } };
  const made = { metadata: where, spec: { schedule: '0 3 * * *', jobTemplate } };
  const cronJob = await client.create(kinds.cronJobs, made);
  await cluster.settle(90_000);
  await client.update(kinds.cronJobs, { ...cronJob, spec: { ...made.spec, schedule: '* * * * *' } });
  await cluster.settle(1000);
  expect(client.all(kinds.jobs)).toEqual([]);
  await cluster.settle(60_000);
  expect(client.all(kinds.jobs)).toHaveLength(1);
});

it('a Job that is deleted while its pods run takes them along', async () => {
  await using cluster = await startCluster();
  const { client } = cluster;
  const template = podTemplate('ok', { restartPolicy: 'OnFailure' });
  await client.create(kinds.jobs, { metadata: setWhere, spec: { parallelism: 2, selector, template } });
  await cluster.settle(1000);
  expect(client.all(kinds.pods).length).toBe(2);
  await client.delete(kinds.jobs, setWhere, { propagationPolicy: 'Background' });
  await cluster.settle(5000);
  expect([...client.all(kinds.jobs), ...client.all(kinds.pods)]).toEqual([]);
});

const tracking = 'batch.kubernetes.io/job-tracking';

it.each([
  { name: 'lost its labels', change: { labels: { app: null } }, isOwned: false },
  { name: 'lost its owner and labels', change: { labels: null, ownerReferences: null }, isOwned: false },
  { name: 'lost its owner', change: { ownerReferences: null }, isOwned: true },
])('a pod that $name is held by the finalizer of its Job only if it has one', async (row) => {
  await using cluster = await startCluster();
  const { client } = cluster;
  const template = podTemplate('ok', { restartPolicy: 'OnFailure' });
  const spec = { parallelism: 1, selector, manualSelector: true, template };
  await client.create(kinds.jobs, { metadata: setWhere, spec });
  await cluster.settle(1000);
  const [pod] = client.all(kinds.pods);
  const where = { namespace: 'default', name: pod?.metadata?.name ?? '' };
  expect(pod?.metadata?.finalizers).toEqual([tracking]);
  await client.patch(kinds.pods, where, { kind: 'merge', body: { metadata: row.change } });
  await cluster.settle(2000);
  const { metadata } = await client.get(kinds.pods, where);
  expect(metadata?.ownerReferences?.[0]?.name).toBe(row.isOwned ? setWhere.name : undefined);
  expect(metadata?.finalizers).toEqual(row.isOwned ? [tracking] : undefined);
});

it('a claim, a volume and a range of addresses that go stay while they are used, and no longer', async () => {
  await using cluster = await startCluster();
  const { client } = cluster;
  const claim = { namespace: 'default', name: 'data' };
  await client.create(kinds.persistentVolumes, { metadata: { name: 'v' }, spec: { claimRef: claim } });
  await client.create(kinds.persistentVolumeClaims, { metadata: claim, spec: { volumeName: 'v' } });
  await cluster.settle(500);
  const finalizers = ['networking.k8s.io/service-cidr-finalizer'];
  client.seed(kinds.serviceCidrs, { metadata: { name: 'c', finalizers }, spec: { cidrs: ['10.9.0.0/16'] } });
  const parentRef = { resource: 'services', name: 's' };
  client.seed(kinds.ipAddresses, { metadata: { name: '10.9.0.1' }, spec: { parentRef } });
  const user = podTemplate('ok', { volumes: [{ name: 'a', persistentVolumeClaim: { claimName: 'data' } }] });
  const pod = { namespace: 'default', name: 'user' };
  await client.create(kinds.pods, { metadata: pod, ...(user.spec === undefined ? {} : { spec: user.spec }) });
  await cluster.settle(500);
  await client.delete(kinds.persistentVolumeClaims, claim);
  await client.delete(kinds.persistentVolumes, { name: 'v' });
  await client.delete(kinds.serviceCidrs, { name: 'c' });
  await cluster.settle(500);
  const [kept] = client.all(kinds.serviceCidrs);
  expect(kept?.status?.conditions).toMatchObject([{ type: 'Ready', status: 'False', reason: 'Terminating' }]);
  const left = (): readonly number[] => [
    client.all(kinds.persistentVolumeClaims).length,
    client.all(kinds.persistentVolumes).length,
    client.all(kinds.serviceCidrs).length,
  ];
  expect(left()).toEqual([1, 1, 1]);
  await client.delete(kinds.pods, pod);
  await client.delete(kinds.ipAddresses, { name: '10.9.0.1' });
  await cluster.settle(500);
  expect(left()).toEqual([0, 0, 0]);
});

it('a disruption budget follows its pods and the scale of their Deployment', async () => {
  await using cluster = await startCluster();
  const { client } = cluster;
  const where = { namespace: 'default', name: 'budget' };
  const spec = { selector: { matchLabels: { app: 'web' } }, maxUnavailable: '25%' };
  await client.create(kinds.podDisruptionBudgets, { metadata: where, spec });
  await client.create(kinds.deployments, web);
  await cluster.settle(500);
  const told = async () => {
    const { status } = await client.get(kinds.podDisruptionBudgets, where);
    return [status?.currentHealthy, status?.desiredHealthy, status?.expectedPods, status?.disruptionsAllowed];
  };
  expect(await told()).toEqual([4, 3, 4, 1]);
  const body = { spec: { replicas: 8 } };
  await client.patch(kinds.deployments, { namespace: 'default', name: 'web' }, { kind: 'merge', body });
  await cluster.settle(500);
  expect(await told()).toEqual([8, 6, 8, 2]);
});

it('a quota tells how much of it is used', async () => {
  await using cluster = await startCluster();
  const { client } = cluster;
  const hard = { pods: '9', configmaps: '9', 'count/deployments.apps': '9' };
  await client.create(kinds.resourceQuotas, {
    metadata: { name: 'q', namespace: 'default' },
    spec: { hard },
  });
  await cluster.settle(500);
  const statusOf = async () =>
    (await client.get(kinds.resourceQuotas, { namespace: 'default', name: 'q' })).status;
  const before = await statusOf();
  expect(before?.hard).toEqual(hard);
  await client.create(kinds.deployments, web);
  await client.create(kinds.configMaps, { metadata: { name: 'mine', namespace: 'default' } });
  await cluster.settle(1000);
  const maps = Number(before?.used?.['configmaps'] ?? 0);
  expect(await statusOf()).toEqual({
    hard,
    used: { pods: '4', configmaps: String(maps + 1), 'count/deployments.apps': '1' },
  });
});

it('a quota that says more than the caches know is left to be right for a while', async () => {
  await using cluster = await startCluster();
  const { client } = cluster;
  const where = { namespace: 'default', name: 'q' };
  await client.create(kinds.resourceQuotas, { metadata: where, spec: { hard: { pods: '9', secrets: '9' } } });
  await cluster.settle(500);
  const usedNow = async () => (await client.get(kinds.resourceQuotas, where)).status?.used;
  expect(await usedNow()).toEqual({ pods: '0', secrets: '0' });
  // As the API server says it of a pod of which the watch has not told yet.
  const body = { status: { used: { pods: '1' } } };
  const patch = { kind: 'merge', body, subresource: 'status' } as const;
  await client.patch(kinds.resourceQuotas, where, patch);
  await cluster.settle(500);
  expect(await usedNow()).toEqual({ pods: '1', secrets: '0' });
  await client.create(kinds.secrets, { metadata: { name: 's', namespace: 'default' } });
  await cluster.settle(0);
  expect(await usedNow()).toEqual({ pods: '1', secrets: '1' });
  await cluster.settle(2000);
  expect(await usedNow()).toEqual({ pods: '0', secrets: '1' });
});

it('an Indexed Job gives each completion its index, and goes after its time to live', async () => {
  await using cluster = await startCluster();
  const { client } = cluster;
  const template = podTemplate('ok', { restartPolicy: 'Never' });
  const spec = {
    completions: 3,
    parallelism: 2,
    completionMode: 'Indexed' as const,
    ttlSecondsAfterFinished: 10,
    selector,
    template,
  };
  await client.create(kinds.jobs, { metadata: setWhere, spec });
  await cluster.settle(5000);
  expect((await client.get(kinds.jobs, setWhere)).status).toMatchObject({
    succeeded: 3,
    completedIndexes: '0-2',
  });
  await cluster.settle(20_000);
  expect([...client.all(kinds.jobs), ...client.all(kinds.pods)]).toEqual([]);
});
