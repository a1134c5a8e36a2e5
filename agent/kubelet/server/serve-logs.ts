import type { ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Clock } from '#base/clock.ts';
import type { ContainerStatus, Pod } from '#api/generated/objects.ts';
import { parseTime } from '#api/meta/time.ts';
import { queryBoolean, queryInteger } from '#api/wire/query.ts';
import { readLogs } from '#agent/runtime/logs/read-logs.ts';
import { containersOf } from '#agent/kubelet/sync/pod-input.ts';
import { podPaths, type KubeletDirectories } from '#agent/kubelet/pod-paths.ts';
import {
  findPod,
  isProblem,
  previousRun,
  runsOf,
  type ContainerName,
  type ContainerSearch,
  type HttpProblem,
} from './find-container.ts';

export interface LogPorts extends ContainerSearch {
  readonly clock: Clock;
  readonly directories: KubeletDirectories;
}

/** Those who follow logs of this node, for their number. */
export type LogFollowers = Set<ServerResponse>;

/** Each has a connection, a file and a timer. */
export const followersMax = 1024;

/** What `kubectl logs` asks for, checked. */
export interface LogCall {
  readonly pod: Pod;
  readonly container: string;
  readonly path: string;
  /** The run whose log it is; undefined: a run whose record is gone, so that there is nothing to follow. */
  readonly runId: string | undefined;
  readonly follow: boolean;
  readonly timestamps: boolean;
  readonly tailLines: number | undefined;
  readonly limitBytes: number | undefined;
  readonly sinceTimeMs: number | undefined;
  readonly stream: 'stdout' | 'stderr' | undefined;
}

/** Finds the log of `/containerLogs/NS/POD/CONTAINER?…`, or says why not. */
export function parseLogCall(
  name: ContainerName,
  query: URLSearchParams,
  ports: LogPorts,
): LogCall | HttpProblem {
  const numbers = parseNumbers(query, ports.clock.now());
  if (isProblem(numbers)) return numbers;
  const pod = findPod(ports, name);
  if (isProblem(pod)) return pod;
  const { container } = name;
  if (!containersOf(pod).some(({ spec }) => spec.name === container)) {
    return { status: 404, message: `container "${container}" not found in pod "${name.pod}"` };
  }
  const isSet = (key: string): boolean => queryBoolean(query, key) === true;
  const runs = runsOf(ports.runtime, pod.metadata?.uid ?? '', container);
  const run = isSet('previous') ? previousRun(runs, statusOf(pod, container)) : runs.at(-1);
  if (run === undefined) {
    const kind = isSet('previous') ? 'previous terminated container' : 'container';
    return isSet('previous')
      ? { status: 400, message: `${kind} "${container}" in pod "${name.pod}" not found` }
      : { status: 400, message: waitingMessage(pod, container, name.pod) };
  }
  const path = run.logPath ?? podPaths(pod, ports.directories).log(container, run.attempt);
  return {
    pod,
    container,
    path,
    runId: run.id,
    follow: isSet('follow'),
    timestamps: isSet('timestamps'),
    ...numbers,
  };
}

function statusOf({ status }: Pod, container: string): ContainerStatus | undefined {
  return [
    ...(status?.initContainerStatuses ?? []),
    ...(status?.containerStatuses ?? []),
    ...(status?.ephemeralContainerStatuses ?? []),
  ].find(({ name }) => name === container);
}

function waitingMessage(pod: Pod, container: string, podName: string): string {
  const reason = statusOf(pod, container)?.state?.waiting?.reason ?? 'ContainerCreating';
  const detail: Readonly<Record<string, string>> = {
    ErrImagePull: "image can't be pulled",
    ImagePullBackOff: 'trying and failing to pull image',
  };
  return `container "${container}" in pod "${podName}" is waiting to start: ${detail[reason] ?? reason}`;
}

type LogNumbers = Pick<LogCall, 'tailLines' | 'limitBytes' | 'sinceTimeMs' | 'stream'>;

const streams: Readonly<Record<string, LogCall['stream']>> = {
  All: undefined,
  Stdout: 'stdout',
  Stderr: 'stderr',
};

/** In the kubelet's words, which are JSON (getContainerLogs of pkg/kubelet/server). */
const undecodable: HttpProblem = { status: 400, message: '{"message": "Unable to decode query."}' };
const invalid: HttpProblem = { status: 422, message: '{"message": "Invalid request."}' };

/** `tail` is what older clients say instead of `tailLines`; `all` of them is none. */
function parseNumbers(query: URLSearchParams, now: number): LogNumbers | HttpProblem {
  const named = new URLSearchParams(query);
  const tail = query.get('tail') ?? '';
  if (tail === 'all') named.delete('tailLines');
  else if (tail !== '') named.set('tailLines', tail);
  try {
    const [tailLines, limitBytes, sinceSeconds] = ['tailLines', 'limitBytes', 'sinceSeconds'].map((key) =>
      queryInteger(named, key),
    );
    const sinceTime = query.get('sinceTime') ?? '';
    const at = ['', 'null'].includes(sinceTime) ? undefined : parseTime(sinceTime);
    const isTwice = sinceSeconds !== undefined && at !== undefined;
    const isLess = (value: number | undefined, least: number): boolean =>
      value !== undefined && value < least;
    if (isTwice || isLess(tailLines, 0) || isLess(limitBytes, 1) || isLess(sinceSeconds, 1)) return invalid;
    const asked = query.get('stream') ?? 'All';
    if (!Object.hasOwn(streams, asked) || (asked !== 'All' && tailLines !== undefined)) return invalid;
    const sinceTimeMs = sinceSeconds === undefined ? at : now - sinceSeconds * 1000;
    return { tailLines, limitBytes, sinceTimeMs, stream: streams[asked] };
  } catch {
    return undecodable;
  }
}

/** Sends the log; with `follow` until the container has ended or the client goes. */
export async function serveLogs(
  call: LogCall,
  response: ServerResponse,
  { runtime, clock, followers }: LogPorts & { readonly followers: LogFollowers },
): Promise<void> {
  const abort = new AbortController();
  response.once('close', () => {
    followers.delete(response);
    abort.abort(new DOMException('client gone', 'AbortError'));
  });
  if (call.follow) {
    if (followers.size >= followersMax) {
      response.writeHead(429, { 'content-type': 'text/plain; charset=utf-8' });
      response.end(
        `${followersMax} followers of logs on this node already; end some, or read without follow\n`,
      );
      return;
    }
    followers.add(response);
  }
  const uid = call.pod.metadata?.uid ?? '';
  const isRunning = (): boolean =>
    runtime.observe(uid)?.containers.some((run) => run.id === call.runId && run.state.state !== 'exited') ===
    true;
  response.writeHead(200, { 'content-type': 'text/plain; charset=utf-8' });
  response.flushHeaders(); // A follower of a quiet container wants to know that it is connected.
  const { follow, timestamps, tailLines, limitBytes, sinceTimeMs, stream } = call;
  const text = readLogs(
    call.path,
    {
      follow,
      timestamps,
      tailLines,
      limitBytes,
      sinceTimeMs,
      stream,
      isRunning,
      onEnd: (listener) => runtime.onChange((changed) => (changed === uid ? listener() : undefined)),
      clock,
    },
    abort.signal,
  );
  await pipeline(Readable.from(text, { objectMode: false }), response);
}
