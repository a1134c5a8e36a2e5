/** What a kubelet answers by POST besides streams: /run, and /checkpoint, which no runtime of ours makes. */
import type { Readable } from 'node:stream';
import { describeError } from '#base/errors.ts';
import type { Runtime } from '#agent/runtime/runtime.ts';
import { containersOf } from '#agent/kubelet/sync/pod-input.ts';
import { findPod, findRunning, isProblem, type ContainerSearch, type HttpProblem } from './find-container.ts';

/** Of all that a command says; more is read, and left out (as ExecSync of CRI). */
const outputBytesMax = 16 * 1024 * 1024;

export interface RunPorts extends ContainerSearch {
  readonly runtime: Runtime;
}

/** `/run/NS/POD[/UID]/CONTAINER?cmd=…`: what the words of `cmd` say, first on stdout, then on stderr (getRun of pkg/kubelet/server). */
export async function serveRun(
  [namespace = '', pod = '', ...rest]: readonly string[],
  query: URLSearchParams,
  { ports, signal }: { readonly ports: RunPorts; readonly signal: AbortSignal },
): Promise<Buffer | HttpProblem> {
  const container = rest.at(-1) ?? '';
  const uid = rest.length > 1 ? rest[0] : undefined;
  const found = findPod(ports, { namespace, pod, uid: undefined }, 'pod does not exist');
  if (isProblem(found)) return found;
  const target = findRunning(ports, { namespace, pod, uid, container }, 'exec');
  if (isProblem(target)) return target;
  const args = (query.get('cmd') ?? '').split(' ');
  try {
    const request = { args, stdin: false, tty: false };
    const session = await ports.runtime.exec(target.podUid, target.containerId, request, signal);
    await using streams = session.streams;

    const [stdout, stderr, exitCode] = await Promise.all([
      collect(streams.stdout),
      collect(streams.stderr),
      session.exitCode,
    ]);
    if (exitCode === 0) return Buffer.concat([stdout, stderr]);
    const message = `command '${args.join(' ')}' exited with ${exitCode}: ${stderr.toString()}`;
    return { status: 500, message };
  } catch (error) {
    return { status: 500, message: describeError(error) };
  }
}

async function collect(stream: Readable | undefined): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let room = outputBytesMax;
  for await (const chunk of stream ?? []) {
    const bytes: Buffer = chunk;
    if (room > 0) chunks.push(bytes.subarray(0, room));
    room -= Math.min(room, bytes.length);
  }
  return Buffer.concat(chunks);
}

/** `/checkpoint/NS/POD/CONTAINER`: why there is none. */
export function refuseCheckpoint(
  [namespace = '', pod = '', container = '']: readonly string[],
  search: ContainerSearch,
): HttpProblem {
  const found = findPod(search, { namespace, pod, uid: undefined }, 'pod does not exist');
  if (isProblem(found)) return found;
  if (!containersOf(found).some(({ spec }) => spec.name === container))
    return { status: 404, message: `container ${container} does not exist` };
  const why = 'this runtime makes no checkpoints';
  return { status: 500, message: `checkpointing of ${namespace}/${pod}/${container} failed (${why})` };
}
