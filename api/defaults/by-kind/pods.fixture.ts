import type { JsonObject } from '#api/meta/object.ts';
import { container, rowsOf, template, type DefaultRow } from './row.fixture.ts';

const pod = (container: JsonObject, spec: JsonObject = {}): JsonObject => ({
  spec: { ...spec, containers: [container] },
});
const first = 'spec.containers.0';
const http = { httpGet: { port: 80 } };
const volumeOf = (source: JsonObject): JsonObject => ({ spec: { volumes: [{ name: 'v', ...source }] } });
const volume = 'spec.volumes.0';

export const podRows: readonly DefaultRow[] = rowsOf('v1 Pod', [
  [
    'Container',
    pod(container()),
    {
      [`${first}.imagePullPolicy`]: 'IfNotPresent',
      [`${first}.terminationMessagePath`]: '/dev/termination-log',
      [`${first}.terminationMessagePolicy`]: 'File',
    },
  ],
  ['Container', pod(container({ image: 'r:5000/i' })), { [`${first}.imagePullPolicy`]: 'Always' }],
  ['Container', pod(container({ image: 'i:latest' })), { [`${first}.imagePullPolicy`]: 'Always' }],
  ['Container', pod(container({ imagePullPolicy: 'Never' })), { [`${first}.imagePullPolicy`]: 'Never' }],
  [
    'EphemeralContainer',
    { spec: { ephemeralContainers: [container()] } },
    { 'spec.ephemeralContainers.0.terminationMessagePolicy': 'File' },
  ],
  ['generated', pod(container({ ports: [{ containerPort: 1 }] })), { [`${first}.ports.0.protocol`]: 'TCP' }],
  [
    'generated',
    pod(
      container({
        env: [{ name: 'A', valueFrom: { fileKeyRef: { key: 'K', path: 'f', volumeName: 'v' } } }],
      }),
    ),
    { [`${first}.env.0.valueFrom.fileKeyRef.optional`]: false },
  ],
  [
    'generated',
    pod(container({ livenessProbe: { grpc: { port: 1 } } })),
    { [`${first}.livenessProbe.grpc.service`]: '' },
  ],
  [
    'ObjectFieldSelector',
    pod(container({ env: [{ name: 'A', valueFrom: { fieldRef: { fieldPath: 'x' } } }] })),
    { [`${first}.env.0.valueFrom.fieldRef.apiVersion`]: 'v1' },
  ],
  [
    'Probe',
    pod(container({ readinessProbe: { ...http, timeoutSeconds: 0, periodSeconds: 0 } })),
    {
      [`${first}.readinessProbe`]: {
        httpGet: { port: 80, path: '/', scheme: 'HTTP' },
        timeoutSeconds: 1,
        periodSeconds: 10,
        successThreshold: 1,
        failureThreshold: 3,
      },
    },
  ],
  [
    'HTTPGetAction',
    pod(container({ lifecycle: { preStop: http } })),
    { [`${first}.lifecycle.preStop.httpGet`]: { port: 80, path: '/', scheme: 'HTTP' } },
  ],
  [
    'ResourceList',
    pod(container({ resources: { requests: { cpu: '0.0001' } } })),
    { [`${first}.resources.requests.cpu`]: '1m' },
  ],
  [
    'Pod',
    pod(container({ resources: { limits: { cpu: '1', memory: '2' }, requests: { cpu: '0' } } })),
    { [`${first}.resources.requests`]: { cpu: '0', memory: '2' } },
  ],
  [
    'Pod',
    { spec: { initContainers: [container({ resources: { limits: { cpu: '1' } } })] } },
    { 'spec.initContainers.0.resources.requests.cpu': '1' },
  ],
  ['Pod', pod(container()), { 'spec.enableServiceLinks': true }],
  [
    'defaultHostNetworkPorts',
    pod(container({ ports: [{ containerPort: 7 }] }), { hostNetwork: true }),
    { [`${first}.ports.0.hostPort`]: 7 },
  ],
  [
    'PodSpec',
    pod(container()),
    {
      'spec.dnsPolicy': 'ClusterFirst',
      'spec.restartPolicy': 'Always',
      'spec.securityContext': {},
      'spec.terminationGracePeriodSeconds': 30,
      'spec.schedulerName': 'default-scheduler',
    },
  ],
  [
    'defaultPodRequests',
    pod(container(), { resources: { limits: { cpu: '1' } } }),
    { 'spec.resources.requests': { cpu: '1' } },
  ],
  [
    'defaultPodRequests',
    pod(container({ resources: { requests: { memory: '1Mi' } } }), { resources: { limits: { cpu: '1' } } }),
    { 'spec.resources.requests': { cpu: '1', memory: '1Mi' } },
  ],
  [
    'defaultPodRequests',
    pod(container({ resources: { requests: { cpu: '1' } } }), { resources: { requests: { memory: '1Mi' } } }),
    { 'spec.resources.requests': { memory: '1Mi' } },
  ],
  [
    'defaultPodRequests',
    pod(container({ resources: { requests: { 'ephemeral-storage': '1' } } }), {
      resources: { limits: { cpu: '1' } },
    }),
    { 'spec.resources.requests': { cpu: '1' } },
  ],
  [
    'defaultHugePagePodLimits',
    pod(container({ resources: { limits: { 'hugepages-2Mi': '2Mi' } } }), {
      resources: { requests: { cpu: '1' } },
    }),
    {
      'spec.resources.limits': { 'hugepages-2Mi': '2Mi' },
      'spec.resources.requests': { cpu: '1', 'hugepages-2Mi': '2Mi' },
    },
  ],
  [
    'defaultHugePagePodLimits',
    pod(container({ resources: { limits: { 'hugepages-2Mi': '2Mi' } } }), {
      resources: { requests: { 'hugepages-2Mi': '4Mi' } },
    }),
    { 'spec.resources.limits': undefined },
  ],
  ['Volume', volumeOf({}), { [`${volume}.emptyDir`]: {} }],
  ['Volume', volumeOf({ image: { reference: 'i' } }), { [`${volume}.image.pullPolicy`]: 'Always' }],
  ['SecretVolumeSource', volumeOf({ secret: {} }), { [`${volume}.secret.defaultMode`]: 0o644 }],
  ['ConfigMapVolumeSource', volumeOf({ configMap: {} }), { [`${volume}.configMap.defaultMode`]: 0o644 }],
  [
    'DownwardAPIVolumeSource',
    volumeOf({ downwardAPI: { items: [{ path: 'p', fieldRef: { fieldPath: 'f' } }] } }),
    {
      [`${volume}.downwardAPI.defaultMode`]: 0o644,
      [`${volume}.downwardAPI.items.0.fieldRef.apiVersion`]: 'v1',
    },
  ],
  ['ProjectedVolumeSource', volumeOf({ projected: {} }), { [`${volume}.projected.defaultMode`]: 0o644 }],
  [
    'ServiceAccountTokenProjection',
    volumeOf({ projected: { sources: [{ serviceAccountToken: { path: 'p' } }] } }),
    { [`${volume}.projected.sources.0.serviceAccountToken.expirationSeconds`]: 3600 },
  ],
  ['HostPathVolumeSource', volumeOf({ hostPath: { path: '/' } }), { [`${volume}.hostPath.type`]: '' }],
  [
    'PersistentVolumeClaimSpec',
    volumeOf({ ephemeral: { volumeClaimTemplate: { spec: {} } } }),
    { [`${volume}.ephemeral.volumeClaimTemplate.spec.volumeMode`]: 'Filesystem' },
  ],
  ['generated', volumeOf({ iscsi: {} }), { [`${volume}.iscsi.iscsiInterface`]: 'default' }],
  [
    'generated',
    volumeOf({ rbd: {} }),
    { [`${volume}.rbd`]: { pool: 'rbd', user: 'admin', keyring: '/etc/ceph/keyring' } },
  ],
  [
    'generated',
    volumeOf({ azureDisk: {} }),
    {
      [`${volume}.azureDisk`]: { cachingMode: 'ReadWrite', kind: 'Shared', fsType: 'ext4', readOnly: false },
    },
  ],
  [
    'generated',
    volumeOf({ scaleIO: {} }),
    { [`${volume}.scaleIO`]: { storageMode: 'ThinProvisioned', fsType: 'xfs' } },
  ],
]);

const within = 'spec.template.spec';
export const templateRows: readonly DefaultRow[] = [
  ...['apps/v1 Deployment', 'v1 ReplicationController', 'batch/v1 Job'].flatMap((of) =>
    rowsOf(of, [
      ['PodSpec', template, { [`${within}.dnsPolicy`]: 'ClusterFirst' }],
      [
        'Pod',
        template,
        {
          [`${within}.enableServiceLinks`]: undefined,
          [`${within}.containers.0.resources.requests`]: undefined,
        },
      ],
      ['defaultHostNetworkPorts', template, { [`${within}.containers.0.ports.0.hostPort`]: undefined }],
    ]),
  ),
];
