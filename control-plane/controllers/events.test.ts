/**
 * What `kubectl describe` of a person's object shows of each loop: reasons and messages of a 1.36 (loops-observed), no more and no less. Each loop has
 * a row, or it is said in `loop-events.fixture.ts` where else it tells.
 */
import { describe, expect, it } from 'vitest';
import * as failure from '#api/errors/status.ts';
import { formatMicroTime } from '#api/meta/time.ts';
import * as kinds from '#api/schema/kind-ref.ts';
import type { PodTemplateSpec } from '#api/generated/objects.ts';
import { readyNode, startCluster, type Cluster } from './cluster.fixture.ts';
import { controllerNames } from './controller-names.ts';
import { loopEventRows, silentLoops, type EventRow } from './loop-events.fixture.ts';

const metadata = (name: string) => ({ name, namespace: 'default' });
const labels = { app: 'x' };
const containers = [{ name: 'c', image: 'i' }];
const template = { metadata: { labels }, spec: { containers } };
const spec = { replicas: 1, selector: { matchLabels: labels }, template };
const once = (image: string): PodTemplateSpec => ({
  spec: { restartPolicy: 'Never', containers: [{ name: 'c', image }] },
});

/** Of an object and in order: `TYPE REASON (COMPONENT) MESSAGE`; what names are made of is left out. */
function toldOf({ client }: Cluster, kind: string, name: string): readonly string[] {
  return client
    .all(kinds.events)
    .filter(({ involvedObject: of }) => of.kind === kind && of.name?.startsWith(name) === true)
    .map(({ type = '', reason = '', source, message = '' }) =>
      `${type} ${reason} (${source?.component ?? ''}) ${message}`.replaceAll(
        /\b(d-[a-z0-9]+|cj-\d+|(?:r|ds|j|bad|su)-[a-z0-9]+|d-[a-z0-9]+-[a-z0-9]+|csi-[a-z0-9]+)\b/g,
        (text) => text.replace(/-.*/, '-…'),
      ),
    );
}

async function setPhase({ client, settle }: Cluster, kind: 'Failed' | 'Succeeded'): Promise<void> {
  for (const { metadata: of } of client.all(kinds.pods)) {
    const body = { status: { phase: kind } };
    const where = { namespace: of?.namespace, name: of?.name ?? '' };
    await client.patch(kinds.pods, where, { kind: 'merge', body, subresource: 'status' });
  }
  await settle(2_000);
}

/** A node that says nothing for so long is silent; the others do. */
async function beSilent({ client, clock, settle }: Cluster, silent: string): Promise<void> {
  for (let passed = 0; passed < 60_000; passed += 5_000) {
    for (const { metadata: of } of client.all(kinds.nodes)) {
      const name = of?.name ?? '';
      const renewed = { holderIdentity: name, renewTime: formatMicroTime(clock.now()) };
      const lease = { metadata: { name, namespace: 'kube-node-lease' }, spec: renewed };
      if (name !== silent) client.seed(kinds.leases, lease);
    }
    clock.advance(5_000);
    await settle();
  }
}

const rows: readonly EventRow[] = [
  ...loopEventRows,
  {
    name: 'a Deployment that is made and scaled',
    loop: 'deployment-controller',
    of: ['Deployment', 'd'],
    act: async ({ client, settle }) => {
      await client.create(kinds.deployments, { metadata: metadata('d'), spec });
      await settle(2_000);
      const body = { spec: { replicas: 3 } };
      await client.patch(kinds.deployments, { namespace: 'default', name: 'd' }, { kind: 'merge', body });
    },
    want: [
      'Normal ScalingReplicaSet (deployment-controller) Scaled up replica set d-… from 0 to 1',
      'Normal ScalingReplicaSet (deployment-controller) Scaled up replica set d-… from 1 to 3',
    ],
  },
  {
    name: 'a Deployment whose ReplicaSet is refused',
    loop: 'deployment-controller',
    of: ['Deployment', 'd'],
    act: async ({ client }) => {
      client.intercept = ({ verb, resource, name }) =>
        verb === 'create' && resource === 'replicasets'
          ? failure.forbidden({ ...kinds.replicaSets }, name, 'no')
          : undefined;
      await client.create(kinds.deployments, { metadata: metadata('d'), spec });
    },
    want: [
      'Warning ReplicaSetCreateError (deployment-controller) Failed to create new replica set "d-…": replicasets.apps "d-…" is forbidden: no',
    ],
  },
  {
    name: 'a ReplicaSet',
    loop: 'replicaset-controller',
    of: ['ReplicaSet', 'r'],
    act: async ({ client, settle }) => {
      await client.create(kinds.replicaSets, { metadata: metadata('r'), spec });
      await settle(2_000);
      const body = { spec: { replicas: 0 } };
      await client.patch(kinds.replicaSets, { namespace: 'default', name: 'r' }, { kind: 'merge', body });
    },
    want: [
      'Normal SuccessfulCreate (replicaset-controller) Created pod: r-…',
      'Normal SuccessfulDelete (replicaset-controller) Deleted pod: r-…',
    ],
  },
  {
    name: 'a StatefulSet whose pod fails',
    loop: 'statefulset-controller',
    of: ['StatefulSet', 's'],
    act: async (cluster) => {
      await cluster.client.create(kinds.statefulSets, {
        metadata: metadata('s'),
        spec: { ...spec, serviceName: 's' },
      });
      await cluster.settle(2_000);
      await setPhase(cluster, 'Failed');
    },
    want: [
      'Normal SuccessfulCreate (statefulset-controller) Create Pod s-0 in StatefulSet s successful',
      'Warning RecreatingFailedPod (statefulset-controller) StatefulSet default/s is recreating failed Pod s-0',
      'Normal SuccessfulDelete (statefulset-controller) Delete Pod s-0 in StatefulSet s successful',
    ],
  },
  {
    name: 'a StatefulSet with claims',
    loop: 'statefulset-controller',
    of: ['StatefulSet', 's'],
    act: ({ client }) => {
      const requests = { storage: '1Gi' };
      const claim = { accessModes: ['ReadWriteOnce'], resources: { requests } } as const;
      const volumeClaimTemplates = [{ metadata: { name: 'data' }, spec: claim }];
      return client.create(kinds.statefulSets, {
        metadata: metadata('s'),
        spec: { ...spec, serviceName: 's', volumeClaimTemplates },
      });
    },
    want: [
      'Normal SuccessfulCreate (statefulset-controller) Create Claim data-s-0 Pod s-0 in StatefulSet s success',
      'Normal SuccessfulCreate (statefulset-controller) Create Pod s-0 in StatefulSet s successful',
    ],
  },
  {
    name: 'a pod whose eviction is called off',
    loop: 'taint-eviction-controller',
    of: ['Pod', 'own'],
    act: async ({ client, settle }) => {
      const taint = { key: 'a', effect: 'NoExecute' };
      const tolerations = [
        { key: 'a', operator: 'Exists', effect: 'NoExecute', tolerationSeconds: 300 },
      ] as const;
      await client.create(kinds.pods, {
        metadata: metadata('own'),
        spec: { nodeName: 'node-1', containers, tolerations },
      });
      const tainted = async (taints: readonly (typeof taint)[]): Promise<void> => {
        const body = { spec: { taints } };
        await client.patch(kinds.nodes, { name: 'node-1' }, { kind: 'merge', body });
        await settle(2_000);
      };
      await tainted([taint]);
      await tainted([]);
    },
    want: ['Normal TaintManagerEviction (taint-eviction-controller) Cancelling deletion of Pod default/own'],
  },
  {
    name: 'a DaemonSet whose pod fails',
    loop: 'daemonset-controller',
    of: ['DaemonSet', 'ds'],
    act: async (cluster) => {
      const { replicas: _one, ...daemon } = spec;
      await cluster.client.create(kinds.daemonSets, { metadata: metadata('ds'), spec: daemon });
      await cluster.settle(2_000);
      await setPhase(cluster, 'Failed');
    },
    want: [
      'Normal SuccessfulCreate (daemonset-controller) Created pod: ds-…',
      'Warning FailedDaemonPod (daemonset-controller) Found failed daemon pod default/ds-… on node node-1, will try to kill it',
      'Normal SuccessfulDelete (daemonset-controller) Deleted pod: ds-…',
      'Normal SuccessfulCreate (daemonset-controller) Created pod: ds-…',
    ],
  },
  {
    name: 'a Job that completes',
    loop: 'job-controller',
    of: ['Job', 'j'],
    act: ({ client }) =>
      client.create(kinds.jobs, { metadata: metadata('j'), spec: { template: once('ok') } }),
    want: [
      'Normal SuccessfulCreate (job-controller) Created pod: j-…',
      'Normal Completed (job-controller) Job completed',
    ],
  },
  {
    name: 'a Job that fails',
    loop: 'job-controller',
    of: ['Job', 'bad'],
    act: ({ client }) =>
      client.create(kinds.jobs, {
        metadata: metadata('bad'),
        spec: { backoffLimit: 0, template: once('failing') },
      }),
    want: [
      'Normal SuccessfulCreate (job-controller) Created pod: bad-…',
      'Warning BackoffLimitExceeded (job-controller) Job has reached the specified backoff limit',
    ],
  },
  {
    name: 'a Job that is suspended, and resumed',
    loop: 'job-controller',
    of: ['Job', 'su'],
    act: async ({ client, settle }) => {
      const suspended = { suspend: true, template: once('ok') };
      await client.create(kinds.jobs, { metadata: metadata('su'), spec: suspended });
      await settle(2_000);
      const body = { spec: { suspend: false } };
      await client.patch(kinds.jobs, { namespace: 'default', name: 'su' }, { kind: 'merge', body });
    },
    want: [
      'Normal Suspended (job-controller) Job suspended',
      'Normal Resumed (job-controller) Job resumed',
      'Normal SuccessfulCreate (job-controller) Created pod: su-…',
      'Normal Completed (job-controller) Job completed',
    ],
  },
  {
    name: 'a CronJob',
    loop: 'cronjob-controller',
    of: ['CronJob', 'cj'],
    act: async (cluster) => {
      const { client } = cluster;
      const jobTemplate = { spec: { template: once('ok') } };
      await client.create(kinds.cronJobs, {
        metadata: metadata('cj'),
        spec: { schedule: '* * * * *', jobTemplate },
      });
      await beSilent(cluster, 'nobody');
    },
    want: [
      'Normal SuccessfulCreate (cronjob-controller) Created job cj-…',
      'Normal SawCompletedJob (cronjob-controller) Saw completed job: cj-…, condition: Complete',
    ],
  },
  {
    name: 'a node that comes and goes',
    loop: 'node-lifecycle-controller',
    of: ['Node', 'late'],
    act: async ({ client, settle }) => {
      client.seed(kinds.nodes, readyNode('late'));
      await settle(2_000);
      await client.delete(kinds.nodes, { name: 'late' });
    },
    want: [
      'Normal RegisteredNode (node-controller) Node late event: Registered Node late in Controller',
      'Normal RemovingNode (node-controller) Node late event: Removing Node late from Controller',
    ],
  },
  {
    name: 'a node that never said anything, and falls silent',
    loop: 'node-lifecycle-controller',
    of: ['Node', 'mute'],
    act: async (cluster) => {
      cluster.client.seed(kinds.nodes, { metadata: { name: 'mute' } });
      await beSilent(cluster, 'mute');
    },
    want: ['Normal RegisteredNode (node-controller) Node mute event: Registered Node mute in Controller'],
  },
  {
    name: 'a node that falls silent',
    loop: 'node-lifecycle-controller',
    of: ['Node', 'late'],
    act: async (cluster) => {
      cluster.client.seed(kinds.nodes, readyNode('late'));
      await beSilent(cluster, 'late');
    },
    want: [
      'Normal RegisteredNode (node-controller) Node late event: Registered Node late in Controller',
      'Normal NodeNotReady (node-controller) Node late status is now: NodeNotReady',
    ],
  },
  {
    name: 'a pod of a node that falls silent',
    loop: 'node-lifecycle-controller',
    of: ['Pod', 'own'],
    act: async (cluster) => {
      await cluster.client.create(kinds.pods, {
        metadata: metadata('own'),
        spec: { nodeName: 'node-1', containers },
      });
      await cluster.settle(2_000);
      await beSilent(cluster, 'node-1');
    },
    want: ['Warning NodeNotReady (node-controller) Node is not ready'],
  },
  {
    name: 'a Service whose slices are refused',
    loop: 'endpointslice-controller',
    of: ['Service', 'svc'],
    act: async ({ client }) => {
      client.intercept = ({ verb, resource, name }) =>
        verb === 'create' && resource === 'endpointslices'
          ? failure.forbidden({ ...kinds.endpointSlices }, name, 'no')
          : undefined;
      await client.create(kinds.services, {
        metadata: metadata('svc'),
        spec: { selector: labels, ports: [{ port: 80 }] },
      });
    },
    want: [
      'Warning FailedToUpdateEndpointSlices (endpoint-slice-controller) Error updating Endpoint Slices for Service default/svc: endpointslices.discovery.k8s.io is forbidden: no',
    ],
  },
  {
    name: 'a Service that wants hints by zones, of nodes that say nothing of zones, and no more',
    loop: 'endpointslice-controller',
    of: ['Service', 'svc'],
    act: async ({ client, settle }) => {
      const mode = 'service.kubernetes.io/topology-mode';
      const annotations = { [mode]: 'Auto' };
      await client.create(kinds.services, {
        metadata: { ...metadata('svc'), annotations },
        spec: { selector: labels, ports: [{ port: 80 }] },
      });
      await settle(2_000);
      const where = { namespace: 'default', name: 'svc' };
      for (const value of ['Auto', null]) {
        const body = { metadata: { annotations: { [mode]: value, other: 'x' } } };
        await client.patch(kinds.services, where, { kind: 'merge', body });
        await settle(2_000);
      }
    },
    want: [
      'Warning TopologyAwareHintsDisabled (endpoint-slice-controller) Insufficient Node information: allocatable CPU or zone not specified on one or more nodes, addressType: IPv4',
    ],
  },
  {
    name: 'a Service that has hints by zones, and wants them no more',
    loop: 'endpointslice-controller',
    of: ['Service', 'svc'],
    act: async ({ client, settle }) => {
      const mode = 'service.kubernetes.io/topology-mode';
      for (const zone of ['a', 'b']) {
        const of = readyNode(zone);
        const zoned = { ...of.metadata?.labels, 'topology.kubernetes.io/zone': zone };
        client.seed(kinds.nodes, { ...of, metadata: { ...of.metadata, labels: zoned } });
        await client.create(kinds.pods, {
          metadata: { ...metadata(zone), labels },
          spec: { nodeName: zone, containers },
        });
      }
      await client.delete(kinds.nodes, { name: 'node-1' });
      await settle(2_000);
      await client.create(kinds.services, {
        metadata: { ...metadata('svc'), annotations: { [mode]: 'Auto' } },
        spec: { selector: labels, ports: [{ port: 80 }] },
      });
      await settle(2_000);
      const where = { namespace: 'default', name: 'svc' };
      const body = { metadata: { annotations: { [mode]: 'Disabled' } } };
      await client.patch(kinds.services, where, { kind: 'merge', body });
    },
    want: [
      'Normal TopologyAwareHintsEnabled (endpoint-slice-controller) Topology Aware Hints has been enabled, addressType: IPv4',
      'Warning TopologyAwareHintsDisabled (endpoint-slice-controller) Topology Aware Hints has been disabled, addressType: IPv4',
    ],
  },
  {
    name: 'a claim that waits for its first pod',
    loop: 'persistentvolume-binder-controller',
    of: ['PersistentVolumeClaim', 'c'],
    act: ({ client }) =>
      client.create(kinds.persistentVolumeClaims, {
        metadata: metadata('c'),
        spec: {
          accessModes: ['ReadWriteOnce'],
          resources: { requests: { storage: '1Gi' } },
          storageClassName: 'standard',
        },
      }),
    want: [
      'Normal WaitForFirstConsumer (persistentvolume-controller) waiting for first consumer to be created before binding',
    ],
  },
  {
    name: 'a claim of a class that is not there',
    loop: 'persistentvolume-binder-controller',
    of: ['PersistentVolumeClaim', 'c'],
    act: ({ client }) =>
      client.create(kinds.persistentVolumeClaims, {
        metadata: metadata('c'),
        spec: {
          accessModes: ['ReadWriteOnce'],
          resources: { requests: { storage: '1Gi' } },
          storageClassName: 'zz',
        },
      }),
    want: [
      'Warning ProvisioningFailed (persistentvolume-controller) storageclass.storage.k8s.io "zz" not found',
    ],
  },
  {
    name: 'an autoscaler whose target is not there',
    loop: 'horizontal-pod-autoscaler-controller',
    of: ['HorizontalPodAutoscaler', 'h'],
    act: ({ client }) =>
      client.create(kinds.horizontalPodAutoscalers, {
        metadata: metadata('h'),
        spec: {
          scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'nobody' },
          maxReplicas: 2,
        },
      }),
    want: ['Warning FailedGetScale (horizontal-pod-autoscaler) deployments.apps "nobody" not found'],
  },
  {
    name: 'an object of no namespace whose owner would be in one',
    loop: 'garbage-collector-controller',
    of: ['ClusterRole', 'owned'],
    act: ({ client }) =>
      client.create(kinds.clusterRoles, {
        metadata: {
          name: 'owned',
          ownerReferences: [{ apiVersion: 'v1', kind: 'ConfigMap', name: 'c', uid: 'u' }],
        },
      }),
    want: [
      'Warning OwnerRefInvalidNamespace (garbage-collector-controller) ownerRef [v1/ConfigMap, namespace: , name: c, uid: u] does not exist in namespace ""',
    ],
  },
  {
    name: 'an object whose owner is in another namespace',
    loop: 'garbage-collector-controller',
    of: ['ConfigMap', 'owned'],
    act: async ({ client }) => {
      client.seed(kinds.namespaces, { metadata: { name: 'other' } });
      client.seed(kinds.configMaps, { metadata: { name: 'c', namespace: 'other', uid: 'u' } });
      const ownerReferences = [{ apiVersion: 'v1', kind: 'ConfigMap', name: 'c', uid: 'u' }];
      await client.create(kinds.configMaps, { metadata: { ...metadata('owned'), ownerReferences } });
    },
    want: [
      'Warning OwnerRefInvalidNamespace (garbage-collector-controller) ownerRef [v1/ConfigMap, namespace: default, name: c, uid: u] does not exist in namespace "default"',
    ],
  },
  {
    name: 'a budget without pods',
    loop: 'disruption-controller',
    of: ['PodDisruptionBudget', 'none'],
    act: ({ client }) =>
      client.create(kinds.podDisruptionBudgets, {
        metadata: metadata('none'),
        spec: { minAvailable: 1, selector: { matchLabels: labels } },
      }),
    want: ['Normal NoPods (controllermanager) No matching pods found'],
  },
  {
    name: 'a budget of a pod that nobody controls',
    loop: 'disruption-controller',
    of: ['PodDisruptionBudget', 'bare'],
    act: async ({ client }) => {
      client.seed(kinds.pods, { metadata: { ...metadata('bare'), labels: { a: 'bare' } } });
      await client.create(kinds.podDisruptionBudgets, {
        metadata: metadata('bare'),
        spec: { maxUnavailable: 1, selector: { matchLabels: { a: 'bare' } } },
      });
    },
    want: [
      'Warning UnmanagedPods (controllermanager) Pods selected by this PodDisruptionBudget (selector: &LabelSelector{MatchLabels:map[string]string{a: bare,},MatchExpressions:[]LabelSelectorRequirement{},}) were found to be unmanaged. As a result, the status of the PDB cannot be calculated correctly, which may result in undefined behavior. To account for these pods please set ".spec.minAvailable" field of the PDB to an integer value.',
    ],
  },
];

describe('events of', () => {
  it('each loop have a row, or nobody expects them', () => {
    const told = new Set([...rows.map(({ loop }) => loop), ...Object.keys(silentLoops)]);
    expect([...told].toSorted()).toEqual(controllerNames.toSorted());
    expect(rows.filter(({ loop }) => silentLoops[loop] !== undefined)).toEqual([]);
  });

  it.each(rows)('$name', async ({ of, act, want }) => {
    await using cluster = await startCluster(['node-1']);

    await act(cluster);
    await cluster.settle(2_000);
    cluster.client.intercept = () => undefined;
    expect(toldOf(cluster, ...of)).toEqual(want);
  });
});
