import { describe, expect, it } from 'vitest';
import type { JsonObject } from '#api/meta/object.ts';
import { findKindByName } from '#api/schema/kinds.ts';
import { deprecationWarning, objectWarnings } from './warnings.ts';

type Spec = Readonly<Record<string, unknown>>;

const container = { name: 'c', image: 'x' };
const pod = (spec: Spec, metadata: Spec = {}): JsonObject => ({
  metadata: { name: 'p', ...metadata },
  spec: { containers: [container], ...spec },
});
const withContainer = (change: Spec): JsonObject => pod({ containers: [{ ...container, ...change }] });
const ports = (...list: readonly Spec[]): JsonObject =>
  withContainer({ ports: list.map((port) => ({ containerPort: 80, protocol: 'TCP', ...port })) });
const service = (spec: Spec, metadata: Spec = {}): JsonObject => ({
  metadata: { name: 's', ...metadata },
  spec: {
    type: 'ClusterIP',
    clusterIP: '10.96.0.9',
    clusterIPs: ['10.96.0.9'],
    sessionAffinity: 'None',
    ...spec,
  },
});
const volumes = (...list: readonly Spec[]): JsonObject => pod({ volumes: list });
const projected = (...sources: readonly Spec[]): JsonObject => volumes({ name: 'p', projected: { sources } });
const items = (...paths: readonly string[]): readonly Spec[] => paths.map((path) => ({ key: 'k', path }));
const hidden = 'hides previous definition of "A", which may be dropped when using apply';
const nothing = 'a null labelSelector results in matching no pod';
const env = (...list: readonly Spec[]): JsonObject =>
  withContainer({ env: list.map((variable) => ({ name: 'A', ...variable })) });

const ambiguous = (value: string, network: string, address: string): string =>
  `CIDR value "${value}" is ambiguous in this context (should be "${network}" or "${address}"?)`;

/** As pkg/api of Kubernetes 1.36 says it. */
const rows: readonly (readonly [kind: string, name: string, object: JsonObject, want: readonly string[]])[] =
  [
    ['v1 Pod', 'a healthy one', pod({}), []],
    [
      'v1 Pod',
      'a name with a dot',
      pod({}, { name: 'a.b' }),
      [
        "metadata.name: this is used in the Pod's hostname, which can result in surprising behavior; a DNS label is recommended: [must not contain dots]",
      ],
    ],
    [
      'v1 Pod',
      'an older label in nodeSelector',
      pod({ nodeSelector: { 'beta.kubernetes.io/os': 'linux' } }),
      ['spec.nodeSelector[beta.kubernetes.io/os]: deprecated since v1.14; use "kubernetes.io/os" instead'],
    ],
    [
      'v1 Pod',
      'an older label in affinity',
      pod({
        affinity: {
          nodeAffinity: {
            requiredDuringSchedulingIgnoredDuringExecution: {
              nodeSelectorTerms: [
                { matchExpressions: [{ key: 'node-role.kubernetes.io/master', operator: 'Exists' }] },
              ],
            },
          },
        },
      }),
      [
        'spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0].matchExpressions[0].key: node-role.kubernetes.io/master is use "node-role.kubernetes.io/control-plane" instead',
      ],
    ],
    [
      'v1 Pod',
      'selectors that select nothing',
      pod({
        topologySpreadConstraints: [{ topologyKey: 'a' }],
        affinity: {
          podAntiAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [{ topologyKey: 'a' }] },
        },
      }),
      [
        `spec.topologySpreadConstraints[0].labelSelector: ${nothing}`,
        `spec.affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].labelSelector: ${nothing}`,
      ],
    ],
    [
      'v1 Pod',
      'annotations of before',
      pod({}, { annotations: { 'scheduler.alpha.kubernetes.io/critical-pod': '' } }),
      [
        'metadata.annotations[scheduler.alpha.kubernetes.io/critical-pod]: non-functional in v1.16+; use the "priorityClassName" field instead',
      ],
    ],
    [
      'v1 Pod',
      'seccomp by annotation',
      pod({}, { annotations: { 'container.seccomp.security.alpha.kubernetes.io/c': 'unconfined' } }),
      [
        'metadata.annotations[container.seccomp.security.alpha.kubernetes.io/c]: non-functional in v1.27+; use the "seccompProfile" field instead',
      ],
    ],
    [
      'v1 Pod',
      'volumes of before',
      volumes({ name: 'g', gitRepo: {} }, { name: 's', storageos: {} }),
      [
        'spec.volumes[0].gitRepo: deprecated in v1.11, and disabled by default in v1.33+',
        'spec.volumes[1].storageOS: deprecated in v1.22, non-functional in v1.25+',
      ],
    ],
    [
      'v1 Pod',
      'files of a volume at one path',
      volumes(
        { name: 'a', configMap: { name: 'y', items: items('k', 'd/', 'k', 'd/e') } },
        { name: 'b', secret: { secretName: 'z', items: items('k', 'ka', 'k/') } },
        { name: 'c', downwardAPI: { items: items('x/y', 'x') } },
        { name: 'd', configMap: { name: 'y', items: items('', '', 'd.e', 'd') } },
      ),
      [
        'volume "a" (ConfigMap "y"): overlapping paths: "k" with "k"',
        'volume "a" (ConfigMap "y"): overlapping paths: "d/e" with "d"',
        'volume "b" (Secret "z"): overlapping paths: "k" with "k"',
        'volume "c" (DownwardAPI): overlapping paths: "x" with "x/y"',
      ],
    ],
    [
      'v1 Pod',
      'files of the sources of a volume at one path',
      projected(
        { serviceAccountToken: { path: 't' } },
        {},
        { secret: { name: 's', items: items('t', 'u') } },
        { configMap: { name: 'm' } },
        { configMap: { name: 'm', items: items('u/v') } },
        { downwardAPI: { items: items('v') } },
        { clusterTrustBundle: { signerName: 'a.b/c', path: 'v/' } },
        { clusterTrustBundle: { name: 'n', path: 'w' } },
        { podCertificate: { keyPath: 'w', certificateChainPath: 'w/c', credentialBundlePath: 't' } },
      ),
      [
        'volume "p" (Projected) has no sources provided',
        'volume "p" (Projected): overlapping paths: "t" (Secret "s") with "t" (ServiceAccountToken)',
        'volume "p" (Projected): overlapping paths: "u/v" (ConfigMap "m") with "u" (Secret "s")',
        'volume "p" (Projected): overlapping paths: "v" (ClusterTrustBundle "a.b/c") with "v" (DownwardAPI)',
        'volume "p" (Projected): overlapping paths: "w/c" (PodCertificate chain) with "w" (ClusterTrustBundle "n")',
        'volume "p" (Projected): overlapping paths: "w" (PodCertificate key) with "w" (ClusterTrustBundle "n")',
        'volume "p" (Projected): overlapping paths: "w" (PodCertificate key) with "w/c" (PodCertificate chain)',
        'volume "p" (Projected): overlapping paths: "t" (PodCertificate credential bundle) with "t" (ServiceAccountToken)',
        'volume "p" (Projected): overlapping paths: "t" (PodCertificate credential bundle) with "t" (Secret "s")',
      ],
    ],
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
      'v1 Pod',
      'names said twice',
      pod({
        imagePullSecrets: [{ name: 'a' }, { name: 'a' }, {}],
        hostAliases: [{ ip: '1.1.1.1' }, { ip: '1.1.1.1' }],
      }),
      [
        'spec.hostAliases[1].ip: duplicate ip "1.1.1.1"',
        'spec.imagePullSecrets[1].name: duplicate name "a"',
        'spec.imagePullSecrets[2].name: invalid empty name ""',
      ],
    ],
    [
      'v1 Pod',
      'parts of a byte',
      withContainer({ resources: { limits: { memory: '100m', cpu: '100m' }, requests: { memory: '1Ki' } } }),
      [
        'spec.containers[0].resources.limits[memory]: fractional byte value "100m" is invalid, must be an integer',
      ],
    ],
    [
      'v1 Pod',
      'a variable twice',
      env({ value: '1' }, { value: '2' }),
      [`spec.containers[0].env[1]: ${hidden}`],
    ],
    ['v1 Pod', 'a variable that goes on', env({ value: '1' }, { value: '$(A)2' }), []],
    [
      'v1 Pod',
      'a variable of itself',
      env({ value: '1' }, { value: '$(A)' }),
      [`spec.containers[0].env[1]: ${hidden}`],
    ],
    [
      'v1 Pod',
      'a variable from elsewhere',
      env({ value: '1' }, { valueFrom: {} }),
      [`spec.containers[0].env[1]: ${hidden}`],
    ],
    [
      'v1 Pod',
      'a port twice',
      ports({}, {}),
      ['spec.containers[0].ports[1]: duplicate port definition with spec.containers[0].ports[0]'],
    ],
    ['v1 Pod', 'a port of two protocols', ports({}, { protocol: 'UDP' }), []],
    [
      'v1 Pod',
      'a port of the node and one of none',
      ports({ hostPort: 81 }, {}),
      ['spec.containers[0].ports[1]: overlapping port definition with spec.containers[0].ports[0]'],
    ],
    [
      'v1 Pod',
      'a port of one address and of all',
      ports({ hostPort: 81, hostIP: '1.1.1.1' }, { hostPort: 81 }),
      ['spec.containers[0].ports[1]: dangerously ambiguous port definition with spec.containers[0].ports[0]'],
    ],
    [
      'v1 Pod',
      'an address without its port',
      ports({ hostIP: '1.1.1.1' }),
      [
        'spec.containers[0].ports[0]: hostIP set without hostPort: {Name: HostPort:0 ContainerPort:80 Protocol:TCP HostIP:1.1.1.1}',
      ],
    ],
    [
      'v1 Pod',
      'a negative grace',
      pod({ terminationGracePeriodSeconds: -1 }),
      [
        'spec.terminationGracePeriodSeconds: must be >= 0; negative values are invalid and will be treated as 1',
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
        'spec.volumeClaimTemplates[0].spec.resources.requests[storage]: fractional byte value "500m" is invalid, must be an integer',
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
      [
        'endpoints[1].addresses[0]: IPv6 address "FD00::1" should be in RFC 5952 canonical format ("fd00::1")',
      ],
    ],
    [
      'discovery.k8s.io/v1 EndpointSlice',
      'names, which are no addresses',
      { metadata: { name: 'e' }, addressType: 'FQDN', endpoints: [{ addresses: ['a.b'] }] },
      [],
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
  ];

function kindOf(text: string) {
  const [apiVersion = '', kind = ''] = text.split(' ');
  const found = findKindByName(apiVersion, kind);
  if (found === undefined) throw new Error(`no kind ${text}`);
  return found;
}

describe('objectWarnings()', () => {
  it.each(rows)('%s: %s', (kind, _name, object, want) => {
    expect(objectWarnings(kindOf(kind), object)).toEqual(want);
  });

  it('tells of a hundred files of a volume that overlap', () => {
    const object = volumes({
      name: 'v',
      configMap: { items: items(...Array.from({ length: 50_000 }, () => 'k')) },
    });
    expect(objectWarnings(kindOf('v1 Pod'), object)).toHaveLength(100);
  });

  it('says nothing of a pod that is updated, nor of a template that stays', () => {
    const object = env({ value: '1' }, { value: '2' });
    expect(objectWarnings(kindOf('v1 Pod'), object, object)).toEqual([]);
    const deployment = { metadata: { generation: 1 }, spec: { template: object } };
    const of = (generation: number): readonly string[] =>
      objectWarnings(kindOf('apps/v1 Deployment'), { ...deployment, metadata: { generation } }, deployment);
    expect([of(1).length, of(2).length]).toEqual([0, 1]);
  });
});

describe('deprecationWarning()', () => {
  it.each([
    ['v1 Endpoints', 'v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice'],
    ['v1 ComponentStatus', 'v1 ComponentStatus is deprecated in v1.19+'],
    ['v1 Pod', undefined],
  ])('%s', (kind, want) => expect(deprecationWarning(kindOf(kind))).toBe(want));
});
