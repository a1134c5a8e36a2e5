import { describe, expect, it } from 'vitest';
import { applyDefaults } from '#api/defaults/defaults.ts';
import { decodeObject } from '#api/wire/decode.ts';
import { at, equalJson, objectOf, withPath } from '#api/wire/json.ts';
import { findKind, kinds, type Kind } from '#api/schema/kinds.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { markDeleted, prepareCreate, prepareUpdate, tracksGeneration } from './strategy.ts';

const kindOf = (group: string, resource: string): Kind => findKind(group, 'v1', resource) as Kind;
const pods = kindOf('', 'pods');
const deployments = kindOf('apps', 'deployments');
const services = kindOf('', 'services');
const namespaces = kindOf('', 'namespaces');
const signingRequests = kindOf('certificates.k8s.io', 'certificatesigningrequests');
const context = { now: Date.parse('2026-01-02T03:04:05Z'), uid: 'uid-1', namespace: 'default' };

/** What is a new generation, by upstream's strategies: its number after a change. */
const generations: readonly (readonly [
  group: string,
  resource: string,
  path: string,
  want: number | undefined,
])[] = [
  ['apps', 'deployments', 'metadata.annotations', 2],
  ['apps', 'deployments', 'metadata.labels', 1],
  ['apps', 'replicasets', 'metadata.annotations', 1],
  ['discovery.k8s.io', 'endpointslices', 'metadata.labels', 2],
  ['discovery.k8s.io', 'endpointslices', 'metadata.annotations', 1],
  ['discovery.k8s.io', 'endpointslices', 'ports', 2],
  ['scheduling.k8s.io', 'priorityclasses', 'description', 1],
  ['storage.k8s.io', 'csidrivers', 'spec.tokenRequests', 1],
  ['storage.k8s.io', 'csidrivers', 'spec.podInfoOnMount', undefined],
  ['storage.k8s.io', 'csidrivers', 'metadata.labels', undefined],
  ['storage.k8s.io', 'storageclasses', 'allowVolumeExpansion', undefined],
  ['', 'podtemplates', 'template', 2],
  ['', 'nodes', 'spec.taints', undefined],
];

const metadataParts: readonly (readonly [string, unknown])[] = [
  ['labels', { a: 'b' }],
  ['annotations', { a: 'b' }],
  ['finalizers', ['a/b']],
  ['ownerReferences', [{ apiVersion: 'v1', kind: 'K', name: 'n', uid: 'u' }]],
];

/** What of metadata is written with a status, by kind; all of it where nothing is said. */
const statusTakes: Readonly<Record<string, readonly string[]>> = {
  Pod: ['labels', 'annotations', 'finalizers'],
  Deployment: ['annotations', 'finalizers', 'ownerReferences'],
  ...Object.fromEntries(
    [
      ...['APIService', 'CustomResourceDefinition', 'FlowSchema', 'PriorityLevelConfiguration'],
      ...['ResourceClaim', 'ValidatingAdmissionPolicy', 'VolumeAttachment'],
    ].map((kind) => [kind, []]),
  ),
};

function stored(kind: Kind, object: JsonObject): JsonObject {
  const decoded = applyDefaults(kind, decodeObject(kind, object).object);
  return withPath(prepareCreate(kind, decoded, context), 'metadata.resourceVersion', '5');
}

const deployment = stored(deployments, {
  metadata: { name: 'd' },
  spec: {
    selector: { matchLabels: { a: 'b' } },
    template: { spec: { containers: [{ name: 'c', image: 'i' }] } },
  },
});

describe('prepareCreate()', () => {
  it('takes nothing from the client that is the server’s to say', () => {
    const given = {
      metadata: {
        name: 'p',
        uid: 'mine',
        resourceVersion: '9',
        generation: 7,
        creationTimestamp: '2000-01-01T00:00:00Z',
        deletionTimestamp: '2000-01-01T00:00:00Z',
        selfLink: '/x',
      },
      spec: { containers: [] },
      status: { phase: 'Running', podIP: '1.2.3.4' },
    };
    const created = prepareCreate(pods, given, context);
    expect(created['metadata']).toEqual({
      name: 'p',
      namespace: 'default',
      uid: 'uid-1',
      generation: 1,
      creationTimestamp: '2026-01-02T03:04:05Z',
    });
    expect(created['status']).toEqual({ phase: 'Pending', qosClass: 'BestEffort' });
  });

  it('makes a name of generateName', () => {
    const created = prepareCreate(
      pods,
      { metadata: { generateName: 'p-' } },
      { ...context, nameSuffix: 'x7k2p' },
    );
    expect(at(created, 'metadata.name')).toBe('p-x7k2p');
    const long = prepareCreate(
      pods,
      { metadata: { generateName: 'p'.repeat(90) } },
      { ...context, nameSuffix: 'x7k2p' },
    );
    expect(String(at(long, 'metadata.name'))).toHaveLength(63);
  });

  it('keeps the status that a kubelet registers its Node with', () => {
    const node = { metadata: { name: 'n' }, status: { capacity: { cpu: '1' } } };
    expect(at(prepareCreate(kindOf('', 'nodes'), node, context), 'status.capacity')).toEqual({ cpu: '1' });
  });

  it.each(
    kinds
      .filter(({ verbs }) => verbs.includes('create'))
      .map((kind) => [`${kind.group}/${kind.kind}`, kind] as const),
  )('sets uid and time of every kind: %s', (_name, kind) => {
    const { uid, creationTimestamp, generation } = prepareCreate(kind, { metadata: { name: 'x' } }, context)[
      'metadata'
    ] as Record<string, unknown>;
    expect({ uid, creationTimestamp }).toEqual({ uid: 'uid-1', creationTimestamp: '2026-01-02T03:04:05Z' });
    expect(generation).toBe(tracksGeneration(kind) ? 1 : undefined);
  });
});

describe('prepareUpdate()', () => {
  it('equals the old object when nothing changes, whatever resourceVersion came', () => {
    const same = withPath(deployment, 'metadata.resourceVersion', undefined);
    expect(equalJson(prepareUpdate(deployments, deployment, same), deployment)).toBe(true);
  });

  it('bumps the generation when the spec changes', () => {
    const updated = prepareUpdate(deployments, deployment, withPath(deployment, 'spec.replicas', 3));
    expect(at(updated, 'metadata.generation')).toBe(2);
  });

  it('does not when only labels change', () => {
    const updated = prepareUpdate(
      deployments,
      deployment,
      withPath(deployment, 'metadata.labels', { x: 'y' }),
    );
    expect(at(updated, 'metadata.generation')).toBe(1);
    expect(at(updated, 'metadata.labels')).toEqual({ x: 'y' });
  });

  it.each(generations)('of %s/%s counts a change of %s as %j', (group, resource, path, want) => {
    const kind = kindOf(group, resource);
    const old = prepareCreate(kind, { metadata: { name: 'x' }, spec: {} }, context);
    const next = prepareUpdate(kind, old, withPath(old, path, { changed: 'x' }));
    expect(at(next, 'metadata.generation')).toBe(want);
    expect(
      at(prepareUpdate(kind, next, withPath(next, path, { changed: 'y' }), 'status'), 'metadata.generation'),
    ).toBe(want);
  });

  it.each(
    kinds
      .filter(({ subresources }) => subresources.some(({ name }) => name === 'status'))
      .map((kind) => [kind.kind, kind] as const),
  )('takes along with the status of %s what its strategy takes', (name, kind) => {
    const old: JsonObject = { metadata: { name: 'x', uid: 'u' }, spec: {}, status: {} };
    const taken = metadataParts.filter(([part, value]) => {
      const next = prepareUpdate(kind, old, withPath(old, ['metadata', part], value), 'status');
      return equalJson(at(next, ['metadata', part]), value);
    });
    expect(taken.map(([part]) => part)).toEqual(statusTakes[name] ?? metadataParts.map(([part]) => part));
  });

  it('writes no status through the main endpoint, and nothing else through status', () => {
    const changed = withPath(withPath(deployment, 'spec.replicas', 3), 'status.replicas', 2);
    const main = prepareUpdate(deployments, deployment, changed);
    expect([at(main, 'spec.replicas'), at(main, 'status.replicas')]).toEqual([3, undefined]);
    const status = prepareUpdate(deployments, deployment, changed, 'status');
    expect([
      at(status, 'spec.replicas'),
      at(status, 'status.replicas'),
      at(status, 'metadata.generation'),
    ]).toEqual([1, 2, 1]);
  });

  it('keeps identity and deletion', () => {
    const deleting = markDeleted(deployment, { now: context.now, gracePeriodSeconds: 30 });
    const updated = prepareUpdate(deployments, deleting, {
      ...deployment,
      metadata: { name: 'other', uid: 'other', creationTimestamp: null },
    });
    expect(updated['metadata']).toEqual(deleting['metadata']);
    expect(at(deleting, 'metadata.deletionTimestamp')).toBe('2026-01-02T03:04:35Z');
    expect(at(deleting, 'metadata.generation')).toBe(2);
  });

  it('leaves a Namespace’s finalizers to the finalize subresource', () => {
    const namespace = stored(namespaces, { metadata: { name: 'n' } });
    const without = withPath(namespace, 'spec', {});
    expect(at(prepareUpdate(namespaces, namespace, without), 'spec.finalizers')).toEqual(['kubernetes']);
    expect(at(prepareUpdate(namespaces, namespace, without, 'finalize'), 'spec.finalizers')).toBeUndefined();
  });

  it('takes conditions and metadata of a signing request from its approval, nothing else', () => {
    const request = stored(signingRequests, { metadata: { name: 'r' }, spec: { username: 'u' } });
    const conditions = [{ type: 'Approved', status: 'True' }];
    const approved = prepareUpdate(
      signingRequests,
      request,
      {
        ...request,
        metadata: { ...objectOf(request['metadata']), annotations: { by: 'me' } },
        spec: { username: 'other' },
        status: { conditions, certificate: 'bm9uZQ==' },
      },
      'approval',
    );
    expect(at(approved, 'metadata.annotations')).toEqual({ by: 'me' });
    expect(approved).toMatchObject({ spec: { username: 'u' }, status: { conditions } });
    expect(at(approved, 'status.certificate')).toBeUndefined();
  });

  it('keeps what was allocated to a Service', () => {
    const service = stored(services, {
      metadata: { name: 's' },
      spec: {
        type: 'NodePort',
        clusterIP: '10.96.0.9',
        clusterIPs: ['10.96.0.9'],
        ports: [{ port: 80, nodePort: 30_080 }],
      },
    });
    const manifest = applyDefaults(services, {
      metadata: { name: 's' },
      spec: {
        type: 'NodePort',
        ports: [
          { port: 80, protocol: 'TCP' },
          { port: 81, protocol: 'TCP', name: 'new' },
        ],
      },
    });
    const { spec } = prepareUpdate(services, service, manifest);
    expect(spec).toMatchObject({ clusterIP: '10.96.0.9', clusterIPs: ['10.96.0.9'] });
    expect(at(spec, 'ports')).toMatchObject([{ port: 80, nodePort: 30_080 }, { port: 81 }]);
  });

  it('drops what only the old type of a Service needed', () => {
    const spec = {
      type: 'NodePort',
      clusterIP: '10.96.0.9',
      clusterIPs: ['10.96.0.9'],
      ports: [{ port: 80, nodePort: 30_080 }],
    };
    const service = stored(services, { metadata: { name: 's' }, spec });
    const update = (patch: JsonObject): unknown => {
      const patched = applyDefaults(services, {
        ...service,
        spec: { ...(service['spec'] as JsonObject), ...patch },
      });
      return prepareUpdate(services, service, patched)['spec'];
    };
    expect(update({ type: 'ClusterIP' })).toEqual({
      type: 'ClusterIP',
      clusterIP: '10.96.0.9',
      clusterIPs: ['10.96.0.9'],
      sessionAffinity: 'None',
      internalTrafficPolicy: 'Cluster',
      ports: [{ port: 80, protocol: 'TCP', targetPort: 80 }],
    });
    expect(update({ type: 'ExternalName', externalName: 'a.b' })).toEqual({
      type: 'ExternalName',
      externalName: 'a.b',
      sessionAffinity: 'None',
      ports: [{ port: 80, protocol: 'TCP', targetPort: 80 }],
    });
  });

  it('keeps the health check port of a Service, and takes it and the addresses with the load balancer', () => {
    const metadata = { name: 's' };
    const spec = { type: 'LoadBalancer', externalTrafficPolicy: 'Local', ports: [{ port: 80 }] };
    const service = {
      ...stored(services, { metadata, spec: { ...spec, healthCheckNodePort: 30_999 } }),
      status: { loadBalancer: { ingress: [{ ip: '203.0.113.5', ipMode: 'VIP' }] } },
    };
    const update = (next: JsonObject): JsonObject =>
      prepareUpdate(services, service, applyDefaults(services, { metadata, spec: next }));
    const kept = update(spec);
    expect(kept['spec']).toMatchObject({ healthCheckNodePort: 30_999 });
    expect(kept['status']).toEqual(service.status);
    const cluster = update({ ...spec, externalTrafficPolicy: 'Cluster', healthCheckNodePort: 30_999 });
    expect(at(cluster, 'spec.healthCheckNodePort')).toBeUndefined();
    expect(update({ ...spec, type: 'NodePort' })['status']).toEqual({ loadBalancer: {} });
  });

  it('counts the templates of a DaemonSet', () => {
    const sets = kindOf('apps', 'daemonsets');
    const set = stored(sets, {
      metadata: { name: 'd' },
      spec: { template: { spec: { containers: [{ name: 'c', image: 'i' }] } } },
    });
    const annotation = ['metadata', 'annotations', 'deprecated.daemonset.template.generation'];
    const changed = withPath(set, 'spec.template.spec.containers', [{ name: 'c', image: 'j' }]);
    expect(at(prepareUpdate(sets, set, set), annotation)).toBe('1');
    expect(at(prepareUpdate(sets, set, changed), annotation)).toBe('2');
  });
});
