import { rowsOf, type DefaultRow } from './row.fixture.ts';

const tolerations = [{ key: 'k' }];
const matched = { resourceRules: [{}], excludeResourceRules: [{}] };
const matchedRows = (of: string, path: string) =>
  rowsOf(`admissionregistration.k8s.io/v1 ${of}`, [
    [
      'MatchResources',
      { spec: { [path]: matched } },
      {
        [`spec.${path}.matchPolicy`]: 'Equivalent',
        [`spec.${path}.namespaceSelector`]: {},
        [`spec.${path}.objectSelector`]: {},
      },
    ],
    [
      'Rule',
      { spec: { [path]: matched } },
      { [`spec.${path}.resourceRules.0.scope`]: '*', [`spec.${path}.excludeResourceRules.0.scope`]: '*' },
    ],
    ...(path === 'matchConstraints'
      ? [['AdmissionPolicySpec', { spec: {} }, { 'spec.failurePolicy': 'Fail' }] as const]
      : []),
  ]);
const webhook = { webhooks: [{ clientConfig: { service: {} }, rules: [{}] }] };
const hook = {
  'webhooks.0.failurePolicy': 'Fail',
  'webhooks.0.matchPolicy': 'Equivalent',
  'webhooks.0.namespaceSelector': {},
  'webhooks.0.objectSelector': {},
  'webhooks.0.timeoutSeconds': 10,
  'webhooks.0.clientConfig.service.port': 443,
  'webhooks.0.rules.0.scope': '*',
};
const rbac = 'rbac.authorization.k8s.io';
const subjects = [
  { kind: 'User', name: 'u' },
  { kind: 'Group', name: 'g' },
  { kind: 'ServiceAccount', name: 's' },
];

export const otherRows: readonly DefaultRow[] = [
  ...rowsOf('networking.k8s.io/v1 NetworkPolicy', [
    ['NetworkPolicy', { spec: {} }, { 'spec.policyTypes': ['Ingress'] }],
    [
      'NetworkPolicy',
      { spec: { policyTypes: [], egress: [{}] } },
      { 'spec.policyTypes': ['Ingress', 'Egress'] },
    ],
    [
      'NetworkPolicyPort',
      { spec: { ingress: [{ ports: [{}] }], egress: [{ ports: [{}] }] } },
      { 'spec.ingress.0.ports.0.protocol': 'TCP', 'spec.egress.0.ports.0.protocol': 'TCP' },
    ],
  ]),
  ...rowsOf('networking.k8s.io/v1 IngressClass', [
    ['IngressClass', { spec: { parameters: {} } }, { 'spec.parameters.scope': 'Cluster' }],
    ['IngressClass', { spec: {} }, { 'spec.parameters': undefined }],
  ]),
  ...rowsOf('storage.k8s.io/v1 StorageClass', [
    ['StorageClass', {}, { reclaimPolicy: 'Delete', volumeBindingMode: 'Immediate' }],
  ]),
  ...rowsOf('storage.k8s.io/v1 CSIDriver', [
    [
      'CSIDriver',
      { spec: { volumeLifecycleModes: [] } },
      {
        spec: {
          attachRequired: true,
          podInfoOnMount: false,
          storageCapacity: false,
          fsGroupPolicy: 'ReadWriteOnceWithFSType',
          volumeLifecycleModes: ['Persistent'],
          requiresRepublish: false,
          seLinuxMount: false,
        },
      },
    ],
  ]),
  ...['RoleBinding', 'ClusterRoleBinding'].flatMap((kind) =>
    rowsOf(`${rbac}/v1 ${kind}`, [
      [kind, { roleRef: { kind: 'ClusterRole', name: 'r' } }, { 'roleRef.apiGroup': rbac }],
      [
        'Subject',
        { subjects },
        { 'subjects.0.apiGroup': rbac, 'subjects.1.apiGroup': rbac, 'subjects.2.apiGroup': undefined },
      ],
    ]),
  ),
  ...rowsOf('scheduling.k8s.io/v1 PriorityClass', [
    ['PriorityClass', {}, { preemptionPolicy: 'PreemptLowerPriority' }],
  ]),
  ...rowsOf('scheduling.k8s.io/v1alpha2 PodGroup', [
    ['PodGroupSpec', { spec: {} }, { 'spec.disruptionMode': 'Pod' }],
  ]),
  ...rowsOf('scheduling.k8s.io/v1alpha2 Workload', [
    [
      'PodGroupTemplate',
      { spec: { podGroupTemplates: [{}] } },
      { 'spec.podGroupTemplates.0.disruptionMode': 'Pod' },
    ],
  ]),
  ...['ResourceClaim: spec', 'ResourceClaimTemplate: spec.spec'].flatMap((place) => {
    const [of = '', path = ''] = place.split(': ');
    const spec = {
      devices: {
        requests: [
          { exactly: { tolerations } },
          { firstAvailable: [{ tolerations }] },
          { exactly: { allocationMode: 'All' } },
        ],
      },
    };
    const given = path === 'spec' ? { spec } : { spec: { spec } };
    const at = `${path}.devices.requests`;
    return rowsOf(`resource.k8s.io/v1 ${of}`, [
      [
        'ExactDeviceRequest',
        given,
        {
          [`${at}.0.exactly.allocationMode`]: 'ExactCount',
          [`${at}.0.exactly.count`]: 1,
          [`${at}.2.exactly.count`]: undefined,
        },
      ],
      [
        'DeviceSubRequest',
        given,
        { [`${at}.1.firstAvailable.0.allocationMode`]: 'ExactCount', [`${at}.1.firstAvailable.0.count`]: 1 },
      ],
      [
        'generated',
        given,
        {
          [`${at}.0.exactly.tolerations.0.operator`]: 'Equal',
          [`${at}.1.firstAvailable.0.tolerations.0.operator`]: 'Equal',
        },
      ],
    ]);
  }),
  ...rowsOf('resource.k8s.io/v1 ResourceClaim', [
    [
      'generated',
      { status: { allocation: { devices: { results: [{ tolerations }] } } } },
      { 'status.allocation.devices.results.0.tolerations.0.operator': 'Equal' },
    ],
  ]),
  ...rowsOf('flowcontrol.apiserver.k8s.io/v1 FlowSchema', [
    ['FlowSchemaSpec', { spec: { matchingPrecedence: 0 } }, { 'spec.matchingPrecedence': 1000 }],
  ]),
  ...rowsOf('flowcontrol.apiserver.k8s.io/v1 PriorityLevelConfiguration', [
    [
      'LimitedPriorityLevelConfiguration',
      { spec: { limited: {} } },
      { 'spec.limited.nominalConcurrencyShares': 30, 'spec.limited.lendablePercent': 0 },
    ],
    [
      'LimitedPriorityLevelConfiguration',
      { spec: { limited: { nominalConcurrencyShares: 0 } } },
      { 'spec.limited.nominalConcurrencyShares': 0 },
    ],
    [
      'ExemptPriorityLevelConfiguration',
      { spec: { exempt: {} } },
      { 'spec.exempt': { nominalConcurrencyShares: 0, lendablePercent: 0 } },
    ],
    [
      'QueuingConfiguration',
      { spec: { limited: { limitResponse: { queuing: {} } } } },
      { 'spec.limited.limitResponse.queuing': { queues: 64, handSize: 8, queueLengthLimit: 50 } },
    ],
  ]),
  ...rowsOf('discovery.k8s.io/v1 EndpointSlice', [
    ['EndpointPort', { ports: [{}] }, { 'ports.0': { name: '', protocol: 'TCP' } }],
  ]),
  ...matchedRows('ValidatingAdmissionPolicy', 'matchConstraints'),
  ...matchedRows('MutatingAdmissionPolicy', 'matchConstraints'),
  ...matchedRows('ValidatingAdmissionPolicyBinding', 'matchResources'),
  ...matchedRows('MutatingAdmissionPolicyBinding', 'matchResources'),
  ...rowsOf('admissionregistration.k8s.io/v1 ValidatingWebhookConfiguration', [
    ['ValidatingWebhook', webhook, hook],
  ]),
  ...rowsOf('admissionregistration.k8s.io/v1 MutatingWebhookConfiguration', [
    ['MutatingWebhook', webhook, { ...hook, 'webhooks.0.reinvocationPolicy': 'Never' }],
  ]),
  ...rowsOf('certificates.k8s.io/v1beta1 PodCertificateRequest', [
    ['PodCertificateRequestSpec', { spec: {} }, { 'spec.maxExpirationSeconds': 86_400 }],
  ]),
  ...rowsOf('apiextensions.k8s.io/v1 CustomResourceDefinition', [
    [
      'CustomResourceDefinitionSpec',
      { spec: { names: { kind: 'Thing' } } },
      {
        'spec.names': { kind: 'Thing', singular: 'thing', listKind: 'ThingList' },
        'spec.conversion.strategy': 'None',
      },
    ],
    [
      'ServiceReference',
      {
        spec: {
          names: { kind: 'Thing' },
          conversion: { strategy: 'Webhook', webhook: { clientConfig: { service: {} } } },
        },
      },
      { 'spec.conversion.webhook.clientConfig.service.port': 443 },
    ],
  ]),
  ...rowsOf('apiregistration.k8s.io/v1 APIService', [
    ['ServiceReference', { spec: { service: {} } }, { 'spec.service.port': 443 }],
  ]),
];
