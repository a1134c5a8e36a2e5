import type {
  APIService,
  CertificateSigningRequest,
  ClusterTrustBundle,
  ClusterRole,
  ClusterRoleBinding,
  ConfigMap,
  ControllerRevision,
  CronJob,
  CSIDriver,
  CSINode,
  CSIStorageCapacity,
  CustomResourceDefinition,
  DaemonSet,
  Deployment,
  DeviceClass,
  DeviceTaintRule,
  Endpoints,
  EndpointSlice,
  Event,
  AutoscalingV2HorizontalPodAutoscaler,
  Ingress,
  IngressClass,
  IPAddress,
  Job,
  Lease,
  LimitRange,
  MutatingWebhookConfiguration,
  Namespace,
  NetworkPolicy,
  Node,
  PersistentVolume,
  PersistentVolumeClaim,
  Pod,
  PodCertificateRequest,
  PodDisruptionBudget,
  PodGroup,
  PodTemplate,
  PriorityClass,
  ReplicaSet,
  ReplicationController,
  ResourceClaimTemplate,
  ResourceQuota,
  ResourceSlice,
  ResourceV1ResourceClaim,
  Role,
  RoleBinding,
  RuntimeClass,
  Secret,
  Service,
  ServiceAccount,
  ServiceCIDR,
  StatefulSet,
  StorageClass,
  StorageVersionMigration,
  SubjectAccessReview,
  TokenReview,
  ValidatingAdmissionPolicy,
  ValidatingWebhookConfiguration,
  VolumeAttachment,
  VolumeAttributesClass,
  Workload,
} from '#api/generated/objects.ts';

/** Names a kind for a typed client; T is the type of its objects. */
export interface KindRef<T> {
  readonly group: string; // '' is core
  readonly version: string;
  readonly kind: string;
  readonly resource: string; // plural
  readonly namespaced: boolean;
  /** Never set: carries T. */
  readonly __object?: T;
}

function ref<T>(path: string, kind: string, namespaced = true): KindRef<T> {
  const [group = '', version = '', resource = ''] = path.split('/');
  return { group, version, kind, resource, namespaced };
}

export const pods: KindRef<Pod> = ref('/v1/pods', 'Pod');
export const services: KindRef<Service> = ref('/v1/services', 'Service');
export const nodes: KindRef<Node> = ref('/v1/nodes', 'Node', false);
export const namespaces: KindRef<Namespace> = ref('/v1/namespaces', 'Namespace', false);
export const configMaps: KindRef<ConfigMap> = ref('/v1/configmaps', 'ConfigMap');
export const secrets: KindRef<Secret> = ref('/v1/secrets', 'Secret');
export const serviceAccounts: KindRef<ServiceAccount> = ref('/v1/serviceaccounts', 'ServiceAccount');
export const endpoints: KindRef<Endpoints> = ref('/v1/endpoints', 'Endpoints');
export const events: KindRef<Event> = ref('/v1/events', 'Event');
export const limitRanges: KindRef<LimitRange> = ref('/v1/limitranges', 'LimitRange');
export const resourceQuotas: KindRef<ResourceQuota> = ref('/v1/resourcequotas', 'ResourceQuota');
export const replicationControllers: KindRef<ReplicationController> = ref(
  '/v1/replicationcontrollers',
  'ReplicationController',
);
export const persistentVolumes: KindRef<PersistentVolume> = ref(
  '/v1/persistentvolumes',
  'PersistentVolume',
  false,
);
export const persistentVolumeClaims: KindRef<PersistentVolumeClaim> = ref(
  '/v1/persistentvolumeclaims',
  'PersistentVolumeClaim',
);
export const deployments: KindRef<Deployment> = ref('apps/v1/deployments', 'Deployment');
export const replicaSets: KindRef<ReplicaSet> = ref('apps/v1/replicasets', 'ReplicaSet');
export const daemonSets: KindRef<DaemonSet> = ref('apps/v1/daemonsets', 'DaemonSet');
export const statefulSets: KindRef<StatefulSet> = ref('apps/v1/statefulsets', 'StatefulSet');
export const controllerRevisions: KindRef<ControllerRevision> = ref(
  'apps/v1/controllerrevisions',
  'ControllerRevision',
);
export const jobs: KindRef<Job> = ref('batch/v1/jobs', 'Job');
export const cronJobs: KindRef<CronJob> = ref('batch/v1/cronjobs', 'CronJob');
export const endpointSlices: KindRef<EndpointSlice> = ref(
  'discovery.k8s.io/v1/endpointslices',
  'EndpointSlice',
);
export const leases: KindRef<Lease> = ref('coordination.k8s.io/v1/leases', 'Lease');
export const csiNodes: KindRef<CSINode> = ref('storage.k8s.io/v1/csinodes', 'CSINode', false);
export const runtimeClasses: KindRef<RuntimeClass> = ref(
  'node.k8s.io/v1/runtimeclasses',
  'RuntimeClass',
  false,
);
export const priorityClasses: KindRef<PriorityClass> = ref(
  'scheduling.k8s.io/v1/priorityclasses',
  'PriorityClass',
  false,
);

/** Served only where a server is told (`--runtime-config`). */
export const podGroups: KindRef<PodGroup> = ref('scheduling.k8s.io/v1alpha2/podgroups', 'PodGroup');
export const clusterTrustBundles: KindRef<ClusterTrustBundle> = ref(
  'certificates.k8s.io/v1beta1/clustertrustbundles',
  'ClusterTrustBundle',
  false,
);
export const podCertificateRequests: KindRef<PodCertificateRequest> = ref(
  'certificates.k8s.io/v1beta1/podcertificaterequests',
  'PodCertificateRequest',
);
export const deviceTaintRules: KindRef<DeviceTaintRule> = ref(
  'resource.k8s.io/v1beta2/devicetaintrules',
  'DeviceTaintRule',
  false,
);
export const workloads: KindRef<Workload> = ref('scheduling.k8s.io/v1alpha2/workloads', 'Workload');
export const storageVersionMigrations: KindRef<StorageVersionMigration> = ref(
  'storagemigration.k8s.io/v1beta1/storageversionmigrations',
  'StorageVersionMigration',
  false,
);

export const clusterRoles: KindRef<ClusterRole> = ref(
  'rbac.authorization.k8s.io/v1/clusterroles',
  'ClusterRole',
  false,
);
export const podDisruptionBudgets: KindRef<PodDisruptionBudget> = ref(
  'policy/v1/poddisruptionbudgets',
  'PodDisruptionBudget',
);

export const serviceCidrs: KindRef<ServiceCIDR> = ref(
  'networking.k8s.io/v1/servicecidrs',
  'ServiceCIDR',
  false,
);
export const certificateSigningRequests: KindRef<CertificateSigningRequest> = ref(
  'certificates.k8s.io/v1/certificatesigningrequests',
  'CertificateSigningRequest',
  false,
);
export const ipAddresses: KindRef<IPAddress> = ref('networking.k8s.io/v1/ipaddresses', 'IPAddress', false);

// Of clients outside this repository.
export const apiServices: KindRef<APIService> = ref(
  'apiregistration.k8s.io/v1/apiservices',
  'APIService',
  false,
);
export const clusterRoleBindings: KindRef<ClusterRoleBinding> = ref(
  'rbac.authorization.k8s.io/v1/clusterrolebindings',
  'ClusterRoleBinding',
  false,
);
export const csiStorageCapacities: KindRef<CSIStorageCapacity> = ref(
  'storage.k8s.io/v1/csistoragecapacities',
  'CSIStorageCapacity',
);
export const csiDrivers: KindRef<CSIDriver> = ref('storage.k8s.io/v1/csidrivers', 'CSIDriver', false);
export const customResourceDefinitions: KindRef<CustomResourceDefinition> = ref(
  'apiextensions.k8s.io/v1/customresourcedefinitions',
  'CustomResourceDefinition',
  false,
);
export const horizontalPodAutoscalers: KindRef<AutoscalingV2HorizontalPodAutoscaler> = ref(
  'autoscaling/v2/horizontalpodautoscalers',
  'HorizontalPodAutoscaler',
);
export const ingressClasses: KindRef<IngressClass> = ref(
  'networking.k8s.io/v1/ingressclasses',
  'IngressClass',
  false,
);
export const ingresses: KindRef<Ingress> = ref('networking.k8s.io/v1/ingresses', 'Ingress');
export const mutatingWebhookConfigurations: KindRef<MutatingWebhookConfiguration> = ref(
  'admissionregistration.k8s.io/v1/mutatingwebhookconfigurations',
  'MutatingWebhookConfiguration',
  false,
);
export const networkPolicies: KindRef<NetworkPolicy> = ref(
  'networking.k8s.io/v1/networkpolicies',
  'NetworkPolicy',
);
export const podTemplates: KindRef<PodTemplate> = ref('/v1/podtemplates', 'PodTemplate');
export const deviceClasses: KindRef<DeviceClass> = ref(
  'resource.k8s.io/v1/deviceclasses',
  'DeviceClass',
  false,
);
export const resourceClaims: KindRef<ResourceV1ResourceClaim> = ref(
  'resource.k8s.io/v1/resourceclaims',
  'ResourceClaim',
);
export const resourceClaimTemplates: KindRef<ResourceClaimTemplate> = ref(
  'resource.k8s.io/v1/resourceclaimtemplates',
  'ResourceClaimTemplate',
);
export const resourceSlices: KindRef<ResourceSlice> = ref(
  'resource.k8s.io/v1/resourceslices',
  'ResourceSlice',
  false,
);
export const roleBindings: KindRef<RoleBinding> = ref(
  'rbac.authorization.k8s.io/v1/rolebindings',
  'RoleBinding',
);
export const roles: KindRef<Role> = ref('rbac.authorization.k8s.io/v1/roles', 'Role');
export const storageClasses: KindRef<StorageClass> = ref(
  'storage.k8s.io/v1/storageclasses',
  'StorageClass',
  false,
);
export const validatingAdmissionPolicies: KindRef<ValidatingAdmissionPolicy> = ref(
  'admissionregistration.k8s.io/v1/validatingadmissionpolicies',
  'ValidatingAdmissionPolicy',
  false,
);
export const validatingWebhookConfigurations: KindRef<ValidatingWebhookConfiguration> = ref(
  'admissionregistration.k8s.io/v1/validatingwebhookconfigurations',
  'ValidatingWebhookConfiguration',
  false,
);
export const volumeAttachments: KindRef<VolumeAttachment> = ref(
  'storage.k8s.io/v1/volumeattachments',
  'VolumeAttachment',
  false,
);
export const volumeAttributesClasses: KindRef<VolumeAttributesClass> = ref(
  'storage.k8s.io/v1/volumeattributesclasses',
  'VolumeAttributesClass',
  false,
);

/** `/api/v1/namespaces/NS/pods/NAME` and its like. */
export function objectPath(
  kind: KindRef<unknown>,
  where: {
    readonly namespace?: string | undefined;
    readonly name?: string | undefined;
    readonly subresource?: string | undefined;
  },
): string {
  const prefix = kind.group === '' ? `/api/${kind.version}` : `/apis/${kind.group}/${kind.version}`;
  const scope = kind.namespaced && where.namespace !== undefined ? `/namespaces/${where.namespace}` : '';
  const name = where.name === undefined ? '' : `/${encodeURIComponent(where.name)}`;
  const sub = where.subresource === undefined ? '' : `/${where.subresource}`;
  return `${prefix}${scope}/${kind.resource}${name}${sub}`;
}

/** `apps/v1`, or `v1` for core. */
export function apiVersionOf(kind: KindRef<unknown>): string {
  return kind.group === '' ? kind.version : `${kind.group}/${kind.version}`;
}

export const tokenReviews: KindRef<TokenReview> = ref(
  'authentication.k8s.io/v1/tokenreviews',
  'TokenReview',
  false,
);
export const subjectAccessReviews: KindRef<SubjectAccessReview> = ref(
  'authorization.k8s.io/v1/subjectaccessreviews',
  'SubjectAccessReview',
  false,
);
