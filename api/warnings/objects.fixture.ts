import type { JsonObject } from '#api/meta/object.ts';

type Spec = Readonly<Record<string, unknown>>;

export const container = { name: 'c', image: 'x' };
export const pod = (spec: Spec, metadata: Spec = {}): JsonObject => ({
  metadata: { name: 'p', ...metadata },
  spec: { containers: [container], ...spec },
});
export const withContainer = (change: Spec): JsonObject => pod({ containers: [{ ...container, ...change }] });
export const ports = (...list: readonly Spec[]): JsonObject =>
  withContainer({ ports: list.map((port) => ({ containerPort: 80, protocol: 'TCP', ...port })) });
export const service = (spec: Spec, metadata: Spec = {}): JsonObject => ({
  metadata: { name: 's', ...metadata },
  spec: {
    type: 'ClusterIP',
    clusterIP: '10.96.0.9',
    clusterIPs: ['10.96.0.9'],
    sessionAffinity: 'None',
    ...spec,
  },
});
export const volumes = (...list: readonly Spec[]): JsonObject => pod({ volumes: list });
export const projected = (...sources: readonly Spec[]): JsonObject =>
  volumes({ name: 'p', projected: { sources } });
export const items = (...paths: readonly string[]): readonly Spec[] =>
  paths.map((path) => ({ key: 'k', path }));
export const hidden = 'hides previous definition of "A", which may be dropped when using apply';
export const nothing = 'a null labelSelector results in matching no pod';
export const env = (...list: readonly Spec[]): JsonObject =>
  withContainer({ env: list.map((variable) => ({ name: 'A', ...variable })) });

export const ambiguous = (value: string, network: string, address: string): string =>
  `CIDR value "${value}" is ambiguous in this context (should be "${network}" or "${address}"?)`;
