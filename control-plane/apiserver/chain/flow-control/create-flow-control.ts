import type { Clock } from '#base/clock.ts';
import type { MirrorParts } from '#control-plane/apiserver/objects/mirror.ts';
import type { ServerContext } from '#control-plane/apiserver/server-context.ts';
import type { ReadMetric } from '#control-plane/apiserver/serve/read-metric.ts';
import { FairShares, type FlowControl } from './flow-control.ts';
import { flowMetrics } from './flow-metrics.ts';
import { followFlowControl, keepBorrowing, keepFlowControl } from './keep-flow-control.ts';
import { ObjectCounts } from './object-counts.ts';
import { PlainLimits } from './plain-limits.ts';
import { StreamedSeats } from './seat.ts';
import { SharedSeats } from './shared-seats.ts';

/** How many requests a server works on at once. */
export interface FlowControlOptions {
  /** `--enable-priority-and-fairness`: requests wait for each other, and the two numbers together are the seats. */
  readonly isFair: boolean;
  /** `--max-requests-inflight`: of those that only read. */
  readonly maxRequestsInflight: number;
  readonly maxMutatingRequestsInflight: number;
}

/** Those of a kube-apiserver. */
const defaultFlowControl: FlowControlOptions = {
  isFair: true,
  maxRequestsInflight: 400,
  maxMutatingRequestsInflight: 200,
};

/** What a server does of it. */
export interface RunningFlowControl extends Disposable {
  readonly control: FlowControl;
  readonly metrics: readonly ReadMetric[];
  /** Makes what every cluster has, and keeps it from then on. */
  keep(context: ServerContext): Promise<Disposable>;
}

/** Resolves when it goes by what is stored. */
export async function createFlowControl(
  options: FlowControlOptions | undefined,
  parts: MirrorParts & { readonly clock: Clock },
): Promise<RunningFlowControl> {
  const { isFair, maxRequestsInflight, maxMutatingRequestsInflight } = options ?? defaultFlowControl;
  const { clock, registry } = parts;
  const streamed = new StreamedSeats(clock);
  if (!isFair) {
    const limit = { readOnly: maxRequestsInflight, mutating: maxMutatingRequestsInflight };
    return {
      control: new PlainLimits(limit, streamed),
      metrics: [],
      keep: async () => new DisposableStack(),
      [Symbol.dispose]: () => {},
    };
  }
  using stack = new DisposableStack();
  const shared = stack.use(new SharedSeats(maxRequestsInflight + maxMutatingRequestsInflight, clock));
  const { stored, following } = await followFlowControl(parts, shared);
  stack.use(following);
  stack.use(keepBorrowing(shared, clock));
  const control = new FairShares({ shared, clock, objects: new ObjectCounts(registry, clock), streamed });
  const owned = stack.move();
  return {
    control,
    metrics: flowMetrics({ shares: control, shared, clock }),
    keep: (context) => keepFlowControl(context, stored),
    [Symbol.dispose]: () => owned.dispose(),
  };
}
