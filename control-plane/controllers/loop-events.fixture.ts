import * as failure from '#api/errors/status.ts';
import type { Node, Pod } from '#api/generated/objects.ts';
import type { KindRef } from '#api/schema/kind-ref.ts';
import * as kinds from '#api/schema/kind-ref.ts';
import { managedAttachAnnotation } from '#api/volume/attachment.ts';
import { readyNode, type Cluster } from './cluster.fixture.ts';
import type { ControllerName } from './controller-names.ts';

export interface EventRow {
  readonly name: string;
  /** Whose words these are. */
  readonly loop: ControllerName;
  readonly of: readonly [kind: string, name: string];
  readonly act: (cluster: Cluster) => Promise<unknown>;
  readonly want: readonly string[];
}

/** Loops that tell of nothing by events, as upstream's, and where it is read instead. */
export const silentLoops: Partial<Record<ControllerName, string>> = {
  'serviceaccount-token-controller': 'annotations of Secrets',
  'serviceaccount-controller': 'the account is there',
  'root-ca-certificate-publisher-controller': 'the ConfigMap is there',
  'legacy-serviceaccount-token-cleaner-controller': 'labels of Secrets',
  'resourcequota-controller': 'status of ResourceQuotas',
  'namespace-controller': 'conditions of Namespaces',
  'certificatesigningrequest-signing-controller': 'conditions of requests',
  'certificatesigningrequest-approving-controller': 'conditions of requests',
  'certificatesigningrequest-cleaner-controller': 'requests that are gone',
  'bootstrap-signer-controller': 'signatures of the ConfigMap',
  'token-cleaner-controller': 'Secrets that are gone',
  'pod-garbage-collector-controller': 'conditions of pods: DisruptionTarget',
  'ttl-after-finished-controller': 'Jobs that are gone',
  'ttl-controller': 'annotations of nodes',
  'clusterrole-aggregation-controller': 'rules of ClusterRoles',
  'persistentvolumeclaim-protection-controller': 'finalizers',
  'persistentvolume-protection-controller': 'finalizers',
  'volumeattributesclass-protection-controller': 'finalizers',
  'podgroup-protection-controller': 'finalizers',
  'validatingadmissionpolicy-status-controller': 'status of policies',
  'storage-version-migrator-controller': 'conditions of migrations',
  'cluster-policy-status-controller': 'conditions of policies of the cluster',
};

const named = (name: string) => ({ name, namespace: 'default' });
const containers = [{ name: 'c', image: 'i' }];
const size = { storage: '1Gi' };
const accessModes = ['ReadWriteOnce'];

/** What is asked of the kind in this way is refused. */
function refuse({ client }: Cluster, verb: string, kind: KindRef<unknown>): void {
  client.intercept = (request) =>
    request.verb === verb && request.resource === kind.resource
      ? failure.forbidden({ ...kind }, request.name, 'no')
      : undefined;
}

/** A node whose volumes others attach, and that uses these. */
function seedNode({ client }: Cluster, name: string, volumesInUse: readonly string[] = []): void {
  const node: Node = readyNode(name);
  const annotations = { ...node.metadata?.annotations, [managedAttachAnnotation]: 'true' };
  const metadata = { ...node.metadata, annotations };
  client.seed(kinds.nodes, { ...node, metadata, status: { ...node.status, volumesInUse } });
}

/** A volume `v` of a driver that attaches, bound to the claim `c`. */
async function makeVolume({ client, settle }: Cluster): Promise<void> {
  client.seed(kinds.csiDrivers, { metadata: { name: 'd' }, spec: { attachRequired: true } });
  await client.create(kinds.persistentVolumes, {
    metadata: { name: 'v' },
    spec: { capacity: size, accessModes, csi: { driver: 'd', volumeHandle: 'h' }, storageClassName: '' },
  });
  await client.create(kinds.persistentVolumeClaims, {
    metadata: named('c'),
    spec: { accessModes, resources: { requests: size }, storageClassName: '', volumeName: 'v' },
  });
  await settle(2_000);
}

const user = (name: string, nodeName: string): Pod => ({
  metadata: named(name),
  spec: { nodeName, containers, volumes: [{ name: 'v', persistentVolumeClaim: { claimName: 'c' } }] },
});

/** What the driver's attacher says of all that it is asked for. */
async function answerAttach({ client, settle }: Cluster, status: object): Promise<void> {
  await settle(2_000);
  for (const { metadata } of client.all(kinds.volumeAttachments)) {
    const where = { name: metadata?.name ?? '' };
    const body = { status: { attached: false, ...status } };
    await client.patch(kinds.volumeAttachments, where, { kind: 'merge', body, subresource: 'status' });
  }
  await settle(2_000);
}

const ephemeral: Pod = {
  metadata: named('eph'),
  spec: {
    nodeName: 'elsewhere',
    containers,
    volumes: [
      {
        name: 'v',
        ephemeral: { volumeClaimTemplate: { spec: { accessModes, resources: { requests: size } } } },
      },
    ],
  },
};

const volumeRows: readonly EventRow[] = [
  {
    name: 'a pod whose volume is attached',
    loop: 'persistentvolume-attach-detach-controller',
    of: ['Pod', 'p'],
    act: async (cluster) => {
      seedNode(cluster, 'n');
      await makeVolume(cluster);
      await cluster.client.create(kinds.pods, user('p', 'n'));
      await answerAttach(cluster, { attached: true });
    },
    want: [
      'Normal SuccessfulAttachVolume (attachdetach-controller) AttachVolume.Attach succeeded for volume "v" ',
    ],
  },
  {
    name: 'a pod whose volume cannot be attached',
    loop: 'persistentvolume-attach-detach-controller',
    of: ['Pod', 'p'],
    act: async (cluster) => {
      seedNode(cluster, 'n');
      await makeVolume(cluster);
      await cluster.client.create(kinds.pods, user('p', 'n'));
      await answerAttach(cluster, { attachError: { message: 'rpc error: no such disk' } });
    },
    want: [
      'Warning FailedAttachVolume (attachdetach-controller) AttachVolume.Attach failed for volume "v" : rpc error: no such disk',
    ],
  },
  {
    name: 'a pod whose volume cannot be asked for',
    loop: 'persistentvolume-attach-detach-controller',
    of: ['Pod', 'p'],
    act: async (cluster) => {
      seedNode(cluster, 'n');
      await makeVolume(cluster);
      refuse(cluster, 'create', kinds.volumeAttachments);
      await cluster.client.create(kinds.pods, user('p', 'n'));
    },
    want: [
      'Warning FailedAttachVolume (attachdetach-controller) AttachVolume.Attach failed for volume "v" : kubernetes.io/csi: attacher.Attach failed: volumeattachments.storage.k8s.io "csi-…" is forbidden: no',
    ],
  },
  {
    name: 'a pod whose volume another node has',
    loop: 'persistentvolume-attach-detach-controller',
    of: ['Pod', 'q'],
    act: async (cluster) => {
      seedNode(cluster, 'n');
      seedNode(cluster, 'm');
      await makeVolume(cluster);
      await cluster.client.create(kinds.pods, user('p', 'n'));
      await answerAttach(cluster, { attached: true });
      await cluster.client.create(kinds.pods, user('q', 'm'));
    },
    want: [
      'Warning FailedAttachVolume (attachdetach-controller) Multi-Attach error for volume "v" Volume is already used by pod(s) p',
    ],
  },
  {
    name: 'a claim of a driver that asks for more',
    loop: 'persistentvolume-expander-controller',
    of: ['PersistentVolumeClaim', 'c'],
    act: async (cluster) => {
      await makeVolume(cluster);
      const body = { spec: { resources: { requests: { storage: '2Gi' } } } };
      await cluster.client.patch(kinds.persistentVolumeClaims, named('c'), { kind: 'merge', body });
    },
    want: ['Normal ExternalExpanding (volume_expand) waiting for an external controller to expand this PVC'],
  },
  {
    name: 'a pod whose ephemeral volume has the name of another claim',
    loop: 'ephemeral-volume-controller',
    of: ['Pod', 'eph'],
    act: async ({ client, settle }) => {
      await client.create(kinds.persistentVolumeClaims, {
        metadata: named('eph-v'),
        spec: { accessModes, resources: { requests: size } },
      });
      await settle(2_000);
      await client.create(kinds.pods, ephemeral);
    },
    want: [
      'Warning FailedBinding (ephemeral_volume) ephemeral volume v: PVC default/eph-v was not created for pod default/eph (pod is not owner)',
    ],
  },
  {
    name: 'a pod whose ephemeral volume is refused',
    loop: 'ephemeral-volume-controller',
    of: ['Pod', 'eph'],
    act: async (cluster) => {
      refuse(cluster, 'create', kinds.persistentVolumeClaims);
      await cluster.client.create(kinds.pods, ephemeral);
    },
    want: [
      'Warning FailedBinding (ephemeral_volume) ephemeral volume v: create PVC eph-v: persistentvolumeclaims "eph-v" is forbidden: no',
    ],
  },
];

const deviceClaim = {
  metadata: named('rc'),
  spec: {},
  status: {
    allocation: { devices: { results: [{ request: 'r', driver: 'd', pool: 'p', device: 'x' }] } },
    reservedFor: [{ resource: 'pods', name: 'dev', uid: 'uid-dev' }],
  },
};

const otherRows: readonly EventRow[] = [
  {
    name: 'a node whose range cannot be written',
    loop: 'node-ipam-controller',
    of: ['Node', 'late'],
    act: async (cluster) => {
      refuse(cluster, 'patch', kinds.nodes);
      cluster.client.seed(kinds.nodes, readyNode('late'));
    },
    want: [
      'Normal RegisteredNode (node-controller) Node late event: Registered Node late in Controller',
      'Normal CIDRAssignmentFailed (cidrAllocator) Node late status is now: CIDRAssignmentFailed: nodes "late" is forbidden: no',
    ],
  },
  {
    name: 'a Job with more successes than it asked for',
    loop: 'job-controller',
    of: ['Job', 'j'],
    act: async ({ client }) => {
      const template = { spec: { restartPolicy: 'Never', containers } } as const;
      await client.create(kinds.jobs, {
        metadata: named('j'),
        spec: { parallelism: 2, completions: 2, template },
      });
      const body = { spec: { completions: 1 } };
      await client.patch(kinds.jobs, named('j'), { kind: 'merge', body });
      const status = { succeeded: 2, startTime: '2026-01-01T00:00:00Z', uncountedTerminatedPods: {} };
      await client.patch(kinds.jobs, named('j'), { kind: 'merge', body: { status }, subresource: 'status' });
    },
    want: [
      'Warning TooManySucceededPods (job-controller) Too many succeeded pods running after completion count reached',
      'Normal Completed (job-controller) Job completed',
    ],
  },
  {
    name: 'a pod that comes where two budgets are for it',
    loop: 'disruption-controller',
    of: ['Pod', 'twice'],
    act: async ({ client, settle }) => {
      const labels = { app: 'twice' };
      const spec = { minAvailable: 1, selector: { matchLabels: labels } };
      for (const name of ['second', 'first'])
        await client.create(kinds.podDisruptionBudgets, { metadata: named(name), spec });
      await settle(2_000);
      const metadata = { ...named('twice'), labels };
      await client.create(kinds.pods, { metadata, spec: { nodeName: 'elsewhere', containers } });
    },
    want: [
      'Warning MultiplePodDisruptionBudgets (controllermanager) Pod "default"/"twice" matches multiple PodDisruptionBudgets.  Chose "first" arbitrarily.',
    ],
  },
  {
    name: 'a ReplicationController',
    loop: 'replicationcontroller-controller',
    of: ['ReplicationController', 'r'],
    act: ({ client }) =>
      client.create(kinds.replicationControllers, {
        metadata: named('r'),
        spec: {
          replicas: 1,
          selector: { app: 'x' },
          template: { metadata: { labels: { app: 'x' } }, spec: { containers } },
        },
      }),
    want: ['Normal SuccessfulCreate (replication-controller) Created pod: r-…'],
  },
  {
    name: 'a Service whose Endpoints are refused',
    loop: 'endpoints-controller',
    of: ['Service', 'svc'],
    act: async (cluster) => {
      refuse(cluster, 'create', kinds.endpoints);
      await cluster.client.create(kinds.services, {
        metadata: named('svc'),
        spec: { selector: { app: 'x' }, ports: [{ port: 80 }] },
      });
    },
    want: [
      'Warning FailedToCreateEndpoint (endpoint-controller) Failed to create endpoint for service default/svc: endpoints "svc" is forbidden: no',
    ],
  },
  {
    name: 'Endpoints with more than is mirrored',
    loop: 'endpointslice-mirroring-controller',
    of: ['Endpoints', 'svc'],
    act: async ({ client }) => {
      await client.create(kinds.services, { metadata: named('svc'), spec: { ports: [{ port: 80 }] } });
      const addresses = Array.from({ length: 1001 }, (_one, nth) => ({
        ip: `192.0.${Math.floor(nth / 250)}.${(nth % 250) + 1}`,
      }));
      const subsets = [{ addresses, ports: [{ port: 80 }] }];
      await client.create(kinds.endpoints, { metadata: named('svc'), subsets });
    },
    want: [
      'Warning TooManyAddressesToMirror (endpoint-slice-mirroring-controller) A max of 1000 addresses can be mirrored to EndpointSlices per Endpoints subset. 1 addresses were skipped',
    ],
  },
  {
    name: 'a Service of type LoadBalancer',
    loop: 'service-lb-controller',
    of: ['Service', 'svc'],
    act: ({ client }) =>
      client.create(kinds.services, {
        metadata: named('svc'),
        spec: { type: 'LoadBalancer', selector: { app: 'x' }, ports: [{ port: 80 }] },
      }),
    want: [
      'Normal EnsuringLoadBalancer (service-controller) Ensuring load balancer',
      'Normal EnsuredLoadBalancer (service-controller) Ensured load balancer',
    ],
  },
  {
    name: 'a CronJob whose old Jobs cannot be removed',
    loop: 'cronjob-controller',
    of: ['CronJob', 'cj'],
    act: async (cluster) => {
      refuse(cluster, 'delete', kinds.jobs);
      const metadata = { ...named('cj'), uid: 'uid-cj' };
      const owner = { apiVersion: 'batch/v1', kind: 'CronJob', name: 'cj', uid: 'uid-cj', controller: true };
      cluster.client.seed(kinds.jobs, {
        metadata: { ...named('cj-1'), ownerReferences: [owner] },
        status: { conditions: [{ type: 'Complete', status: 'True' }] },
      });
      cluster.client.seed(kinds.cronJobs, {
        metadata,
        spec: {
          ...{ schedule: '0 0 1 1 *', suspend: true, successfulJobsHistoryLimit: 0 },
          jobTemplate: { spec: { template: { spec: { containers } } } },
        },
      });
      await cluster.settle(2_000);
    },
    want: ['Warning FailedDelete (cronjob-controller) Deleted job: jobs.batch "cj-…" is forbidden: no'],
  },
  {
    name: 'a range of Services that nobody can be told of',
    loop: 'service-cidr-controller',
    of: ['ServiceCIDR', 'more'],
    act: async (cluster) => {
      refuse(cluster, 'update', kinds.serviceCidrs);
      await cluster.client.create(kinds.serviceCidrs, {
        metadata: { name: 'more', finalizers: ['networking.k8s.io/service-cidr-finalizer'] },
        spec: { cidrs: ['10.97.0.0/24'] },
      });
    },
    want: [
      'Warning KubernetesServiceCIDRError (service-cidr-controller) The ServiceCIDR Status can not be set to Ready=True',
    ],
  },
  {
    name: 'a pod whose template of claims is not there',
    loop: 'resourceclaim-controller',
    of: ['Pod', 'dra'],
    act: ({ client }) =>
      client.create(kinds.pods, {
        metadata: named('dra'),
        spec: {
          containers,
          nodeName: 'elsewhere',
          resourceClaims: [{ name: 'gpu', resourceClaimTemplateName: 't' }],
        },
      }),
    want: [
      'Warning FailedResourceClaimCreation (resource_claim) PodResourceClaim gpu: resource claim template "t": resourceclaimtemplate.resource.k8s.io "t" not found',
    ],
  },
  {
    name: 'a pod whose device has a taint',
    loop: 'device-taint-eviction-controller',
    of: ['Pod', 'dev'],
    act: async ({ client }) => {
      client.seed(kinds.resourceClaims, deviceClaim);
      client.seed(kinds.pods, {
        metadata: { ...named('dev'), uid: 'uid-dev' },
        spec: {
          containers,
          nodeName: 'node-1',
          resourceClaims: [{ name: 'gpu', resourceClaimName: 'rc' }],
        },
      });
      const taints = [{ key: 'broken', effect: 'NoExecute' }] as const;
      await client.create(kinds.resourceSlices, {
        metadata: { name: 'slice' },
        spec: {
          ...{ driver: 'd', nodeName: 'node-1', devices: [{ name: 'x', taints }] },
          pool: { name: 'p', generation: 1, resourceSliceCount: 1 },
        },
      });
    },
    want: [
      'Normal DeviceTaintManagerEviction (device-taint-eviction) Marking for deletion: device d/p/x of claim rc has a NoExecute taint',
    ],
  },
];

/** Beside the rows of `events.test.ts`. */
export const loopEventRows: readonly EventRow[] = [...volumeRows, ...otherRows];
