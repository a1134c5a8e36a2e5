import type { Registry } from 'prom-client';

/** Gauges that prom-client calls as counters are called; the same by type are `nodejs_active_resources` and so on. */
const misnamed = [
  'nodejs_active_resources_total',
  'nodejs_active_handles_total',
  'nodejs_active_requests_total',
];

let own: Promise<Registry> | undefined;

/**
 * What the process tells of itself. Of all its servers one: the library follows the garbage collector from then on for good, and
 * so keeps the registry that it tells, with whatever else was in it.
 */
function processRegistry(): Promise<Registry> {
  own ??= import('prom-client').then(({ Registry, collectDefaultMetrics }) => {
    const registry = new Registry();
    collectDefaultMetrics({ register: registry });
    for (const name of misnamed) registry.removeSingleMetric(name);
    return registry;
  });
  return own;
}

export interface RenderedMetrics {
  readonly contentType: string;
  readonly text: string;
}

/** What `/metrics` answers: of the process, and then of the registry. */
export async function renderMetrics(registry: Registry): Promise<RenderedMetrics> {
  const ofProcess = await processRegistry();
  const texts = await Promise.all([ofProcess.metrics(), registry.metrics()]);
  return { contentType: registry.contentType, text: texts.join('') };
}
