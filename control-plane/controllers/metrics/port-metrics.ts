/** What is told at a port where a program of Kubernetes is looked for, whose work is done in this process. */
import type { Registry } from 'prom-client';
import { gitVersion } from '#api/release.ts';
import { renderMetrics, type RenderedMetrics } from '#control-plane/apiserver/serve/process-metrics.ts';
import { registerRead, type ReadMetric } from '#control-plane/apiserver/serve/read-metric.ts';

/** What `/metrics` of a port answers, with what every process tells of itself; loaded when somebody asks first. */
export function createPortMetrics(metrics: () => readonly ReadMetric[]): () => Promise<RenderedMetrics> {
  let loading: Promise<Registry> | undefined;
  const load = async (): Promise<Registry> => {
    const { Registry } = await import('prom-client');
    const registry = new Registry();
    for (const metric of metrics()) await registerRead(registry, metric);
    return registry;
  };
  return async () => renderMetrics(await (loading ??= load()));
}

/** Of a program of this name: its version, and whether it leads. */
export function programMetrics(program: string, isLeading: () => boolean): readonly ReadMetric[] {
  const [major = '', minor = ''] = /^v(\d+)\.(\d+)/.exec(gitVersion)?.slice(1) ?? [];
  return [
    {
      name: 'kubernetes_build_info',
      help: 'The version, with 1.',
      type: 'gauge',
      labelNames: ['git_version', 'major', 'minor'],
      read: () => [{ labels: { git_version: gitVersion, major, minor }, value: 1 }],
    },
    {
      name: 'leader_election_master_status',
      help: 'Whether this one leads: 1, or 0.',
      type: 'gauge',
      labelNames: ['name'],
      read: () => [{ labels: { name: program }, value: isLeading() ? 1 : 0 }],
    },
  ];
}
