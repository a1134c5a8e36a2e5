import { expect } from 'vitest';
import { ambiguous, env, hidden, pod, service } from './objects.fixture.ts';
import type { WarningRow } from './pod-rows.fixture.ts';

/** Of other kinds than pods. */
export const otherRows: readonly WarningRow[] = [
  [
    'batch/v1 Job',
    'annotations in the place of fields, where those of the containers are told',
    {
      spec: {
        template: {
          ...pod(
            {
              terminationGracePeriodSeconds: -1,
              overhead: { memory: '1500m' },
              volumes: [{ name: 'g', gitRepo: {} }],
            },
            {
              annotations: {
                'container.apparmor.security.beta.kubernetes.io/c': 'unconfined',
                'seccomp.security.alpha.kubernetes.io/pod': 'unconfined',
              },
            },
          ),
        },
      },
    },
    [
      'spec.template.spec.volumes[0].gitRepo: deprecated in v1.11, and disabled by default in v1.33+',
      'spec.template.spec.overhead[memory]: fractional byte value "1500m" is invalid, must be an integer',
      'spec.template.metadata.annotations[seccomp.security.alpha.kubernetes.io/pod]: non-functional in v1.27+; use the "seccompProfile" field instead',
      'spec.template.metadata.annotations[container.apparmor.security.beta.kubernetes.io/c]: deprecated since v1.30; use the "appArmorProfile" field instead',
      'spec.template.spec.terminationGracePeriodSeconds: must be >= 0; negative values are invalid and will be treated as 1',
    ],
  ],
  [
    'batch/v1 CronJob',
    'its template',
    { spec: { jobTemplate: { spec: { template: env({ value: '1' }, { value: '2' }) } } } },
    [`spec.jobTemplate.spec.template.spec.containers[0].env[1]: ${hidden}`],
  ],
  [
    'batch/v1 Job',
    'very many indexes',
    { spec: { completionMode: 'Indexed', completions: 100_001, parallelism: 10_001, template: pod({}) } },
    [
      'spec: In Indexed Jobs with a number of completions higher than 10^5 and a parallelism higher than 10^4, Kubernetes might not be able to track completedIndexes when a big number of indexes fail',
    ],
  ],
  [
    'apps/v1 Deployment',
    'a long name with a dot',
    { metadata: { name: `${'d'.repeat(63)}.e` }, spec: { template: pod({}) } },
    [
      'metadata.name: this is used in Pod names and hostnames, which can result in surprising behavior; a DNS label is recommended: [must be no more than 63 bytes must not contain dots]',
    ],
  ],
  [
    'apps/v1 StatefulSet',
    'a claim of parts of a byte',
    {
      spec: {
        template: pod({}),
        volumeClaimTemplates: [{ spec: { resources: { requests: { storage: '500m' } } } }],
      },
    },
    [
      'spec.volumeClaimTemplates[0].resources.requests[storage]: fractional byte value "500m" is invalid, must be an integer',
    ],
  ],
  [
    'v1 Service',
    'source ranges with bits beyond the prefix, a mapped one and one not canonical',
    service({
      type: 'LoadBalancer',
      loadBalancerSourceRanges: ['10.0.0.1/8', '::ffff:1.2.3.0/120', 'FD00::/8', 'fd00::1/8', '10.0.0.0/8'],
    }),
    [
      `spec.loadBalancerSourceRanges[0]: ${ambiguous('10.0.0.1/8', '10.0.0.0/8', '10.0.0.1/32')}`,
      'spec.loadBalancerSourceRanges[1]: non-standard CIDR value "::ffff:1.2.3.0/120" will be considered invalid in a future Kubernetes release: use "1.2.3.0/120"',
      'spec.loadBalancerSourceRanges[2]: IPv6 CIDR value "FD00::/8" should be in RFC 5952 canonical format ("fd00::/8")',
      `spec.loadBalancerSourceRanges[3]: ${ambiguous('fd00::1/8', 'fd00::/8', 'fd00::1/128')}`,
    ],
  ],
  [
    'networking.k8s.io/v1 NetworkPolicy',
    'blocks with bits beyond the prefix',
    {
      metadata: { name: 'n' },
      spec: {
        ingress: [
          { from: [{ podSelector: {} }, { ipBlock: { cidr: '10.0.0.1/8', except: ['10.1.0.1/16'] } }] },
        ],
        egress: [{ to: [{ ipBlock: { cidr: 'fd00::1/8' } }, { ipBlock: { cidr: 'fd00::/8' } }] }],
      },
    },
    [
      `spec.ingress[0].from[1].ipBlock.cidr: ${ambiguous('10.0.0.1/8', '10.0.0.0/8', '10.0.0.1/32')}`,
      `spec.ingress[0].from[1].ipBlock.except[0]: ${ambiguous('10.1.0.1/16', '10.1.0.0/16', '10.1.0.1/32')}`,
      `spec.egress[0].to[0].ipBlock.cidr: ${ambiguous('fd00::1/8', 'fd00::/8', 'fd00::1/128')}`,
    ],
  ],
  [
    'discovery.k8s.io/v1 EndpointSlice',
    'addresses not canonical',
    {
      metadata: { name: 'e' },
      addressType: 'IPv6',
      endpoints: [{ addresses: ['fd00::1'] }, { addresses: ['FD00::1'] }],
    },
    ['endpoints[1].addresses[0]: IPv6 address "FD00::1" should be in RFC 5952 canonical format ("fd00::1")'],
  ],
  [
    'discovery.k8s.io/v1 EndpointSlice',
    'names, which are no addresses',
    { metadata: { name: 'e' }, addressType: 'FQDN', endpoints: [{ addresses: ['a.b'] }] },
    ['spec.addressType: FQDN endpoints are deprecated'],
  ],
  [
    'v1 Endpoints',
    'addresses not canonical, or mapped',
    {
      metadata: { name: 'e' },
      subsets: [{ addresses: [{ ip: 'FD00::1' }], notReadyAddresses: [{ ip: '::ffff:1.2.3.4' }] }],
    },
    [
      'subsets[0].addresses[0].ip: IPv6 address "FD00::1" should be in RFC 5952 canonical format ("fd00::1")',
      'subsets[0].notReadyAddresses[0].ip: non-standard IP address "::ffff:1.2.3.4" will be considered invalid in a future Kubernetes release: use "1.2.3.4"',
    ],
  ],
  ['v1 Service', 'a healthy one', service({}), []],
  [
    'v1 Service',
    'headless with affinity',
    service({
      clusterIP: 'None',
      clusterIPs: ['None'],
      sessionAffinity: 'ClientIP',
      externalIPs: ['1.1.1.1'],
    }),
    [
      'spec.externalIPs is ignored for headless services',
      'spec.SessionAffinity is ignored for headless services',
    ],
  ],
  [
    'v1 Service',
    'external addresses, one mapped and one not canonical',
    service({ externalIPs: ['::ffff:1.2.3.4', '2001:DB8::0'] }),
    [
      'spec.externalIPs[0]: non-standard IP address "::ffff:1.2.3.4" will be considered invalid in a future Kubernetes release: use "1.2.3.4"',
      'spec.externalIPs[1]: IPv6 address "2001:DB8::0" should be in RFC 5952 canonical format ("2001:db8::")',
      'spec.externalIPs is deprecated and may no longer be implemented in some clusters',
    ],
  ],
  [
    'v1 Service',
    'an address with zeros before',
    service({ loadBalancerIP: '010.1.2.3' }),
    [
      'spec.loadBalancerIP: non-standard IP address "010.1.2.3" will be considered invalid in a future Kubernetes release: use "10.1.2.3"',
    ],
  ],
  [
    'v1 Service',
    'traffic distribution of before',
    service({ trafficDistribution: 'PreferClose', externalName: 'a.b' }),
    [
      'spec.externalName is ignored when spec.type is not "ExternalName"',
      'spec.trafficDistribution: "PreferClose" is deprecated; use "PreferSameZone"',
    ],
  ],
  [
    'v1 ServiceAccount',
    'mountable secrets',
    { metadata: { annotations: { 'kubernetes.io/enforce-mountable-secrets': 'true' } } },
    [
      'metadata.annotations[kubernetes.io/enforce-mountable-secrets]: deprecated in v1.32+; prefer separate namespaces to isolate access to mounted secrets',
    ],
  ],
  [
    'networking.k8s.io/v1 Ingress',
    'its class by annotation',
    { metadata: { annotations: { 'kubernetes.io/ingress.class': 'x' } } },
    [`annotation "kubernetes.io/ingress.class" is deprecated, please use 'spec.ingressClassName' instead`],
  ],
  [
    'v1 PersistentVolume',
    'recycled, of a kind that is no more',
    { spec: { persistentVolumeReclaimPolicy: 'Recycle', glusterfs: {} } },
    [
      'spec.persistentVolumeReclaimPolicy: The Recycle reclaim policy is deprecated. Instead, the recommended approach is to use dynamic provisioning.',
      'spec.glusterfs: deprecated in v1.25, non-functional in v1.26+',
    ],
  ],
  [
    'v1 PersistentVolumeClaim',
    'its class by annotation',
    { metadata: { annotations: { 'volume.beta.kubernetes.io/storage-class': 'x' } } },
    [
      'metadata.annotations[volume.beta.kubernetes.io/storage-class]: deprecated since v1.8; use "storageClassName" attribute instead',
    ],
  ],
  [
    'node.k8s.io/v1 RuntimeClass',
    'an older label',
    { scheduling: { nodeSelector: { 'beta.kubernetes.io/arch': 'amd64' } } },
    ['scheduling.nodeSelector: deprecated since v1.14; use "kubernetes.io/arch" instead'],
  ],
  [
    'v1 Node',
    'networks of pods with bits beyond the prefix, and fields of before',
    { spec: { podCIDRs: ['10.0.0.8/24'], externalID: 'x', configSource: {} } },
    [
      'spec.configSource: the feature is removed',
      'spec.externalID: this field is deprecated, and is unused by Kubernetes',
      `spec.podCIDRs[0]: ${ambiguous('10.0.0.8/24', '10.0.0.0/24', '10.0.0.8/32')}`,
    ],
  ],
  [
    'storage.k8s.io/v1 StorageClass',
    'an older label',
    { allowedTopologies: [{}, { matchLabelExpressions: [{ key: 'beta.kubernetes.io/os', values: ['x'] }] }] },
    [
      'allowedTopologies[1].matchLabelExpressions[0].key: deprecated since v1.14; use "kubernetes.io/os" instead',
    ],
  ],
  [
    'storage.k8s.io/v1 CSIStorageCapacity',
    'older labels',
    {
      nodeTopology: {
        matchExpressions: [{ key: 'beta.kubernetes.io/arch', operator: 'Exists' }],
        matchLabels: { 'beta.kubernetes.io/os': 'linux' },
      },
    },
    [
      'nodeTopology.matchExpressions[0].key: beta.kubernetes.io/arch is deprecated since v1.14; use "kubernetes.io/arch" instead',
      'nodeTopology.matchLabels.beta.kubernetes.io/os: deprecated since v1.14; use "kubernetes.io/os" instead',
    ],
  ],
  [
    'v1 PersistentVolume',
    'annotations of before',
    {
      metadata: {
        annotations: {
          'volume.beta.kubernetes.io/mount-options': 'ro',
          'volume.beta.kubernetes.io/storage-class': 'x',
        },
      },
    },
    [
      'metadata.annotations[volume.beta.kubernetes.io/storage-class]: deprecated since v1.8; use "storageClassName" attribute instead',
      'metadata.annotations[volume.beta.kubernetes.io/mount-options]: deprecated since v1.31; use "mountOptions" attribute instead',
    ],
  ],
  [
    'v1 Endpoints',
    'addresses that the controller wrote',
    {
      metadata: { labels: { 'endpoints.kubernetes.io/managed-by': 'endpoint-controller' } },
      subsets: [{ addresses: [{ ip: 'FD00::1' }] }],
    },
    [],
  ],
  [
    'discovery.k8s.io/v1 EndpointSlice',
    'addresses that a controller wrote',
    {
      metadata: {
        labels: { 'endpointslice.kubernetes.io/managed-by': 'endpointslicemirroring-controller.k8s.io' },
      },
      addressType: 'IPv6',
      endpoints: [{ addresses: ['FD00::1'] }],
    },
    [],
  ],
  [
    'networking.k8s.io/v1 Ingress',
    'its class both ways',
    {
      metadata: { annotations: { 'kubernetes.io/ingress.class': 'x' } },
      spec: { ingressClassName: 'x' },
    },
    [],
  ],
  [
    'apps/v1 StatefulSet',
    'revisions without end',
    { spec: { template: pod({}), revisionHistoryLimit: -1 } },
    [
      'spec.revisionHistoryLimit: a negative value retains all historical revisions; a value >= 0 is recommended',
    ],
  ],
  [
    'apps/v1 ReplicaSet',
    'its name ahead of its template',
    { metadata: { name: 'a.b' }, spec: { template: pod({ terminationGracePeriodSeconds: -1 }) } },
    [
      expect.stringMatching(/^metadata.name: /),
      expect.stringMatching(/^spec.template.spec.terminationGracePeriodSeconds: /),
    ],
  ],
];
