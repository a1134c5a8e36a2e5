import { at, listOf, stringMapOf, stringOf } from './json.ts';
import { formatGroupVersion, type Kind } from './kinds.ts';
import type { JsonObject } from './object.ts';

/** What becomes of the objects of a kind once they are stored. */
export type KindEffect =
  /** Something of ours acts on them: the file where that begins. */
  | { readonly kind: 'acted'; readonly by: string }
  /** Nothing acts on them, nor does anything of Kubernetes itself: records, questions, and what others are to act on. */
  | { readonly kind: 'inert'; readonly why: string }
  /** Kubernetes acts on them and we do not yet: every write is answered with a Warning that says what does not happen. */
  | { readonly kind: 'unacted'; readonly what: string };

const acted = (by: string): KindEffect => ({ kind: 'acted', by });
const inert = (why: string): KindEffect => ({ kind: 'inert', why });
const unacted = (what: string): KindEffect => ({ kind: 'unacted', what });

const noWebhooks = unacted('the webhook is not called');
const noPolicies = unacted('requests are not checked against it, nor changed by it');
const noRbac = unacted('whoever is authenticated may do everything, whatever roles say');
const noVolumes = unacted('no volumes are provisioned, bound, attached or mounted');
const noDevices = unacted('no devices are allocated, and pods that claim some are refused');
const noFlowControl = unacted('requests are not classified or queued by it');
const answered = inert('a question, answered at once and not stored');

/** By group and kind: every kind that is served. A test fails for one that is missing. */
export const kindEffects: Readonly<Record<string, KindEffect>> = {
  '/Binding': acted('control-plane/apiserver/subresources/binding.ts'),
  '/ComponentStatus': inert('made up for each answer; cannot be written'),
  '/ConfigMap': acted('agent/kubelet/referenced-objects.ts'),
  '/Endpoints': acted('control-plane/controllers/endpointslice-mirroring/reconcile.ts'),
  '/Event': inert('a record for people'),
  '/LimitRange': acted('control-plane/apiserver/admission/limit-range.ts'),
  '/Namespace': acted('control-plane/controllers/namespace/reconcile.ts'),
  '/Node': acted('control-plane/scheduler/scheduler.ts'),
  '/PersistentVolume': noVolumes,
  '/PersistentVolumeClaim': noVolumes,
  '/Pod': acted('agent/kubelet/pod-workers.ts'),
  '/PodTemplate': inert('a template to copy from; no controller of Kubernetes reads it'),
  '/ReplicationController': acted('control-plane/controllers/replicaset/reconcile.ts'),
  '/ResourceQuota': acted('control-plane/apiserver/admission/resource-quota.ts'),
  '/Secret': acted('agent/kubelet/referenced-objects.ts'),
  '/Service': acted('agent/proxy/service-map.ts'),
  '/ServiceAccount': acted('control-plane/apiserver/subresources/token.ts'),
  'admissionregistration.k8s.io/MutatingAdmissionPolicy': noPolicies,
  'admissionregistration.k8s.io/MutatingAdmissionPolicyBinding': noPolicies,
  'admissionregistration.k8s.io/MutatingWebhookConfiguration': noWebhooks,
  'admissionregistration.k8s.io/ValidatingAdmissionPolicy': noPolicies,
  'admissionregistration.k8s.io/ValidatingAdmissionPolicyBinding': noPolicies,
  'admissionregistration.k8s.io/ValidatingWebhookConfiguration': noWebhooks,
  'apiextensions.k8s.io/CustomResourceDefinition': unacted('the kind that it defines is not served'),
  'apiregistration.k8s.io/APIService': unacted('no requests are passed on to the server that it names'),
  'apps/ControllerRevision': acted('control-plane/controllers/pods/revisions.ts'),
  'apps/DaemonSet': acted('control-plane/controllers/daemonset/reconcile.ts'),
  'apps/Deployment': acted('control-plane/controllers/deployment/reconcile.ts'),
  'apps/ReplicaSet': acted('control-plane/controllers/replicaset/reconcile.ts'),
  'apps/StatefulSet': acted('control-plane/controllers/statefulset/reconcile.ts'),
  'authentication.k8s.io/SelfSubjectReview': answered,
  'authentication.k8s.io/TokenReview': answered,
  'authorization.k8s.io/LocalSubjectAccessReview': answered,
  'authorization.k8s.io/SelfSubjectAccessReview': answered,
  'authorization.k8s.io/SelfSubjectRulesReview': answered,
  'authorization.k8s.io/SubjectAccessReview': answered,
  'autoscaling/HorizontalPodAutoscaler': unacted('nothing is scaled by it'),
  'batch/CronJob': acted('control-plane/controllers/cronjob/reconcile.ts'),
  'batch/Job': acted('control-plane/controllers/job/reconcile.ts'),
  'certificates.k8s.io/CertificateSigningRequest': unacted(
    'no certificate is signed, also when it is approved',
  ),
  'coordination.k8s.io/Lease': acted('control-plane/controllers/node-lifecycle/reconcile.ts'),
  'discovery.k8s.io/EndpointSlice': acted('agent/proxy/service-map.ts'),
  'events.k8s.io/Event': inert('a record for people'),
  'flowcontrol.apiserver.k8s.io/FlowSchema': noFlowControl,
  'flowcontrol.apiserver.k8s.io/PriorityLevelConfiguration': noFlowControl,
  'networking.k8s.io/IPAddress': unacted('the addresses of Services are kept without it'),
  'networking.k8s.io/Ingress': inert('for an ingress controller, which Kubernetes does not bring either'),
  'networking.k8s.io/IngressClass': inert(
    'for an ingress controller, which Kubernetes does not bring either',
  ),
  'networking.k8s.io/NetworkPolicy': unacted('traffic is not restricted by it'),
  'networking.k8s.io/ServiceCIDR': unacted('Services get addresses of --service-cidr only'),
  'node.k8s.io/RuntimeClass': unacted('pods that name it are refused by their node'),
  'policy/PodDisruptionBudget': acted('control-plane/controllers/disruption/reconcile.ts'),
  'rbac.authorization.k8s.io/ClusterRole': noRbac,
  'rbac.authorization.k8s.io/ClusterRoleBinding': noRbac,
  'rbac.authorization.k8s.io/Role': noRbac,
  'rbac.authorization.k8s.io/RoleBinding': noRbac,
  'resource.k8s.io/DeviceClass': noDevices,
  'resource.k8s.io/ResourceClaim': noDevices,
  'resource.k8s.io/ResourceClaimTemplate': noDevices,
  'resource.k8s.io/ResourceSlice': noDevices,
  'scheduling.k8s.io/PriorityClass': acted('control-plane/apiserver/admission/admit-new.ts'),
  'storage.k8s.io/CSIDriver': noVolumes,
  'storage.k8s.io/CSINode': noVolumes,
  'storage.k8s.io/CSIStorageCapacity': noVolumes,
  'storage.k8s.io/StorageClass': noVolumes,
  'storage.k8s.io/VolumeAttachment': noVolumes,
  'storage.k8s.io/VolumeAttributesClass': noVolumes,
};

/** Parts of a kind that is acted on which have no effect yet: how an object says that it has one, and what does not happen. */
export interface PartEffect {
  readonly part: string;
  readonly what: string;
  readonly find: (object: JsonObject) => readonly string[];
}

const podSecurity = /^pod-security\.kubernetes\.io\/(enforce|warn|audit)(-version)?$/;

export const partEffects: Readonly<Record<string, readonly PartEffect[]>> = {
  '/Namespace': [
    {
      part: 'labels pod-security.kubernetes.io/*',
      what: 'pods are not checked against Pod Security Standards',
      find: (namespace) =>
        Object.keys(stringMapOf(at(namespace, 'metadata.labels')))
          .filter((label) => podSecurity.test(label))
          .map((label) => `metadata.labels[${label}]`),
    },
  ],
  '/Secret': [
    {
      part: 'type kubernetes.io/service-account-token',
      what: 'no token is put into it; ask for one with kubectl create token',
      find: (secret) => ofType(secret, 'kubernetes.io/service-account-token'),
    },
    {
      part: 'type bootstrap.kubernetes.io/token',
      what: 'nobody can authenticate with it',
      find: (secret) => ofType(secret, 'bootstrap.kubernetes.io/token'),
    },
  ],
  'apps/StatefulSet': [
    {
      part: 'volumeClaimTemplates',
      what: 'the claims are made, and no volume is bound to them',
      find: (set) =>
        listOf(at(set, 'spec.volumeClaimTemplates')).length > 0 ? ['spec.volumeClaimTemplates'] : [],
    },
  ],
};

function ofType(secret: JsonObject, type: string): readonly string[] {
  return stringOf(secret['type']) === type ? [`type: ${type}`] : [];
}

/** What a client that writes the object is told of what will not come of it: texts of Warning headers. */
export function effectWarnings(kind: Kind, object: JsonObject): readonly string[] {
  const key = `${kind.group}/${kind.kind}`;
  const effect = kindEffects[key];
  if (effect?.kind === 'unacted') {
    const name = `${formatGroupVersion(kind)} ${kind.kind}`;
    return [`${name} is stored, but podwright does not act on it yet: ${effect.what}`];
  }
  const parts = (partEffects[key] ?? []).flatMap(({ what, find }) =>
    find(object).map((part) => `${part}: stored, but podwright does not act on it yet: ${what}`),
  );
  return [...parts, ...graceWarnings(object)];
}

/** Where a pod's spec lies in the kinds that have one. */
const podSpecPaths = ['spec', 'spec.template.spec', 'spec.jobTemplate.spec.template.spec', 'template.spec'];

/** Such pods are from before there was a rule; pod warnings of kube-apiserver. */
function graceWarnings(object: JsonObject): readonly string[] {
  if (object['spec'] === undefined && object['template'] === undefined) return [];
  return podSpecPaths.flatMap((path) => {
    const grace = at(object, `${path}.terminationGracePeriodSeconds`);
    return typeof grace === 'number' && grace < 0
      ? [
          `${path}.terminationGracePeriodSeconds: must be >= 0; negative values are invalid and will be treated as 1`,
        ]
      : [];
  });
}

/** The table of docs/kinds.md. */
export function renderKindEffects(): string {
  const rows = Object.entries(kindEffects).map(([key, effect]) => {
    const name = key.startsWith('/') ? key.slice(1) : key;
    switch (effect.kind) {
      case 'acted':
        return `| ${name} | yes | \`${effect.by}\` |`;
      case 'inert':
        return `| ${name} | nor does Kubernetes | ${effect.why} |`;
      default:
        return `| ${name} | **not yet**, warned | ${effect.what} |`;
    }
  });
  const parts = Object.entries(partEffects).flatMap(([key, list]) =>
    list.map(({ part, what }) => `| ${key.replace(/^\//, '')} | ${part} | ${what} |`),
  );
  return [
    '# What is acted on',
    '',
    'Every kind of the API can be stored, listed and watched. This is what becomes of its objects; a write of one that nothing acts on yet is',
    'answered with a Warning, which kubectl prints. Written from `api/kind-effects.ts` by its test (`npx vitest run api/kind-effects -u`).',
    '',
    '| kind | acted on | by what, or what does not happen |',
    '|---|---|---|',
    ...rows,
    '',
    'Parts of kinds that are acted on:',
    '',
    '| kind | part | what does not happen |',
    '|---|---|---|',
    ...parts,
    '',
  ].join('\n');
}
