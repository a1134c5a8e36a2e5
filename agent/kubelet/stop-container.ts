import { describeError } from '#base/errors.ts';
import type { Applied, ApplyContext } from './apply-context.ts';
import { podNames } from './pod-events.ts';
import { runHook, type HandlerPorts, type HandlerTarget } from './handler.ts';
import { containersOf, type Action } from './pod-input.ts';

type StopAction = Extract<Action, { kind: 'stopContainer' }>;

/** After a hook that took all of the grace period, the process still gets this long. */
const graceAfterHookSeconds = 2;
const retryMs = 1000;

/** Starts the end of a container in the background: preStop, the stop signal, and SIGKILL after the grace period. */
export function stopContainer(action: StopAction, context: ApplyContext): Applied {
  const { memory, ports } = context;
  const { id, container, message, graceSeconds, isForResize = false, isCut = false } = action;
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
  { id, container: name, graceSeconds, isCut }: StopAction,
  { memory, ports }: ApplyContext,
  signal: AbortSignal,
): Promise<void> {
  const { pod } = memory.desired;
  const began = ports.clock.monotonic();
  const spec = containersOf(pod).find(({ spec }) => spec.name === name)?.spec;
  const hook = spec?.lifecycle?.preStop;
  let remaining = graceSeconds;
  if (hook !== undefined && spec !== undefined && isCut !== true) {
    const ips =
      pod.spec?.hostNetwork === true
        ? ports.node.ips
        : (ports.runtime.observe(memory.uid)?.sandbox?.ips ?? []);
    const target = { pod, container: spec, containerId: id, podIp: ips[0] ?? '127.0.0.1' };
    const failure = await runPreStop(hook, target, ports, { graceSeconds, signal });
    signal.throwIfAborted();
    if (failure !== undefined)
      ports.events.warning(pod, 'FailedPreStopHook', `PreStopHook failed: ${failure}`, {
        container: name,
        isQuoting: hook.exec !== undefined,
      });
    remaining = Math.max(graceAfterHookSeconds, graceSeconds - (ports.clock.monotonic() - began) / 1000);
  }
  await ports.runtime.stopContainer(memory.uid, id, Math.ceil(remaining), signal);
}

/** Why the hook failed; undefined when it did not. */
async function runPreStop(
  hook: Parameters<typeof runHook>[0],
  target: HandlerTarget,
  ports: HandlerPorts,
  { graceSeconds, signal }: { readonly graceSeconds: number; readonly signal: AbortSignal },
): Promise<string | undefined> {
  const deadline = new AbortController();
  using _timer = ports.clock.after(graceSeconds * 1000, () =>
    deadline.abort(new DOMException('grace period over', 'TimeoutError')),
  );

  try {
    const result = await runHook(hook, target, ports, AbortSignal.any([signal, deadline.signal]));
    return result.isSuccess ? undefined : result.output;
  } catch (error) {
    return describeError(error);
  }
}
