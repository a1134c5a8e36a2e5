import { describe, expect, test } from 'vitest';
import type { Pod, PodSpec } from '#api/generated/objects.ts';
import { admissionHandlers, refusalOf } from './admission.ts';
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
  ['sysctls', { securityContext: { sysctls: [{ name: 'kernel.msgmax', value: '1' }] } }, 'SysctlForbidden'],
  ['operating system', { os: { name: 'windows' } }, 'PodOSNotSupported'],
  ['user namespaces', { hostUsers: false }, 'UnexpectedAdmissionError'],
  ['unsupported fields', { schedulingGroup: { podGroupName: 'g' } }, 'UnexpectedAdmissionError'],
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

describe('node admission', () => {
  test('has a row for every handler', () => {
    expect(rows.map(([name]) => name)).toEqual(admissionHandlers.map(({ name }) => name));
  });

  test.each(rows)('%s refuses, and nothing else does', (name, spec, reason) => {
    const request = { pod: podOf(spec), active: [], node };
    const found = admissionHandlers.filter(({ refuse }) => refuse(request) !== undefined);
    expect(found.map((handler) => handler.name)).toEqual([name]);
    expect(refusalOf(request.pod, [], node)?.reason).toBe(reason);
  });

  test.each(rows.map(([, , reason], index) => [reason, index] as const))(
    '%s is told where it and all behind it refuse',
    (reason, index) => {
      const spec = rows.slice(index).reduce<Given>(
        (all, [, more]) => ({
          ...all,
          ...more,
          containers: [...(all.containers ?? []), ...(more.containers ?? [])],
        }),
        {},
      );
      expect(refusalOf(podOf(spec), [], node)?.reason).toBe(reason);
    },
  );
});
