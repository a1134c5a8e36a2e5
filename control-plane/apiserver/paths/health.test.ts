import { expect, it } from 'vitest';
import { answerHealth, HealthIndicators, healthPaths, type ServerHealth } from './health.ts';

const healthy: ServerHealth = {
  storeFailure: undefined,
  storeDamage: undefined,
  kms: undefined,
  isBootstrapped: true,
  isClosing: false,
};
const ask = (path: string, change: Partial<ServerHealth> = {}) => {
  const { pathname, searchParams } = new URL(path, 'https://server');
  return answerHealth(pathname, searchParams, { ...healthy, ...change });
};

it.each(healthPaths)('answerHealth() says ok at %s', (path) => {
  expect(ask(path)).toEqual({ status: 200, text: 'ok' });
});

/** The lines about what was not begun at the start, and the last. */
const shown = (text: string): readonly string[] =>
  text.split('\n').filter((line) => line !== '' && (!line.includes('poststarthook/') || line.includes(hook)));
/** `/livez?verbose` of a kube-apiserver 1.36. */
const livezOf136: readonly string[] = [
  'ping',
  'log',
  'loopback-serving-certificate',
  'etcd',
  'poststarthook/start-apiserver-admission-initializer',
  'poststarthook/generic-apiserver-start-informers',
  'poststarthook/priority-and-fairness-config-consumer',
  'poststarthook/priority-and-fairness-filter',
  'poststarthook/storage-object-count-tracker-hook',
  'poststarthook/start-apiextensions-informers',
  'poststarthook/start-apiextensions-controllers',
  'poststarthook/crd-informer-synced',
  'poststarthook/start-system-namespaces-controller',
  'poststarthook/peer-endpoint-reconciler-controller',
  'poststarthook/start-cluster-authentication-info-controller',
  'poststarthook/start-kube-apiserver-identity-lease-controller',
  'poststarthook/start-kube-apiserver-identity-lease-garbage-collector',
  'poststarthook/storage-readiness',
  'poststarthook/start-legacy-token-tracking-controller',
  'poststarthook/start-service-ip-repair-controllers',
  'poststarthook/rbac/bootstrap-roles',
  'poststarthook/scheduling/bootstrap-system-priority-classes',
  'poststarthook/priority-and-fairness-config-producer',
  'poststarthook/bootstrap-controller',
  'poststarthook/start-kubernetes-service-cidr-controller',
  'poststarthook/aggregator-reload-proxy-client-cert',
  'poststarthook/start-kube-aggregator-informers',
  'poststarthook/apiservice-status-local-available-controller',
  'poststarthook/apiservice-status-remote-available-controller',
  'poststarthook/apiservice-registration-controller',
  'poststarthook/apiservice-wait-for-first-sync',
  'poststarthook/apiservice-discovery-controller',
  'poststarthook/kube-apiserver-autoregistration',
  'autoregister-completion',
  'poststarthook/apiservice-openapi-controller',
  'poststarthook/apiservice-openapiv3-controller',
];
const hook = 'poststarthook/bootstrap-controller';

it.each([
  {
    path: '/livez?verbose',
    status: 200,
    lines: [
      '[+]ping ok',
      '[+]log ok',
      '[+]loopback-serving-certificate ok',
      '[+]etcd ok',
      '[+]store-integrity ok',
      `[+]${hook} ok`,
      '[+]autoregister-completion ok',
      'livez check passed',
    ],
  },
  {
    path: '/readyz?verbose=true&exclude=etcd&exclude=y&exclude=x',
    status: 200,
    lines: [
      '[+]ping ok',
      '[+]log ok',
      '[+]etcd excluded: ok',
      '[+]store-integrity ok',
      '[+]informer-sync ok',
      `[+]${hook} ok`,
      '[+]autoregister-completion ok',
      '[+]shutdown ok',
      'warn: some health checks cannot be excluded: no matches for "x","y"',
      'readyz check passed',
    ],
  },
  {
    path: '/healthz',
    given: { storeFailure: 'the disk is gone' },
    status: 500,
    lines: [
      '[+]ping ok',
      '[+]log ok',
      '[+]loopback-serving-certificate ok',
      '[-]etcd failed: reason withheld',
      '[+]store-integrity ok',
      `[+]${hook} ok`,
      '[+]autoregister-completion ok',
      'healthz check failed',
    ],
  },
])('answerHealth() of $path with $given lists each', ({ path, given, status, lines }) => {
  const answer = ask(path, given);
  expect([answer.status, ...shown(answer.text)]).toEqual([status, ...lines]);
});

it('answerHealth() names what a kube-apiserver has begun, in its order', () => {
  const names = ask('/livez?verbose')
    .text.split('\n')
    .flatMap((line) => /^\[\+\](\S+) ok$/.exec(line)?.[1] ?? []);
  const own = ['store-integrity'];
  expect(names.filter((name) => !own.includes(name))).toEqual(livezOf136);
  expect(ask('/livez/poststarthook/rbac/bootstrap-roles', { isBootstrapped: false }).status).toBe(500);
  expect(ask('/livez/poststarthook/crd-informer-synced', { isBootstrapped: false }).status).toBe(200);
});

it.each([
  {
    path: '/healthz/etcd',
    given: { storeFailure: 'the disk is gone' },
    status: 500,
    text: 'internal server error: the disk is gone\n',
  },
  {
    path: '/readyz/store-integrity',
    given: { storeDamage: 'row 3 is missing' },
    status: 500,
    text: 'internal server error: row 3 is missing\n',
  },
  { path: '/healthz?exclude=etcd', given: { storeFailure: 'x' }, status: 200, text: 'ok' },
  {
    path: `/readyz/${hook}`,
    given: { isBootstrapped: false },
    status: 500,
    text: 'internal server error: not finished\n',
  },
  {
    path: '/readyz/shutdown',
    given: { isClosing: true },
    status: 500,
    text: 'internal server error: process is shutting down\n',
  },
  { path: '/livez', given: { isClosing: true }, status: 200, text: 'ok' },
])('answerHealth() of $path with $given', ({ path, given, status, text }) => {
  expect(ask(path, given)).toEqual({ status, text });
});

it('HealthIndicators tell of each check, and count what was found', () => {
  const own = new HealthIndicators();
  own.render(healthy);
  const lines = own.render({ ...healthy, storeFailure: 'full' }).split('\n');
  for (const line of [
    'kubernetes_healthcheck{name="ping",type="livez"} 1',
    'kubernetes_healthcheck{name="etcd",type="readyz"} 0',
    'kubernetes_healthchecks_total{name="ping",status="success",type="healthz"} 2',
    'kubernetes_healthchecks_total{name="etcd",status="success",type="readyz"} 1',
    'kubernetes_healthchecks_total{name="etcd",status="error",type="readyz"} 1',
  ])
    expect(lines).toContain(line);
});
