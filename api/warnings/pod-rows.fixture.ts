import { expect } from 'vitest';
import type { JsonObject } from '#api/meta/object.ts';
import {
  container,
  env,
  hidden,
  items,
  nothing,
  pod,
  ports,
  projected,
  volumes,
  withContainer,
} from './objects.fixture.ts';

/** Of the kind an object, and what is told of it, as pkg/api of Kubernetes 1.36 says it. */
export type WarningRow = readonly [kind: string, name: string, object: JsonObject, want: readonly string[]];

/** Of pods. */
export const podRows: readonly WarningRow[] = [
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
    'v1 Pod',
    'values that are none of labels, where nobody has to have them',
    pod({
      affinity: {
        nodeAffinity: {
          requiredDuringSchedulingIgnoredDuringExecution: {
            nodeSelectorTerms: [{ matchExpressions: [{ key: 'a', operator: 'In', values: ['-'] }] }],
          },
          preferredDuringSchedulingIgnoredDuringExecution: [
            { preference: { matchExpressions: [{ key: 'a', operator: 'In', values: ['b', '-'] }] } },
          ],
        },
      },
    }),
    [
      expect.stringContaining(
        'preferredDuringSchedulingIgnoredDuringExecution[0].preference.matchExpressions[0].values[1]: - is invalid, a valid label must be an empty string or consist of',
      ),
    ],
  ],
  [
    'v1 Pod',
    'a name of ports twice',
    pod({
      initContainers: [{ ...container, name: 'i', ports: [{ containerPort: 80, name: 'web' }] }],
      containers: [
        {
          ...container,
          ports: [{ containerPort: 81, name: 'web' }, { containerPort: 82 }, { containerPort: 83 }],
        },
      ],
    }),
    [
      'spec.containers[0].ports[0]: duplicate port name "web" with spec.initContainers[0].ports[0], services and probes that select ports by name will use spec.initContainers[0].ports[0]',
    ],
  ],
  [
    'v1 Pod',
    'addresses not canonical',
    pod({ dnsConfig: { nameservers: ['FD00::1'] }, hostAliases: [{ ip: '010.0.0.1' }] }),
    [
      'spec.dnsConfig.nameservers[0]: IPv6 address "FD00::1" should be in RFC 5952 canonical format ("fd00::1")',
      'spec.hostAliases[0].ip: non-standard IP address "010.0.0.1" will be considered invalid in a future Kubernetes release: use "10.0.0.1"',
    ],
  ],
];
