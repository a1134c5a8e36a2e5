import { describeError } from '#base/errors.ts';
import type { ActionOf, Hook } from '#agent/kubelet/render/action.ts';
import type { Applied, ApplyContext } from './apply-context.ts';
import { podNames } from '#agent/kubelet/sync/pod-events.ts';
import { runHook, type HandlerPorts } from '#agent/kubelet/probe/handler.ts';

type StopAction = ActionOf<'stopContainer'>;

/** After a hook that took all of the grace period, the process still gets this long. */
const graceAfterHookSeconds = 2;
const retryMs = 1000;

/**
 * Starts the end of a container in the background: until no Service leads to its pod, preStop, the stop signal, and SIGKILL after the
 * grace period.
 */
export function stopContainer(action: StopAction, context: ApplyContext): Applied {
  const { memory, ports } = context;
  const { id, container, message, graceSeconds, isForResize, isCut } = action;
  if (!isCut) ports.events.normal(memory.desired.pod, 'Killing', message, container);
  const deadlineMs = ports.clock.now() + graceSeconds * 1000;
  return {
    outcome: { kind: 'stopBegun', id, deadlineMs, isForResize },
    beside: () => startStop(action, deadlineMs, context),
  };
}

function startStop(action: StopAction, deadlineMs: number, context: ApplyContext): void {
  const { memory, ports } = context;
  const { stops } = memory.beside;
  const { id, container } = action;
  stops.get(id)?.abort(new DOMException('grace period cut', 'AbortError'));
  const abort = new AbortController();
  stops.set(id, abort);
  run(action, context, abort.signal)
    .catch((error: unknown) => {
      if (abort.signal.aborted) return;
      const names = podNames(memory.desired.pod);
      ports.logger.warn({ ...names, container, error: describeError(error) }, 'stop failed');
    })
    .finally(() => {
      if (stops.get(id) === abort) stops.delete(id);
      // If it did not end; its end itself is seen at once.
      if (memory.report({ kind: 'stopEnded', id, deadlineMs })) ports.enqueue(memory.uid, retryMs);
    });
}

async function run(
  { id, container, graceSeconds, retractMsMax, preStop }: StopAction,
  { memory, ports }: ApplyContext,
  signal: AbortSignal,
): Promise<void> {
  const began = ports.clock.monotonic();
  const leftSeconds = (): number => graceSeconds - (ports.clock.monotonic() - began) / 1000;
  if (retractMsMax > 0) {
    await ports.retraction?.retract(memory.desired.pod, retractMsMax);
    signal.throwIfAborted();
  }
  let remaining = Math.max(1, leftSeconds());
  if (preStop !== undefined) {
    const failure = await runPreStop(preStop, ports, { graceSeconds: remaining, signal });
    signal.throwIfAborted();
    if (failure !== undefined)
      ports.events.warning(memory.desired.pod, 'FailedPreStopHook', `PreStopHook failed: ${failure}`, {
        container,
        isQuoting: preStop.handler.exec !== undefined,
      });
    remaining = Math.max(graceAfterHookSeconds, leftSeconds());
  }
  await ports.runtime.stopContainer(memory.uid, id, Math.ceil(remaining), signal);
}

/** Why the hook failed; undefined when it did not. */
async function runPreStop(
  { handler, target }: Hook,
  ports: HandlerPorts,
  { graceSeconds, signal }: { readonly graceSeconds: number; readonly signal: AbortSignal },
): Promise<string | undefined> {
  const deadline = new AbortController();
  using _timer = ports.clock.after(graceSeconds * 1000, () =>
    deadline.abort(new DOMException('grace period over', 'TimeoutError')),
  );

  try {
    const timed = { ...target, timeoutSeconds: graceSeconds };
    const result = await runHook(handler, timed, ports, AbortSignal.any([signal, deadline.signal]));
    return result.isSuccess ? undefined : result.output;
  } catch (error) {
    return describeError(error);
  }
}
