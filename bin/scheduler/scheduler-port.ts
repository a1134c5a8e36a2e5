/** The port where a kube-scheduler is looked for: what the scheduler of this process does, and by what configuration. */
import type { JsonObject } from '#api/meta/object.ts';
import type { PortAnswer, PortPaths } from '#control-plane/apiserver/paths/port-paths.ts';
import { textResponse } from '#control-plane/apiserver/serve/respond.ts';
import { createPortMetrics, programMetrics } from '#control-plane/controllers/metrics/port-metrics.ts';
import type {
  ProfileSettings,
  SchedulerSettings,
} from '#control-plane/scheduler/config/scheduler-configuration.ts';
import type { SchedulerMetrics } from '#control-plane/scheduler/metrics/scheduler-metrics.ts';
import { healthPaths, metricsPath } from '#bin/program/manager-port.ts';

export function schedulerPaths({
  metrics,
  settings,
  isLeading,
}: {
  readonly metrics: SchedulerMetrics;
  readonly settings: SchedulerSettings;
  readonly isLeading: () => boolean;
}): PortPaths {
  const told = createPortMetrics(() => [...metrics.metrics, ...programMetrics('kube-scheduler', isLeading)]);
  return new Map<string, PortAnswer>([
    ...healthPaths(),
    metricsPath(told),
    [
      '/configz',
      () =>
        textResponse(200, JSON.stringify({ componentconfig: renderSettings(settings) }), 'application/json'),
    ],
  ]);
}

/** What it goes by, in the fields of a KubeSchedulerConfiguration; extenders without their keys. Pure. */
export function renderSettings(settings: SchedulerSettings): JsonObject {
  return {
    apiVersion: 'kubescheduler.config.k8s.io/v1',
    kind: 'KubeSchedulerConfiguration',
    podInitialBackoffSeconds: settings.podInitialBackoffMs / 1000,
    podMaxBackoffSeconds: settings.podMaxBackoffMs / 1000,
    profiles: settings.profiles.map(renderProfile),
    extenders: settings.extenders.map(({ urlPrefix, filterVerb, prioritizeVerb, bindVerb, ...extender }) => ({
      ...{ urlPrefix, filterVerb, prioritizeVerb, bindVerb, preemptVerb: extender.preemptVerb },
      ...{ weight: extender.weight, httpTimeout: `${extender.httpTimeoutMs / 1000}s` },
      ...{ nodeCacheCapable: extender.nodeCacheCapable, ignorable: extender.ignorable },
    })),
  };
}

function renderProfile({ schedulerName, percentageOfNodesToScore, plugins }: ProfileSettings): JsonObject {
  const enabled = Object.entries(plugins).map(
    ([point, list]) =>
      [
        point,
        { enabled: list.map(({ name, weight }) => ({ name, ...(weight === 0 ? {} : { weight }) })) },
      ] as const,
  );
  return { schedulerName, percentageOfNodesToScore, plugins: Object.fromEntries(enabled) };
}
