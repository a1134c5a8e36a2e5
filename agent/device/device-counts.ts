/** What became of devices since the agent began, for /metrics. */
import { SecondsHistogram, shortBucketsSeconds } from '#agent/kubelet/stats/seconds-histogram.ts';

/** Values of a label that a plugin or driver brings: beyond, they are counted as one. */
export const labelValuesMax = 256;
const others = 'others';

export class DeviceCounts {
  /** By resource. */
  readonly registrations: Map<string, number> = new Map();
  readonly allocations: Map<string, SecondsHistogram> = new Map();
  /** Of pods: `OPERATION IS_ERROR`. */
  readonly claimOperations: Map<string, SecondsHistogram> = new Map();
  /** `DRIVER METHOD STATUS` of calls. */
  readonly driverCalls: Map<string, SecondsHistogram> = new Map();
  /** `requests_list`, `errors_get` and their like. */
  readonly podResources: Map<string, number> = new Map();

  count(counts: Map<string, number>, key: string): void {
    const own = labelOf(counts, key);
    counts.set(own, (counts.get(own) ?? 0) + 1);
  }

  observe(histograms: Map<string, SecondsHistogram>, key: string, seconds: number): void {
    const own = labelOf(histograms, key);
    const histogram = histograms.get(own) ?? new SecondsHistogram(shortBucketsSeconds);
    histograms.set(own, histogram);
    histogram.observe(seconds);
  }
}

function labelOf(known: ReadonlyMap<string, unknown>, key: string): string {
  return known.has(key) || known.size < labelValuesMax ? key : others;
}

/** How long a call took, and how it ended. */
export async function timed<T>(
  work: () => Promise<T>,
  monotonic: () => number,
  tell: (seconds: number, error: unknown) => void,
): Promise<T> {
  const startMs = monotonic();
  try {
    const value = await work();
    tell((monotonic() - startMs) / 1000, undefined);
    return value;
  } catch (error) {
    tell((monotonic() - startMs) / 1000, error);
    throw error;
  }
}
