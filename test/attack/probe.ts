/** Asks for /livez on a connection of its own, in a thread of its own; what it found is in shared memory.
 * Time is that of the server's processor: on a machine that does other things, too, an answer takes as long as those please. */
import { Agent, get } from 'node:https';
import { workerData } from 'node:worker_threads';
import { processorMs } from './processor-ms.ts';

interface ProbeData {
  readonly url: string;
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
  readonly pid: number;
  /** Doubles: the most that the server did during an answer, in ms; the failures; what it had done when that was asked which waits now. */
  readonly told: SharedArrayBuffer;
}

const { url, ca, cert, key, pid, told } = workerData as ProbeData;
const agent = new Agent({ keepAlive: true, ca, cert, key });
const figures = new Float64Array(told);

function ask(): void {
  const startMs = processorMs(pid);
  figures[2] = startMs;
  const end = (hasFailed: boolean): void => {
    figures[0] = Math.max(figures[0] ?? 0, processorMs(pid) - startMs);
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
