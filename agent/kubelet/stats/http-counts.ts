import { family, labels, type Sample } from './exposition.ts';
import { SecondsHistogram, shortBucketsSeconds } from './seconds-histogram.ts';
import { histogramLines } from './histogram-lines.ts';

/** Of others the label is `other`: clients make up paths and methods. */
const paths: ReadonlySet<string> = new Set([
  ...[
    'attach',
    'checkpoint',
    'configz',
    'containerLogs',
    'debug',
    'exec',
    'flagz',
    'healthz',
    'logs',
    'metrics',
  ],
  ...['metrics/cadvisor', 'metrics/probes', 'metrics/resource', 'pods', 'portForward', 'run', 'runningpods'],
  ...['stats', 'statusz'],
]);
const longRunning: ReadonlySet<string> = new Set(['attach', 'exec', 'portForward', 'debug']);
const methods: ReadonlySet<string> = new Set([
  'OPTIONS',
  'GET',
  'HEAD',
  'POST',
  'PUT',
  'DELETE',
  'TRACE',
  'CONNECT',
]);

interface Counted {
  total: number;
  inFlight: number;
  readonly seconds: SecondsHistogram;
}

/** What is asked of the kubelet's port, for /metrics: by method and by the first segments of the path (pkg/kubelet/server/metrics). */
export class HttpCounts {
  readonly #byLabels = new Map<string, Counted>();

  /** @param path its first two segments. @returns what is to be called when it has been answered; times are monotonic milliseconds */
  begin(method: string | undefined, path: string, beginMs: number): (endMs: number) => void {
    const one = this.#countedOf(method ?? '', path);
    one.total += 1;
    one.inFlight += 1;
    return (endMs) => {
      one.inFlight -= 1;
      one.seconds.observe((endMs - beginMs) / 1000);
    };
  }

  render(): string {
    const all = [...this.#byLabels];
    const samples = (read: (one: Counted) => number): readonly Sample[] =>
      all.map(([own, one]) => [labels(pairsOf(own)), read(one), undefined]);
    return [
      ...family(
        'kubelet_http_requests_total',
        { type: 'counter', help: '[ALPHA] Number of the http requests received since the server started' },
        samples((one) => one.total),
      ),
      ...family(
        'kubelet_http_inflight_requests',
        { type: 'gauge', help: '[ALPHA] Number of the inflight http requests' },
        samples((one) => one.inFlight),
      ),
      ...histogramLines(
        'kubelet_http_requests_duration_seconds',
        '[ALPHA] Duration in seconds to serve http requests',
        all.map(([own, one]) => ({ more: pairsOf(own), seconds: one.seconds })),
      ),
      '',
    ].join('\n');
  }

  #countedOf(method: string, path: string): Counted {
    const [first = ''] = path.split('/', 1);
    const known = paths.has(path) ? path : paths.has(first) ? first : 'other';
    const key = `${methods.has(method) ? method : 'other'} ${known}`;
    const found = this.#byLabels.get(key);
    if (found !== undefined) return found;
    const made = { total: 0, inFlight: 0, seconds: new SecondsHistogram(shortBucketsSeconds) };
    this.#byLabels.set(key, made);
    return made;
  }
}

function pairsOf(key: string): Readonly<Record<string, string>> {
  const [method = '', path = ''] = key.split(' ');
  return { long_running: String(longRunning.has(path)), method, path, server_type: 'readwrite' };
}
