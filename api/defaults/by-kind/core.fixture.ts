import type { JsonObject } from '#api/meta/object.ts';
import { rowsOf, template, type DefaultRow } from './row.fixture.ts';

const ports = [{ port: 5 }];
export const serviceRows: readonly DefaultRow[] = rowsOf('v1 Service', [
  [
    'Service',
    { spec: { ports } },
    {
      'spec.sessionAffinity': 'None',
      'spec.type': 'ClusterIP',
      'spec.internalTrafficPolicy': 'Cluster',
      'spec.externalTrafficPolicy': undefined,
      'spec.allocateLoadBalancerNodePorts': undefined,
    },
  ],
  [
    'Service',
    { spec: { sessionAffinity: 'None', sessionAffinityConfig: { clientIP: { timeoutSeconds: 1 } } } },
    { 'spec.sessionAffinityConfig': undefined },
  ],
  [
    'Service',
    { spec: { sessionAffinity: 'ClientIP' } },
    { 'spec.sessionAffinityConfig.clientIP.timeoutSeconds': 10_800 },
  ],
  [
    'Service',
    { spec: { ports: [{ port: 5, targetPort: 0 }] } },
    { 'spec.ports.0': { port: 5, protocol: 'TCP', targetPort: 5 } },
  ],
  ['Service', { spec: { ports: [{ port: 5, targetPort: '' }] } }, { 'spec.ports.0.targetPort': 5 }],
  ['Service', { spec: { type: 'NodePort' } }, { 'spec.externalTrafficPolicy': 'Cluster' }],
  ['Service', { spec: { externalIPs: ['192.0.2.1'] } }, { 'spec.externalTrafficPolicy': 'Cluster' }],
  [
    'Service',
    { spec: { type: 'ExternalName', externalName: 'a' } },
    { 'spec.internalTrafficPolicy': undefined, 'spec.externalTrafficPolicy': undefined },
  ],
  [
    'Service',
    { spec: { type: 'LoadBalancer' } },
    { 'spec.externalTrafficPolicy': 'Cluster', 'spec.allocateLoadBalancerNodePorts': true },
  ],
  [
    'Service',
    {
      spec: { type: 'LoadBalancer' },
      status: { loadBalancer: { ingress: [{ ip: '192.0.2.1' }, { hostname: 'h' }] } },
    },
    { 'status.loadBalancer.ingress': [{ ip: '192.0.2.1', ipMode: 'VIP' }, { hostname: 'h' }] },
  ],
  [
    'Service',
    { spec: { type: 'ClusterIP' }, status: { loadBalancer: { ingress: [{ ip: '192.0.2.1' }] } } },
    { 'status.loadBalancer.ingress.0.ipMode': undefined },
  ],
]);

const limit = (type: string): JsonObject => ({
  spec: { limits: [{ type, max: { cpu: '2' }, min: { cpu: '1', memory: '1Mi' } }] },
});
export const coreRows: readonly DefaultRow[] = [
  ...rowsOf('v1 ReplicationController', [
    [
      'ReplicationController',
      template,
      { 'spec.selector': { a: 'b' }, 'metadata.labels': { a: 'b' }, 'spec.replicas': 1 },
    ],
    [
      'ReplicationController',
      { metadata: { labels: {} }, spec: { ...template.spec, selector: {} } },
      { 'spec.selector': { a: 'b' }, 'metadata.labels': { a: 'b' } },
    ],
    [
      'ReplicationController',
      { metadata: { labels: { c: 'd' } }, spec: { ...template.spec, selector: { e: 'f' } } },
      { 'spec.selector': { e: 'f' }, 'metadata.labels': { c: 'd' } },
    ],
  ]),
  ...rowsOf('v1 Secret', [['Secret', {}, { type: 'Opaque' }]]),
  ...rowsOf('v1 Namespace', [
    ['Namespace', { metadata: { name: 'n' } }, { 'metadata.labels': { 'kubernetes.io/metadata.name': 'n' } }],
    [
      'Namespace',
      { metadata: { name: 'n', labels: { 'kubernetes.io/metadata.name': 'm' } } },
      { 'metadata.labels': { 'kubernetes.io/metadata.name': 'n' } },
    ],
  ]),
  ...rowsOf('v1 Node', [
    ['NodeStatus', { status: { capacity: { cpu: '1' } } }, { 'status.allocatable': { cpu: '1' } }],
    [
      'NodeStatus',
      { status: { capacity: { cpu: '1' }, allocatable: { cpu: '500m' } } },
      { 'status.allocatable': { cpu: '500m' } },
    ],
  ]),
  ...rowsOf('v1 PersistentVolume', [
    [
      'PersistentVolume',
      { spec: {} },
      {
        'status.phase': 'Pending',
        'spec.persistentVolumeReclaimPolicy': 'Retain',
        'spec.volumeMode': 'Filesystem',
      },
    ],
    ['ResourceList', { spec: { capacity: { storage: '0.0001' } } }, { 'spec.capacity.storage': '1m' }],
    ['HostPathVolumeSource', { spec: { hostPath: { path: '/' } } }, { 'spec.hostPath.type': '' }],
  ]),
  ...rowsOf('v1 PersistentVolumeClaim', [
    ['PersistentVolumeClaim', { spec: {} }, { 'status.phase': 'Pending' }],
    ['PersistentVolumeClaimSpec', { spec: {} }, { 'spec.volumeMode': 'Filesystem' }],
  ]),
  ...[
    'v1 PersistentVolume: spec',
    'storage.k8s.io/v1 VolumeAttachment: spec.source.inlineVolumeSpec',
  ].flatMap((place) => {
    const [of = '', path = ''] = place.split(': ');
    const spec = { hostPath: {}, iscsi: {}, rbd: {}, azureDisk: {}, scaleIO: {} };
    const given = of.endsWith('Attachment') ? { spec: { source: { inlineVolumeSpec: spec } } } : { spec };
    return rowsOf(of, [
      ['HostPathVolumeSource', given, { [`${path}.hostPath.type`]: '' }],
      [
        'generated',
        given,
        {
          [`${path}.iscsi.iscsiInterface`]: 'default',
          [`${path}.rbd`]: { pool: 'rbd', user: 'admin', keyring: '/etc/ceph/keyring' },
          [`${path}.azureDisk`]: {
            cachingMode: 'ReadWrite',
            kind: 'Shared',
            fsType: 'ext4',
            readOnly: false,
          },
          [`${path}.scaleIO`]: { storageMode: 'ThinProvisioned', fsType: 'xfs' },
        },
      ],
    ]);
  }),
  ...rowsOf('v1 Endpoints', [
    ['Endpoints', { subsets: [{ ports }] }, { 'subsets.0.ports.0.protocol': 'TCP' }],
  ]),
  ...rowsOf('v1 LimitRange', [
    [
      'LimitRangeItem',
      limit('Container'),
      { 'spec.limits.0.default': { cpu: '2' }, 'spec.limits.0.defaultRequest': { cpu: '2', memory: '1Mi' } },
    ],
    ['LimitRangeItem', limit('Pod'), { 'spec.limits.0.default': undefined }],
  ]),
];
