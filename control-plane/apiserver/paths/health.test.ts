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

const listed = (...lines: readonly string[]): string => `${lines.join('\n')}\n`;
const hook = 'poststarthook/bootstrap-controller';

it.each([
  {
    path: '/livez?verbose',
    status: 200,
    text: listed('[+]ping ok', '[+]etcd ok', '[+]store-integrity ok', `[+]${hook} ok`, 'livez check passed'),
  },
  {
    path: '/readyz?verbose=true&exclude=etcd&exclude=y&exclude=x',
    status: 200,
    text: listed(
      '[+]ping ok',
      '[+]etcd excluded: ok',
      '[+]store-integrity ok',
      `[+]${hook} ok`,
      '[+]shutdown ok',
      'warn: some health checks cannot be excluded: no matches for "x","y"',
      'readyz check passed',
    ),
  },
  {
    path: '/healthz',
    given: { storeFailure: 'the disk is gone' },
    status: 500,
    text: listed(
      '[+]ping ok',
      '[-]etcd failed: reason withheld',
      '[+]store-integrity ok',
      `[+]${hook} ok`,
      'healthz check failed',
    ),
  },
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
