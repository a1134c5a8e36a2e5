import type { Store } from '#control-plane/store/store.ts';
import type { Aggregation } from './aggregation/aggregation.ts';
import { aggregationMetrics } from './aggregation/aggregation-metrics.ts';
import { auditMetrics } from './chain/audit/audit-metrics.ts';
import type { Audit } from './chain/audit/audit.ts';
import type { ServerAuthentication } from './chain/authn/server-authentication.ts';
import type { RunningFlowControl } from './chain/flow-control/create-flow-control.ts';
import type { InFlight } from './chain/in-flight.ts';
import type { ReloadCounts } from './configuration/reload-counts.ts';
import { RequestMetrics, type MetricSource } from './serve/metrics.ts';
import type { ReadMetric } from './serve/read-metric.ts';

/** All that is told at /metrics. */
export function metricsOf(
  store: Store,
  {
    inFlight,
    flow,
    audit,
    known,
    authorizer,
    ofFacts,
    aggregation,
    sources,
    others,
  }: {
    readonly inFlight: InFlight;
    readonly flow: RunningFlowControl;
    readonly audit: Audit | undefined;
    readonly known: ServerAuthentication;
    readonly authorizer: { readonly reloads?: ReloadCounts };
    readonly ofFacts: readonly ReadMetric[];
    readonly aggregation: Aggregation;
    readonly sources: readonly MetricSource[];
    /** Of other parts of the process. */
    readonly others: readonly ReadMetric[];
  },
): RequestMetrics {
  return new RequestMetrics({
    revision: () => store.revision,
    inFlight: () => inFlight.taken(),
    read: [
      ...flow.metrics,
      ...known.counts.metrics,
      ...[known.reloads, authorizer.reloads].flatMap((reloads) => reloads?.metrics ?? []),
      ...ofFacts,
      ...aggregationMetrics(aggregation),
      ...others,
    ],
    sources: [...sources, ...(audit === undefined ? [] : [auditMetrics(audit)])],
  });
}
