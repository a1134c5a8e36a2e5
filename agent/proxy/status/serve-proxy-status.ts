import type { Clock } from '#base/clock.ts';
import type { Logger } from '#base/log.ts';
import { renderFlags, renderStatus } from '#api/config/z-pages.ts';
import type { JsonObject } from '#api/meta/object.ts';
import type { BindAddress } from '#agent/proxy/config/proxy-configuration.ts';
import type { HealthAnswer } from '#agent/proxy/health-answers.ts';
import { renderAsked } from '#agent/node/asked-metrics.ts';
import { readProcess, renderProcess } from '#agent/node/process-metrics.ts';
import type { RequestsAsked } from '#client/requests/requests-asked.ts';
import { createHealthServer } from '#agent/proxy/health-server.ts';
import type { ProxyMode } from '#agent/proxy/service-rules.ts';
import type { ProxyCounts } from './proxy-counts.ts';

export interface ProxyStatus {
  readonly at: BindAddress;
  readonly mode: ProxyMode;
  /** What the file said. */
  readonly configuration: JsonObject;
  readonly counts: ProxyCounts;
  /** What it asked of the API server. */
  readonly asked: RequestsAsked;
  readonly clock: Clock;
  readonly log: Logger;
}

const component = 'kube-proxy';
const plain = { 'Content-Type': 'text/plain; charset=utf-8' };
const ok = (body: string, headers: HealthAnswer['headers'] = plain): HealthAnswer => ({
  status: 200,
  headers,
  body,
});

/** By path. */
const answers: Readonly<Record<string, (status: ProxyStatus) => HealthAnswer>> = {
  '/healthz': () => ok('ok'),
  '/livez': () => ok('ok'),
  '/proxyMode': ({ mode }) => ok(mode),
  '/metrics': ({ counts, mode, asked, clock }) =>
    ok([...renderProcess(readProcess(clock.now())), renderAsked(asked) + counts.render(mode)].join('\n'), {
      'Content-Type': 'text/plain; version=0.0.4; charset=utf-8',
    }),
  '/configz': ({ configuration, mode }) =>
    ok(JSON.stringify({ 'kubeproxy.config.k8s.io': { ...configuration, mode } }), {
      'Content-Type': 'application/json',
    }),
  '/statusz': ({ clock }) =>
    ok(renderStatus({ component, nowMs: clock.now(), upSeconds: process.uptime(), paths: paths() }, 'text')),
  '/flagz': ({ mode }) => ok(renderFlags(component, { 'proxy-mode': mode }, 'text')),
};

const paths = (): readonly string[] => Object.keys(answers);

/** What kube-proxy's port of metrics answers. Pure but for the time that /statusz tells. */
export function answerProxyStatus(path: string, status: ProxyStatus): HealthAnswer {
  return answers[path]?.(status) ?? { status: 404, headers: plain, body: '404 page not found\n' };
}

/** kube-proxy's port of metrics: on loopback, unless the file says another address. */
export function serveProxyStatus(status: ProxyStatus): AsyncDisposable {
  const { at, clock, log } = status;
  return createHealthServer({
    host: at.host === '' ? '::' : at.host,
    node: { port: at.port, answer: (path) => answerProxyStatus(path, status) },
    isHealthy: () => true,
    clock,
    log,
  });
}
