import type { NetworkPolicy, NetworkPolicySpec } from '#api/generated/objects.ts';

const make = (name: string, spec: NetworkPolicySpec, namespace = 'x'): NetworkPolicy => ({
  metadata: { namespace, name },
  spec: { podSelector: {}, ...spec },
});

const pod = (name: string) => ({ podSelector: { matchLabels: { pod: name } } });
const namespaceX = { namespaceSelector: { matchLabels: { ns: 'x' } } };
const namespaceY = { namespaceSelector: { matchLabels: { ns: 'y' } } };
const everyNamespace = { namespaceSelector: {} };
const a = { podSelector: { matchLabels: { pod: 'a' } } };
const both = ['Ingress', 'Egress'];

/** One of each shape that a policy can have, by what is said: each is tried alone, and all those of x together. */
export const fortyPolicies: readonly NetworkPolicy[] = [
  make('deny-ingress', { policyTypes: ['Ingress'] }),
  make('deny-egress', { policyTypes: ['Egress'] }),
  make('deny-both', { policyTypes: both }),
  make('types-absent', {}),
  make('types-absent-egress', { egress: [{}] }),
  make('ingress-empty-list', { ingress: [] }),
  make('egress-empty-list', { policyTypes: ['Egress'], egress: [] }),
  make('allow-ingress', { ingress: [{}] }),
  make('allow-both', { policyTypes: both, ingress: [{}], egress: [{}] }),
  make('one-pod-denied', { ...a }),
  make('from-pod', { ...a, ingress: [{ from: [pod('b')] }] }),
  make('from-namespace', { ...a, ingress: [{ from: [namespaceY] }] }),
  make('from-every-namespace', { ...a, ingress: [{ from: [everyNamespace] }] }),
  make('from-pod-in-namespace', { ...a, ingress: [{ from: [{ ...namespaceY, ...pod('a') }] }] }),
  make('from-pod-or-namespace', { ...a, ingress: [{ from: [namespaceY, pod('c')] }] }),
  make('from-own-namespace', { ...a, ingress: [{ from: [{ podSelector: {} }] }] }),
  make('from-two-rules', { ...a, ingress: [{ from: [pod('b')] }, { from: [namespaceX] }] }),
  make('from-expressions', {
    podSelector: { matchExpressions: [{ key: 'pod', operator: 'In', values: ['a', 'b'] }] },
    ingress: [
      {
        from: [
          {
            namespaceSelector: { matchExpressions: [{ key: 'ns', operator: 'NotIn', values: ['z'] }] },
            podSelector: { matchExpressions: [{ key: 'tier', operator: 'Exists' }] },
          },
        ],
      },
    ],
  }),
  make('without-label', {
    podSelector: { matchExpressions: [{ key: 'tier', operator: 'DoesNotExist' }] },
    ingress: [{ from: [pod('a')] }],
  }),
  make('port', { ...a, ingress: [{ ports: [{ port: 80 }] }] }),
  make('port-udp', { ...a, ingress: [{ ports: [{ port: 80, protocol: 'UDP' }] }] }),
  make('port-sctp', { ...a, ingress: [{ ports: [{ port: 80, protocol: 'SCTP' }] }] }),
  make('protocol', { ...a, ingress: [{ ports: [{ protocol: 'TCP' }] }] }),
  make('two-ports', { ...a, ingress: [{ ports: [{ port: 80 }, { port: 81, protocol: 'UDP' }] }] }),
  make('range', { ...a, ingress: [{ ports: [{ port: 79, endPort: 80 }] }] }),
  make('ranges-that-meet', {
    ...a,
    ingress: [{ ports: [{ port: 70, endPort: 80 }, { port: 80, endPort: 81 }, { protocol: 'UDP' }] }],
  }),
  make('port-from-pod', { ...a, ingress: [{ from: [pod('b')], ports: [{ port: 81 }] }] }),
  make('port-or-pod', { ...a, ingress: [{ from: [pod('b')] }, { ports: [{ port: 81 }] }] }),
  make('named-port', { ingress: [{ ports: [{ port: 'web' }] }] }),
  make('named-and-number', {
    ingress: [{ from: [namespaceY], ports: [{ port: 'web' }, { port: 80, protocol: 'UDP' }] }],
  }),
  make('named-port-unknown', { ingress: [{ ports: [{ port: 'none' }] }] }),
  make('block', { ...a, ingress: [{ from: [{ ipBlock: { cidr: '10.244.1.0/24' } }] }] }),
  make('block-except', {
    ...a,
    ingress: [{ from: [{ ipBlock: { cidr: '10.244.0.0/16', except: ['10.244.1.2/32', '10.244.2.0/30'] } }] }],
  }),
  make('block-everything-except', {
    ...a,
    policyTypes: both,
    ingress: [{ from: [{ ipBlock: { cidr: '0.0.0.0/0', except: ['10.244.1.0/24'] } }] }],
    egress: [
      {
        to: [{ ipBlock: { cidr: 'fd00::/8', except: ['fd00:1::/32'] } }, { ipBlock: { cidr: '0.0.0.0/0' } }],
      },
    ],
  }),
  make('to-pod', { ...a, policyTypes: ['Egress'], egress: [{ to: [pod('b')] }] }),
  make('to-pod-in-namespace', {
    ...a,
    policyTypes: ['Egress'],
    egress: [{ to: [{ ...namespaceY, ...pod('a') }], ports: [{ port: 80 }] }],
  }),
  make('to-block', {
    ...a,
    policyTypes: ['Egress'],
    egress: [{ to: [{ ipBlock: { cidr: '10.244.2.0/24', except: ['10.244.2.1/32'] } }] }],
  }),
  make('to-named-port', { policyTypes: ['Egress'], egress: [{ ports: [{ port: 'web' }] }] }),
  make('to-named-port-of', {
    policyTypes: ['Egress'],
    egress: [{ to: [namespaceY, { ipBlock: { cidr: '10.244.2.0/24' } }], ports: [{ port: 'web' }] }],
  }),
  make('both-ways', {
    ...a,
    policyTypes: both,
    ingress: [{ from: [namespaceX], ports: [{ port: 80 }] }],
    egress: [{ to: [namespaceX], ports: [{ port: 'dns', protocol: 'UDP' }] }],
  }),
];
