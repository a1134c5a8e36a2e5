/** What each loop makes or says, and how somebody breaks it by hand: a row for each, or why there is none. */
import type { ControllerName } from '#control-plane/controllers/controller-names.ts';
import { ttlAnnotation } from '#control-plane/controllers/ttl/plan.ts';

export interface Product {
  readonly loop: ControllerName;
  readonly what: string;
  /** Where objects of its kind are, and how the name of this one begins. */
  readonly path: string;
  readonly name: string;
  /**
   * What is done to it. Deleted: another is there after it. Changed: a merge patch of the object or of its `status`; what is at
   * `at` is as it was before. Left behind: it goes by itself.
   */
  readonly by:
    | { readonly kind: 'deleted' }
    | { readonly kind: 'changed'; readonly status?: true; readonly patch: object; readonly at: string }
    | { readonly kind: 'leftBehind'; readonly object: object };
  /** What is at `at` is not there while all is well. */
  readonly startsAbsent?: true;
  /** Which event tells why: the object that it is about, its reason. */
  readonly event?: readonly [kind: string, name: string, reason: string];
}

export const ns = '/api/v1/namespaces/a';
export const apps = '/apis/apps/v1/namespaces/a';
const slices = '/apis/discovery.k8s.io/v1/namespaces/a/endpointslices';
/** Whoever does not tolerate it leaves the node of the last rows. */
export const outTaint = { key: 'example.com/out', effect: 'NoExecute' };
const deleted = { kind: 'deleted' } as const;
const changed = (patch: object, at: string) => ({ kind: 'changed', patch, at }) as const;
const said = (status: object, at: string) =>
  ({ kind: 'changed', status: true, patch: { status }, at }) as const;
const noFinalizers = changed({ metadata: { finalizers: null } }, 'metadata.finalizers');

export const products: readonly Product[] = [
  {
    ...{
      loop: 'deployment-controller',
      what: 'a ReplicaSet',
      path: `${apps}/replicasets`,
      name: 'd-',
      by: deleted,
    },
    event: ['Deployment', 'd', 'ScalingReplicaSet'],
  },
  {
    loop: 'deployment-controller',
    what: 'its replicas',
    path: `${apps}/replicasets`,
    name: 'd-',
    by: changed({ spec: { replicas: 7 } }, 'spec.replicas'),
  },
  {
    loop: 'deployment-controller',
    what: 'a status',
    path: `${apps}/deployments`,
    name: 'd',
    by: said({ readyReplicas: 0, availableReplicas: 0 }, 'status.readyReplicas'),
  },
  {
    ...{ loop: 'replicaset-controller', what: 'a pod', path: `${ns}/pods`, name: 'r-', by: deleted },
    event: ['ReplicaSet', 'r', 'SuccessfulCreate'],
  },
  {
    loop: 'replicaset-controller',
    what: 'a status',
    path: `${apps}/replicasets`,
    name: 'r',
    by: said({ replicas: 9 }, 'status.replicas'),
  },
  {
    ...{
      loop: 'replicationcontroller-controller',
      what: 'a pod',
      path: `${ns}/pods`,
      name: 'rc-',
      by: deleted,
    },
    event: ['ReplicationController', 'rc', 'SuccessfulCreate'],
  },
  {
    ...{ loop: 'statefulset-controller', what: 'a pod', path: `${ns}/pods`, name: 's-0', by: deleted },
    event: ['StatefulSet', 's', 'SuccessfulCreate'],
  },
  {
    loop: 'statefulset-controller',
    what: 'a status',
    path: `${apps}/statefulsets`,
    name: 's',
    by: said({ currentReplicas: 0 }, 'status.currentReplicas'),
  },
  {
    ...{ loop: 'daemonset-controller', what: 'a pod', path: `${ns}/pods`, name: 'ds-', by: deleted },
    event: ['DaemonSet', 'ds', 'SuccessfulCreate'],
  },
  {
    loop: 'daemonset-controller',
    what: 'a status',
    path: `${apps}/daemonsets`,
    name: 'ds',
    by: said({ numberReady: 9 }, 'status.numberReady'),
  },
  {
    ...{ loop: 'job-controller', what: 'a pod', path: `${ns}/pods`, name: 'j-', by: deleted },
    event: ['Job', 'j', 'SuccessfulCreate'],
  },
  {
    ...{
      loop: 'cronjob-controller',
      what: 'which of its Jobs run',
      path: '/apis/batch/v1/namespaces/a/cronjobs',
      name: 'cj',
    },
    by: said({ active: [{ kind: 'Job', namespace: 'a', name: 'nobody', uid: 'u' }] }, 'status.active'),
    startsAbsent: true,
    event: ['CronJob', 'cj', 'MissingJob'],
  },
  { loop: 'endpointslice-controller', what: 'a slice', path: slices, name: 'svc-', by: deleted },
  {
    loop: 'endpointslice-controller',
    what: 'its endpoints',
    path: slices,
    name: 'svc-',
    by: changed({ endpoints: [] }, 'endpoints'),
  },
  { loop: 'endpoints-controller', what: 'Endpoints', path: `${ns}/endpoints`, name: 'svc', by: deleted },
  {
    loop: 'endpoints-controller',
    what: 'their addresses',
    path: `${ns}/endpoints`,
    name: 'svc',
    by: changed({ subsets: [] }, 'subsets'),
  },
  { loop: 'endpointslice-mirroring-controller', what: 'a slice', path: slices, name: 'out-', by: deleted },
  {
    loop: 'endpointslice-mirroring-controller',
    what: 'its endpoints',
    path: slices,
    name: 'out-',
    by: changed({ endpoints: [] }, 'endpoints'),
  },
  {
    loop: 'serviceaccount-token-controller',
    what: 'a token',
    path: `${ns}/secrets`,
    name: 'token',
    by: changed({ data: { 'ca.crt': null } }, 'data'),
  },
  {
    loop: 'serviceaccount-controller',
    what: 'the account default',
    path: `${ns}/serviceaccounts`,
    name: 'default',
    by: deleted,
  },
  {
    loop: 'root-ca-certificate-publisher-controller',
    what: 'a certificate',
    path: `${ns}/configmaps`,
    name: 'kube-root-ca.crt',
    by: deleted,
  },
  {
    loop: 'root-ca-certificate-publisher-controller',
    what: 'its text',
    path: `${ns}/configmaps`,
    name: 'kube-root-ca.crt',
    by: changed({ data: { 'ca.crt': 'x' } }, 'data'),
  },
  {
    loop: 'resourcequota-controller',
    what: 'what is used',
    path: `${ns}/resourcequotas`,
    name: 'q',
    by: said({ used: { pods: '77' } }, 'status.used'),
  },
  {
    ...{
      loop: 'disruption-controller',
      what: 'a status',
      path: '/apis/policy/v1/namespaces/a/poddisruptionbudgets',
      name: 'b',
    },
    by: said({ expectedPods: 77 }, 'status.expectedPods'),
  },
  {
    ...{
      loop: 'horizontal-pod-autoscaler-controller',
      what: 'the replicas of its target',
      path: `${apps}/deployments`,
      name: 'h',
    },
    by: changed({ spec: { replicas: 1 } }, 'spec.replicas'),
    event: ['HorizontalPodAutoscaler', 'h', 'SuccessfulRescale'],
  },
  {
    ...{
      loop: 'bootstrap-signer-controller',
      what: 'a signature',
      path: '/api/v1/namespaces/kube-public/configmaps',
      name: 'cluster-info',
    },
    by: changed({ data: { 'jws-kubeconfig-abcdef': 'x' } }, 'data'),
  },
  {
    loop: 'node-lifecycle-controller',
    what: 'a taint',
    path: '/api/v1/nodes',
    name: 'fake-2',
    by: changed({ spec: { taints: [outTaint] } }, 'spec.taints'),
  },
  {
    ...{
      loop: 'taint-eviction-controller',
      what: 'a pod that does not tolerate its node',
      path: `${ns}/pods`,
      name: 'intolerant',
    },
    by: {
      kind: 'leftBehind',
      object: {
        spec: {
          nodeName: 'fake-2',
          terminationGracePeriodSeconds: 0,
          containers: [{ name: 'c', image: 'i' }],
        },
      },
    },
    event: ['Pod', 'intolerant', 'TaintManagerEviction'],
  },
  {
    loop: 'service-lb-controller',
    what: 'an address',
    path: `${ns}/services`,
    name: 'lb',
    event: ['Service', 'lb', 'EnsuredLoadBalancer'],
    by: said({ loadBalancer: null }, 'status.loadBalancer'),
  },
  {
    loop: 'persistentvolume-binder-controller',
    what: 'the phase of a claim',
    path: `${ns}/persistentvolumeclaims`,
    name: 'c',
    by: said({ phase: 'Pending' }, 'status.phase'),
  },
  {
    loop: 'persistentvolume-binder-controller',
    what: 'the phase of a volume',
    path: '/api/v1/persistentvolumes',
    name: 'v',
    by: said({ phase: 'Available' }, 'status.phase'),
  },
  {
    loop: 'persistentvolumeclaim-protection-controller',
    what: 'a finalizer',
    path: `${ns}/persistentvolumeclaims`,
    name: 'c',
    by: noFinalizers,
  },
  {
    loop: 'persistentvolume-protection-controller',
    what: 'a finalizer',
    path: '/api/v1/persistentvolumes',
    name: 'v',
    by: noFinalizers,
  },
  {
    loop: 'volumeattributesclass-protection-controller',
    what: 'a finalizer',
    path: '/apis/storage.k8s.io/v1/volumeattributesclasses',
    name: 'vac',
    by: noFinalizers,
  },
  {
    loop: 'service-cidr-controller',
    what: 'a finalizer',
    path: '/apis/networking.k8s.io/v1/servicecidrs',
    name: 'more',
    by: noFinalizers,
  },
  {
    ...{
      loop: 'podgroup-protection-controller',
      what: 'a finalizer',
      path: '/apis/scheduling.k8s.io/v1alpha2/namespaces/a/podgroups',
      name: 'g',
    },
    by: noFinalizers,
  },
  {
    loop: 'persistentvolume-attach-detach-controller',
    what: 'an attachment',
    path: '/apis/storage.k8s.io/v1/volumeattachments',
    name: 'csi-',
    by: deleted,
  },
  {
    loop: 'ephemeral-volume-controller',
    what: 'a claim',
    path: `${ns}/persistentvolumeclaims`,
    name: 'waiting-',
    by: deleted,
  },
  {
    loop: 'resourceclaim-controller',
    what: 'a claim',
    path: '/apis/resource.k8s.io/v1/namespaces/a/resourceclaims',
    name: 'waiting-',
    by: deleted,
  },
  {
    loop: 'ttl-controller',
    what: 'an annotation',
    path: '/api/v1/nodes',
    name: 'fake-1',
    by: changed({ metadata: { annotations: { [ttlAnnotation]: '7' } } }, 'metadata.annotations'),
  },
  {
    ...{
      loop: 'clusterrole-aggregation-controller',
      what: 'rules',
      path: '/apis/rbac.authorization.k8s.io/v1/clusterroles',
      name: 'all',
    },
    by: changed({ rules: [] }, 'rules'),
  },
  {
    ...{
      loop: 'validatingadmissionpolicy-status-controller',
      what: 'findings',
      path: '/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies',
      name: 'p',
    },
    by: said({ observedGeneration: 0, typeChecking: null }, 'status.typeChecking'),
  },
  {
    ...{
      loop: 'garbage-collector-controller',
      what: 'an object whose owner is not there',
      path: `${ns}/configmaps`,
      name: 'left',
    },
    by: {
      kind: 'leftBehind',
      object: {
        metadata: {
          ownerReferences: [{ apiVersion: 'v1', kind: 'ConfigMap', name: 'nobody', uid: 'nobody' }],
        },
      },
    },
  },
  {
    ...{
      loop: 'ttl-after-finished-controller',
      what: 'a Job whose time is over',
      path: '/apis/batch/v1/namespaces/a/jobs',
      name: 'over',
    },
    by: {
      kind: 'leftBehind',
      object: {
        spec: {
          ttlSecondsAfterFinished: 0,
          template: {
            spec: { restartPolicy: 'Never', containers: [{ name: 'c', image: 'i', command: ['true'] }] },
          },
        },
      },
    },
    event: ['Job', 'over', 'Completed'],
  },
];

/** Loops that have no row, and why. */
export const without: Partial<Record<ControllerName, string>> = {
  'pod-garbage-collector-controller': 'takes away what has been without a node for 40 s: pod-gc/plan.test.ts',
  'namespace-controller': 'takes away: cluster.test.ts',
  'certificatesigningrequest-signing-controller':
    'a certificate that was given cannot be taken back: its API refuses that',
  'certificatesigningrequest-approving-controller': 'an approval cannot be taken back: its API refuses that',
  'certificatesigningrequest-cleaner-controller': 'takes away after an hour',
  'token-cleaner-controller': 'takes away what has expired',
  'legacy-serviceaccount-token-cleaner-controller': 'takes away after a year',
  'node-ipam-controller': 'ranges of a node cannot be changed: its API refuses that',
  'persistentvolume-expander-controller': 'a part of the binder',
  'device-taint-eviction-controller': 'takes away: device-taint-eviction/plan.test.ts',
  'cluster-policy-status-controller':
    'asks when agents say something else: policy-standing/reconcile.test.ts',
  'storage-version-migrator-controller': 'acts once for each migration, whose end cannot be taken back',
};
