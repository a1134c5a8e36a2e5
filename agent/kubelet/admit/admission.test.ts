import { describe, expect, test } from 'vitest';
import type { Pod, PodSpec } from '#api/generated/objects.ts';
import { admissionHandlers, refusalOf } from './admission.ts';
import type { PressureCondition } from '#agent/kubelet/evict/pressure.ts';
import type { NodeFacts } from '#agent/kubelet/node-facts.ts';

const node: NodeFacts = {
  name: 'n',
  ips: [],
  allocatable: { cpuMilli: 1000, memoryBytes: 1e9, storageBytes: 1e9 },
  memoryBytes: 1e9,
  podsMax: 9,
  podPidsMax: undefined,
  isSelinuxEnabled: false,
  userNamespaceProblem: 'it has none',
  hostsFile: '',
};
type Given = Partial<PodSpec> & { readonly annotations?: Readonly<Record<string, string>> };
const podOf = ({ annotations, ...spec }: Given): Pod => ({
  metadata: { uid: 'u', ...(annotations === undefined ? {} : { annotations }) },
  spec: { containers: [{ name: 'c', image: 'i' }], ...spec },
});

/** By handler, in their order: what it alone refuses, and its reason. */
const rows: readonly (readonly [name: string, Given, reason: string])[] = [
  ['shutdown', {}, 'NodeShutdown'],
  ['sysctls', { securityContext: { sysctls: [{ name: 'kernel.msgmax', value: '1' }] } }, 'SysctlForbidden'],
  ['operating system', { os: { name: 'windows' } }, 'PodOSNotSupported'],
  ['pressure', {}, 'Evicted'],
  ['user namespaces', { hostUsers: false }, 'UnexpectedAdmissionError'],
  [
    'AppArmor',
    {
      containers: [
        { name: 'a', image: 'i', securityContext: { appArmorProfile: { type: 'RuntimeDefault' } } },
      ],
    },
    'AppArmor',
  ],
  [
    'unsupported fields',
    { securityContext: { seLinuxOptions: { level: 's0' } } },
    'UnexpectedAdmissionError',
  ],
  ['bandwidth', { annotations: { 'kubernetes.io/egress-bandwidth': 'much' } }, 'UnexpectedAdmissionError'],
  [
    'host ports',
    { containers: [{ name: 'c', image: 'i', ports: [{ containerPort: 1, hostPort: 10_250 }] }] },
    'NodePorts',
  ],
  [
    'resources',
    { containers: [{ name: 'd', image: 'i', resources: { requests: { cpu: '2' } } }] },
    'OutOfcpu',
  ],
];

/** Short of disk for the handler that asks for that. */
const nodeOf = (names: readonly string[]): NodeFacts => ({
  ...node,
  isGoingDown: () => names.includes('shutdown'),
  isSelinuxEnabled: names.includes('unsupported fields'),
  appArmorProblem: names.includes('AppArmor') ? 'there is none' : undefined,
  pressed: () => new Set(names.includes('pressure') ? ['DiskPressure' as const] : []),
});

describe('node admission', () => {
  test('has a row for every handler', () => {
    expect(rows.map(([name]) => name)).toEqual(admissionHandlers.map(({ name }) => name));
  });

  test.each(rows)('%s refuses, and nothing else does', (name, spec, reason) => {
    const request = { pod: podOf(spec), active: [], node: nodeOf([name]) };
    const found = admissionHandlers.filter(({ refuse }) => refuse(request) !== undefined);
    expect(found.map((handler) => handler.name)).toEqual([name]);
    expect(refusalOf(request.pod, [], request.node)?.reason).toBe(reason);
  });

  test.each(rows.map(([, , reason], index) => [reason, index] as const))(
    '%s is told where it and all behind it refuse',
    (reason, index) => {
      const spec = rows.slice(index).reduce<Given>(
        (all, [, more]) => ({
          ...all,
          ...more,
          securityContext: { ...all.securityContext, ...more.securityContext },
          containers: [...(all.containers ?? []), ...(more.containers ?? [])],
        }),
        {},
      );
      const names = rows.slice(index).map(([name]) => name);
      expect(refusalOf(podOf(spec), [], nodeOf(names))?.reason).toBe(reason);
    },
  );
});

test('a pod that is labelled for another operating system is not taken', () => {
  const labelled = (os: string): Pod => ({ ...podOf({}), metadata: { labels: { 'kubernetes.io/os': os } } });
  expect(refusalOf(labelled('linux'), [], node)).toBe(undefined);
  expect(refusalOf(labelled('windows'), [], node)?.reason).toBe('PodOSSelectorNodeLabelDoesNotMatch');
});

test('huge pages are those that were set aside', () => {
  const limits = { cpu: '1', memory: '1', 'hugepages-2Mi': '4Mi' };
  const pod = podOf({ containers: [{ name: 'c', image: 'i', resources: { limits, requests: limits } }] });
  const having = (bytes: number): NodeFacts => ({ ...node, hugePages: new Map([['hugepages-2Mi', bytes]]) });
  expect(refusalOf(pod, [], having(2 ** 22))).toBe(undefined);
  expect(refusalOf(pod, [], having(2 ** 21))?.reason).toBe('OutOfhugepages-2Mi');
  expect(refusalOf(pod, [], node)?.reason).toBe('OutOfhugepages-2Mi');
});

describe('a node that is short of something', () => {
  const short = (...conditions: readonly PressureCondition[]): NodeFacts => ({
    ...node,
    userNamespaceProblem: undefined,
    pressed: () => new Set(conditions),
  });
  const asking = podOf({
    containers: [{ name: 'c', image: 'i', resources: { requests: { memory: '1Mi' } } }],
  });
  const tolerating = podOf({
    tolerations: [{ key: 'node.kubernetes.io/memory-pressure', operator: 'Exists', effect: 'NoSchedule' }],
  });
  const file = { 'kubernetes.io/config.source': 'file' };
  test.each<[string, Pod, NodeFacts, string | undefined]>([
    ['of nothing', podOf({}), short(), undefined],
    ['of memory, for who asks for none', podOf({}), short('MemoryPressure'), 'MemoryPressure'],
    ['of memory, for who asks for some', asking, short('MemoryPressure'), undefined],
    ['of memory, for who bears it', tolerating, short('MemoryPressure'), undefined],
    ['of memory and disk', asking, short('MemoryPressure', 'DiskPressure'), 'MemoryPressure DiskPressure'],
    ['of disk', asking, short('DiskPressure'), 'DiskPressure'],
    [
      'of disk, for what the cluster needs',
      podOf({ priority: 2_000_001_000 }),
      short('DiskPressure'),
      undefined,
    ],
    [
      'of disk, for a static pod',
      { ...asking, metadata: { uid: 'u', annotations: file } },
      short('DiskPressure'),
      undefined,
    ],
  ])('%s', (_name, pod, facts, want) => {
    const message = want === undefined ? undefined : `The node had condition: [${want}]. `;
    expect(refusalOf(pod, [], facts)?.message).toBe(message);
  });
});
