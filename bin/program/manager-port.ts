/** The port where a kube-controller-manager is looked for: what its loops do, for Prometheus. */
import type { Clock } from '#base/clock.ts';
import { createManagerMetrics } from '#control-plane/controllers/metrics/manager-metrics.ts';
import { LoopCounts } from '#control-plane/controllers/metrics/loop-counts.ts';
import { loopMetrics } from '#control-plane/controllers/metrics/loop-metrics.ts';
import { VolumeLoopCounts } from '#control-plane/controllers/metrics/volume-counts.ts';
import { volumeMetrics } from '#control-plane/controllers/metrics/volume-metrics.ts';
import type { RenderedMetrics } from '#control-plane/apiserver/serve/process-metrics.ts';
import { metricsOfRequests } from '#control-plane/controllers/metrics/count-requests.ts';
import type { Informers } from '#client/informers.ts';
import { RequestsAsked } from '#client/requests/requests-asked.ts';
import type { PortAnswer, PortPaths } from '#control-plane/apiserver/paths/port-paths.ts';
import { textResponse } from '#control-plane/apiserver/serve/respond.ts';

/** What is known of the loops of this server; written by who runs them. */
export interface ManagerState {
  readonly requests: RequestsAsked;
  readonly volumeCounts: VolumeLoopCounts;
  readonly loopCounts: LoopCounts;
  /** Names of loops that run; none while another server leads. */
  running: readonly string[];
  /** The caches of those that run; undefined while another server leads. */
  informers: Informers | undefined;
  readonly paths: PortPaths;
}

const prometheus = 'text/plain; version=0.0.4; charset=utf-8';

/** @param host of the API server that loops ask */
export function createManagerState(host: string, clock: Clock): ManagerState {
  const requests = new RequestsAsked(host, clock);
  const [volumeCounts, loopCounts] = [new VolumeLoopCounts(clock), new LoopCounts()];
  const running = (): readonly string[] => state.running;
  const isLeading = (): boolean => running().length > 0;
  const render = createManagerMetrics({
    ...{ running, isLeading },
    metrics: [
      ...volumeMetrics({ counts: volumeCounts, running, informers: () => state.informers }),
      ...loopMetrics({ counts: loopCounts, running, informers: () => state.informers }),
      ...metricsOfRequests(requests),
    ],
  });
  const paths: PortPaths = new Map<string, PortAnswer>([...healthPaths(), metricsPath(render)]);
  const state: ManagerState = {
    requests,
    volumeCounts,
    loopCounts,
    running: [],
    informers: undefined,
    paths,
  };
  return state;
}

type Path = readonly [path: string, answer: PortAnswer];

/** Of a program that leads, or waits for its turn: both are well. */
export function healthPaths(): readonly Path[] {
  let looks = 0;
  const health: PortAnswer = () => textResponse(200, 'ok');
  return [
    ...['/healthz', '/livez', '/readyz', '/healthz/leaderElection'].map((path) => [path, health] as const),
    ['/metrics/slis', () => textResponse(200, renderIndicators(++looks), prometheus)],
  ];
}

export function metricsPath(render: () => Promise<RenderedMetrics>): Path {
  return [
    '/metrics',
    async () => {
      const { contentType, text } = await render();
      return textResponse(200, text, contentType);
    },
  ];
}

/** component-base/metrics/prometheus/slis. A server that could not lead in time has ended. Pure. */
export function renderIndicators(looks: number): string {
  const labels = 'name="leaderElection"';
  return [
    '# HELP kubernetes_healthcheck [STABLE] This metric records the result of a single healthcheck.',
    '# TYPE kubernetes_healthcheck gauge',
    `kubernetes_healthcheck{${labels},type="healthz"} 1`,
    '# HELP kubernetes_healthchecks_total [STABLE] This metric records the results of all healthcheck.',
    '# TYPE kubernetes_healthchecks_total counter',
    `kubernetes_healthchecks_total{${labels},status="success",type="healthz"} ${looks}`,
    '',
  ].join('\n');
}
