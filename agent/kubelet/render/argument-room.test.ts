import { describe, expect, it } from 'vitest';
import type { Container, EnvVar, Pod, Service } from '#api/generated/objects.ts';
import { undecided } from './seccomp.ts';
import { renderContainer, subPathOf } from './container-config.ts';
import { renderEnvironment, type EnvEntry } from './environment.ts';
import { podPaths } from '#agent/kubelet/pod-paths.ts';

const pod: Pod = { metadata: { name: 'p', namespace: 'ns', uid: 'u' }, spec: { containers: [] } };
const downward = { field: () => '', resource: () => '' };

function render(container: Partial<Container>, more: { data?: string; services?: readonly Service[] } = {}) {
  const configMap = { metadata: { name: 'm' }, data: { KEY: more.data ?? '' } };
  return renderEnvironment({
    pod,
    container: { name: 'c', ...container },
    configMaps: new Map([['m', configMap]]),
    secrets: new Map(),
    services: more.services ?? [],
    downward,
    envFiles: new Map(),
  });
}

/** `E1=$(E0)$(E0)`, and so on: two lines more are four times as much. */
const doubling = (lines: number): readonly EnvVar[] => [
  { name: 'E0', value: 'x'.repeat(64) },
  ...Array.from({ length: lines }, (_, index) => ({
    name: `E${index + 1}`,
    value: `$(E${index})`.repeat(2),
  })),
];

const serviceOf = (_: unknown, index: number): Service => ({
  metadata: { name: `service-with-a-name-${index}`, namespace: 'ns' },
  spec: { clusterIP: '10.96.0.1', ports: [{ port: 80 }] },
});

const argumentsOf = (container: Partial<Container>, env: readonly EnvEntry[]) =>
  renderContainer({
    pod: { ...pod, spec: { containers: [{ name: 'c' }] } },
    container: { name: 'c', ...container },
    id: 'x'.repeat(64),
    attempt: 0,
    imageId: 'sha256:1',
    image: undefined,
    env,
    mounts: [],
    paths: podPaths(pod, {
      pods: '/pods',
      podsMemory: '/memory',
      volumes: '/volumes',
      logs: '/logs',
      kubelet: '/kubelet',
    }),
    node: { memoryBytes: 1e9, allocatable: { memoryBytes: 1e9 } },
    pidsMax: undefined,
    profiles: undecided,
  });

describe('renderEnvironment()', () => {
  it('names the variable that expands to more than a string may have', () => {
    expect(render({ env: doubling(10) }).at(-1)?.value.length).toBe(65_536);
    expect(() => render({ env: doubling(40) })).toThrow(
      'environment variable E11: more than 131071 bytes, which is what the kernel takes in one string (MAX_ARG_STRLEN); give less, or in a file of a volume',
    );
  });

  it('names the variable at which all together are too much', () => {
    const env = [
      ...doubling(10),
      ...Array.from({ length: 40 }, (_, i) => ({ name: `X${i}`, value: '$(E10)' })),
    ];
    expect(() => render({ env })).toThrow(
      /^environment variable X29: .* more than 2097152 bytes, .* give less, or in a file of a volume$/,
    );
  });

  it('counts what a later one of the same name replaces, since it was made', () => {
    const env = [...doubling(10), ...Array.from({ length: 100_000 }, () => ({ name: 'X', value: '$(E10)' }))];
    expect(() => render({ env })).toThrow('environment variable X: arguments and environment up to it');
  });

  it('bounds what comes from objects', () => {
    const from = { configMapRef: { name: 'm' } };
    const reference = { valueFrom: { configMapKeyRef: { name: 'm', key: 'KEY' } } };
    expect(() => render({ envFrom: [from] }, { data: 'x'.repeat(200_000) })).toThrow(
      'environment variable KEY: more than 131071 bytes',
    );
    const many = Array.from({ length: 100 }, (_, index) => ({ name: `V${index}`, ...reference }));
    expect(() => render({ env: many }, { data: 'ü'.repeat(65_000) })).toThrow('environment variable V16:');
    const prefixed = Array.from({ length: 100 }, (_, index) => ({ ...from, prefix: `P${index}_` }));
    expect(() => render({ envFrom: prefixed }, { data: 'x'.repeat(100_000) })).toThrow('P20_KEY');
  });

  it('takes the links of thousands of Services, and says what to do about more', () => {
    expect(render({}, { services: Array.from({ length: 4000 }, serviceOf) }).length).toBe(28_000);
    expect(() => render({}, { services: Array.from({ length: 10_000 }, serviceOf) })).toThrow(
      /of a Service \(enableServiceLinks: false leaves them out\): .* more than 2097152 bytes/,
    );
  });
});

describe('renderContainer()', () => {
  const env = [{ name: 'BIG', value: 'x'.repeat(100_000) }];

  it('names the argument that expands to more than a string may have', () => {
    expect(() => argumentsOf({ command: ['sh'], args: ['-c', '$(BIG)$(BIG)'] }, env)).toThrow(
      'args[1]: more than 131071 bytes',
    );
  });

  it('counts arguments and environment together', () => {
    const args = Array.from({ length: 200 }, () => '$(BIG)');
    expect(() => argumentsOf({ args }, env)).toThrow(/^args\[19\]: arguments and environment up to it/);
    expect(argumentsOf({ args: args.slice(0, 19) }, env).args.length).toBe(19);
  });

  it('takes a subPathExpr as long as a path, no longer', () => {
    const mount = { name: 'v', mountPath: '/v', subPathExpr: '$(BIG)' };
    expect(() => subPathOf(mount, env)).toThrow('subPathExpr of v: more than 4095 bytes');
  });
});
