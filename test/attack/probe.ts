/** Asks for /livez on a connection of its own, in a thread of its own; what it found is in shared memory. */
import { Agent, get } from 'node:https';
import { performance } from 'node:perf_hooks';
import { workerData } from 'node:worker_threads';

interface ProbeData {
  readonly url: string;
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
  /** Doubles: the slowest answer in milliseconds, the failures, when (by Date.now) that was asked which waits now. */
  readonly told: SharedArrayBuffer;
}

const { url, ca, cert, key, told } = workerData as ProbeData;
const agent = new Agent({ keepAlive: true, ca, cert, key });
const figures = new Float64Array(told);

function ask(): void {
  const startMs = performance.now();
  figures[2] = Date.now();
  const end = (hasFailed: boolean): void => {
    figures[0] = Math.max(figures[0] ?? 0, performance.now() - startMs);
    figures[2] = 0;
    if (hasFailed) figures[1] = (figures[1] ?? 0) + 1;
    setTimeout(ask, 20);
  };
  get(`${url}/livez`, { agent }, (response) => {
    response.resume();
    response.once('end', () => end(response.statusCode !== 200));
  }).once('error', () => end(true));
}

ask();
