/** What the server knows of itself. */
export interface ServerHealth {
  /** Why nothing can be stored: any more, or now. */
  readonly storeFailure: string | undefined;
  /** What of the store is not as it was written. */
  readonly storeDamage: string | undefined;
  /** Whether what every cluster has was made: system namespaces, the kubernetes Service. */
  readonly isBootstrapped: boolean;
  readonly isClosing: boolean;
  /** Whether keys are held by plugins, and why one of these does not serve. */
  readonly kms: { readonly failure: string | undefined } | undefined;
}

export interface HealthAnswer {
  readonly status: 200 | 500;
  readonly text: string;
}

interface HealthCheck {
  /** As kube-apiserver calls it, since clients exclude checks by name. */
  readonly name: string;
  /** Why it fails, or undefined. */
  readonly failureOf: (health: ServerHealth) => string | undefined;
  /** Whether it is among them at all; always without. */
  readonly isThere?: (health: ServerHealth) => boolean;
}

const good = (): undefined => undefined;
const bootFailure = ({ isBootstrapped }: ServerHealth): string | undefined =>
  isBootstrapped ? undefined : 'not finished';

/** What is made once, as the server starts, in the order in which kube-apiserver lists it. */
const made: ReadonlySet<string> = new Set([
  'start-system-namespaces-controller',
  'start-cluster-authentication-info-controller',
  'start-service-ip-repair-controllers',
  'rbac/bootstrap-roles',
  'scheduling/bootstrap-system-priority-classes',
  'priority-and-fairness-config-producer',
  'bootstrap-controller',
  'start-kubernetes-service-cidr-controller',
  'apiservice-registration-controller',
  'kube-apiserver-autoregistration',
]);

/**
 * What kube-apiserver 1.36 has begun before it is ready (`/livez?verbose`). Who asks for one by its name, or excludes it, finds it here: what
 * of it is no part of its own in this server is there once the server answers at all.
 */
const hooks: readonly string[] = [
  'start-apiserver-admission-initializer',
  'generic-apiserver-start-informers',
  'priority-and-fairness-config-consumer',
  'priority-and-fairness-filter',
  'storage-object-count-tracker-hook',
  'start-apiextensions-informers',
  'start-apiextensions-controllers',
  'crd-informer-synced',
  'start-system-namespaces-controller',
  'peer-endpoint-reconciler-controller',
  'start-cluster-authentication-info-controller',
  'start-kube-apiserver-identity-lease-controller',
  'start-kube-apiserver-identity-lease-garbage-collector',
  'storage-readiness',
  'start-legacy-token-tracking-controller',
  'start-service-ip-repair-controllers',
  'rbac/bootstrap-roles',
  'scheduling/bootstrap-system-priority-classes',
  'priority-and-fairness-config-producer',
  'bootstrap-controller',
  'start-kubernetes-service-cidr-controller',
  'aggregator-reload-proxy-client-cert',
  'start-kube-aggregator-informers',
  'apiservice-status-local-available-controller',
  'apiservice-status-remote-available-controller',
  'apiservice-registration-controller',
  'apiservice-wait-for-first-sync',
  'apiservice-discovery-controller',
  'kube-apiserver-autoregistration',
];
const laterHooks: readonly string[] = ['apiservice-openapi-controller', 'apiservice-openapiv3-controller'];

const hookCheck = (name: string): HealthCheck => ({
  name: `poststarthook/${name}`,
  failureOf: made.has(name) ? bootFailure : good,
});
const hookChecks: readonly HealthCheck[] = [
  ...hooks.map(hookCheck),
  { name: 'autoregister-completion', failureOf: bootFailure },
  ...laterHooks.map(hookCheck),
];

const first: readonly HealthCheck[] = [
  { name: 'ping', failureOf: good },
  { name: 'log', failureOf: good },
];
const stored: readonly HealthCheck[] = [
  { name: 'etcd', failureOf: ({ storeFailure }) => storeFailure },
  { name: 'store-integrity', failureOf: ({ storeDamage }) => storeDamage },
  {
    name: 'kms-providers',
    failureOf: ({ kms }) => kms?.failure,
    isThere: ({ kms }) => kms !== undefined,
  },
];
const checks: readonly HealthCheck[] = [
  ...first,
  { name: 'loopback-serving-certificate', failureOf: good },
  ...stored,
  ...hookChecks,
];
/** A server that goes is alive, but shall not get new requests. */
const shutdown: HealthCheck = {
  name: 'shutdown',
  failureOf: ({ isClosing }) => (isClosing ? 'process is shutting down' : undefined),
};

const endpoints: Readonly<Record<string, readonly HealthCheck[]>> = {
  healthz: checks,
  livez: checks,
  readyz: [...first, ...stored, { name: 'informer-sync', failureOf: good }, ...hookChecks, shutdown],
};

function thereOf(checks: readonly HealthCheck[], health: ServerHealth): readonly HealthCheck[] {
  return checks.filter(({ isThere }) => isThere === undefined || isThere(health));
}

/** /metrics/slis: whether each check passes now, and how often it did and did not when it was asked for here (KEP-3466). */
export class HealthIndicators {
  readonly #counts = new Map<string, number>();

  render(health: ServerHealth): string {
    const rows = Object.entries(endpoints).flatMap(([type, its]) =>
      thereOf(its, health).map(({ name, failureOf }) => ({
        name,
        type,
        isGood: failureOf(health) === undefined,
      })),
    );
    const gauges = rows.map(
      ({ name, type, isGood }) => `kubernetes_healthcheck{name="${name}",type="${type}"} ${isGood ? 1 : 0}`,
    );
    for (const { name, type, isGood } of rows) {
      const labels = `{name="${name}",status="${isGood ? 'success' : 'error'}",type="${type}"}`;
      this.#counts.set(labels, (this.#counts.get(labels) ?? 0) + 1);
    }
    const counters = [...this.#counts].map(
      ([labels, count]) => `kubernetes_healthchecks_total${labels} ${count}`,
    );
    return [
      '# HELP kubernetes_healthcheck [STABLE] This metric records the result of a single healthcheck.',
      '# TYPE kubernetes_healthcheck gauge',
      ...gauges,
      '# HELP kubernetes_healthchecks_total [STABLE] This metric records the results of all healthcheck.',
      '# TYPE kubernetes_healthchecks_total counter',
      ...counters,
      '',
    ].join('\n');
  }
}

/** `/readyz`, `/readyz/ping` and so on. */
export const healthPaths: readonly string[] = Object.entries(endpoints).flatMap(([endpoint, its]) => [
  `/${endpoint}`,
  ...its.map(({ name }) => `/${endpoint}/${name}`),
]);

/**
 * The answer at one of `healthPaths`, in the words of kube-apiserver (k8s.io/apiserver/pkg/server/healthz): one check says why it
 * fails; all together, which anybody may ask for, say which. `?verbose` lists them, `?exclude=NAME` leaves one out.
 */
export function answerHealth(path: string, query: URLSearchParams, health: ServerHealth): HealthAnswer {
  const [, endpoint = '', ...rest] = path.split('/');
  const its = thereOf(endpoints[endpoint] ?? [], health);
  const one = its.find(({ name }) => name === rest.join('/'));
  if (one === undefined) return answerAll(endpoint, query, { its, health });
  const failure = one.failureOf(health);
  if (failure === undefined) return { status: 200, text: 'ok' };
  return { status: 500, text: `internal server error: ${failure}\n` };
}

function answerAll(
  endpoint: string,
  query: URLSearchParams,
  { its, health }: { readonly its: readonly HealthCheck[]; readonly health: ServerHealth },
): HealthAnswer {
  const excluded = new Set(query.getAll('exclude'));
  const failed = its.filter(({ name, failureOf }) => !excluded.has(name) && failureOf(health) !== undefined);
  const lines = its.map((check) => {
    if (excluded.has(check.name)) return `[+]${check.name} excluded: ok`;
    return failed.includes(check) ? `[-]${check.name} failed: reason withheld` : `[+]${check.name} ok`;
  });
  const unknown = [...excluded].filter((excludedName) => its.every(({ name }) => name !== excludedName));
  if (unknown.length > 0) {
    const names = unknown.toSorted().map((name) => JSON.stringify(name));
    lines.push(`warn: some health checks cannot be excluded: no matches for ${names.join(',')}`);
  }
  const render = (verdict: string): string => `${[...lines, `${endpoint} check ${verdict}`].join('\n')}\n`;
  if (failed.length > 0) return { status: 500, text: render('failed') };
  return { status: 200, text: query.has('verbose') ? render('passed') : 'ok' };
}
