/** RuntimeService of what is done in a container that runs: ExecSync, Exec, Attach, PortForward. */
import type { Readable } from 'node:stream';
import { refusal } from '#proto/status.ts';
import type { StreamRequest } from '#agent/kubelet/server/channels.ts';
import { containerOf, mustRun, sandboxOf, type CriContext, type RuntimeHandlers } from './context.ts';
import type { ContainerView } from './views.ts';

/** Of each of its streams; more is read, and left out (containerd's limit, and what a client takes of one message). */
const outputBytesMax = 7 * 1024 * 1024;

export function commandHandlers(context: CriContext): RuntimeHandlers {
  const { streams } = context;
  const running = (id: string): ContainerView => {
    const view = containerOf(context, id);
    mustRun(view);
    return view;
  };
  return {
    ExecSync: ({ container_id: id, cmd, timeout }, { signal }) => {
      const view = running(id);
      checkCommand(cmd);
      return execSync(context, { view, args: cmd, timeoutSeconds: timeout }, signal);
    },
    Exec: ({ container_id: id, cmd, ...asked }) => {
      const { uid: podUid, id: containerId } = running(id);
      checkCommand(cmd);
      const request = streamsOf(asked);
      return { url: streams.urlOf({ kind: 'exec', target: { podUid, containerId }, args: cmd, request }) };
    },
    Attach: ({ container_id: id, ...asked }) => {
      const { uid: podUid, id: containerId, record } = running(id);
      const { stdinOnce = false, tty = false } = record?.launch.stdio ?? {};
      const target = { podUid, containerId, keepsStdin: !stdinOnce || tty };
      return { url: streams.urlOf({ kind: 'attach', target, request: streamsOf(asked) }) };
    },
    PortForward: ({ pod_sandbox_id: id, port: ports }) => {
      const view = sandboxOf(context, id);
      if (!view.isReady)
        throw refusal('FAILED_PRECONDITION', `forward ports of sandbox ${view.id}: it is not ready`);
      const odd = ports.find((port) => port < 1 || port > 65_535);
      if (odd !== undefined) throw refusal('INVALID_ARGUMENT', `forward port ${odd}: there is none`);
      return { url: streams.urlOf({ kind: 'portForward', podUid: view.uid, ports }) };
    },
  };
}

function checkCommand(command: readonly string[]): void {
  if (command.length === 0) throw refusal('INVALID_ARGUMENT', 'run a command: cmd must be given');
}

/** @throws INVALID_ARGUMENT */
function streamsOf({ stdin, stdout, stderr, tty }: StreamRequest): StreamRequest {
  if (tty && stderr) throw refusal('INVALID_ARGUMENT', 'tty and stderr: a terminal has one output');
  if (!stdin && !stdout && !stderr)
    throw refusal('INVALID_ARGUMENT', 'one of stdin, stdout and stderr must be asked for');
  return { stdin, stdout, stderr, tty };
}

/**
 * A time of 0 is none. What a command leaves behind may hold its streams open, for ever: when it has ended, they are waited for a little.
 * @throws DEADLINE_EXCEEDED, when the command was killed
 */
async function execSync(
  { runtime, clock }: CriContext,
  command: {
    readonly view: ContainerView;
    readonly args: readonly string[];
    readonly timeoutSeconds: number;
  },
  signal: AbortSignal,
): Promise<{ readonly stdout: Buffer; readonly stderr: Buffer; readonly exit_code: number }> {
  const { view, args, timeoutSeconds } = command;
  const request = { args, stdin: false, tty: false };
  const session = await runtime.exec(view.uid, view.id, request, signal);
  await using streams = session.streams;

  const late = Promise.withResolvers<'late'>();
  using _late =
    timeoutSeconds > 0 ? clock.after(timeoutSeconds * 1000, () => late.resolve('late')) : undefined;
  const [stdout, stderr] = [collect(streams.stdout), collect(streams.stderr)];
  const exitCode = await Promise.race([session.exitCode, late.promise]);
  if (exitCode === 'late') {
    await session.kill();
    throw refusal(
      'DEADLINE_EXCEEDED',
      `run ${args[0]} in container ${view.id}: not done after ${timeoutSeconds} s`,
    );
  }
  const drained = Promise.withResolvers<void>();
  using _drained = clock.after(drainMs, drained.resolve);
  await Promise.race([Promise.all([stdout.ended, stderr.ended]), drained.promise]);
  signal.throwIfAborted();
  return { stdout: stdout.taken(), stderr: stderr.taken(), exit_code: exitCode };
}

/** Of the streams of a command that has ended. */
const drainMs = 5_000;

interface Collected {
  readonly ended: Promise<void>;
  /** So far. */
  taken(): Buffer;
}

function collect(stream: Readable | undefined): Collected {
  const chunks: Buffer[] = [];
  let room = outputBytesMax;
  const read = async (): Promise<void> => {
    for await (const chunk of stream ?? []) {
      const bytes: Buffer = chunk;
      if (room > 0) chunks.push(bytes.subarray(0, room));
      room -= Math.min(room, bytes.length);
    }
  };
  // Cut off with the session where that ends first.
  return { ended: read().catch(() => undefined), taken: () => Buffer.concat(chunks) };
}
