import { backoffMs, type Backoff } from '#base/backoff.ts';
import { describeError, isPodwrightError } from '#base/errors.ts';
import type { Secret } from '#api/objects.ts';
import type { ApplyContext } from './apply-context.ts';
import { podNames } from './pod-events.ts';
import type { Action } from './pod-input.ts';

/** As the kubelet's image manager: 10 s to 5 min. */
const pullBackoff: Backoff = { initialMs: 10_000, factor: 2, maxMs: 300_000 };

/** Starts a pull in the background; its end is a fact about the pod. */
export async function pullImage(
  action: Extract<Action, { kind: 'pullImage' }>,
  context: ApplyContext,
): Promise<void> {
  const { memory, ports } = context;
  const { container, image, attempt } = action;
  const before = memory.pulls.get(container);
  const failures = before?.state === 'failed' ? before.failures : 0;
  const abort = new AbortController();
  memory.pulls.set(container, { state: 'pulling', attempt });
  memory.pullAborts.set(container, abort);
  ports.events.normal(memory.desired.pod, 'Pulling', `Pulling image "${image}"`, container);
  run(action, context, { failures, signal: abort.signal })
    .catch((error: unknown) =>
      ports.logger.error({ ...podNames(memory.desired.pod), error: describeError(error) }, 'pull crashed'),
    )
    .finally(() => {
      if (memory.pullAborts.get(container) === abort) memory.pullAborts.delete(container);
      ports.enqueue(memory.uid);
    });
}

async function run(
  { container, image, attempt }: Extract<Action, { kind: 'pullImage' }>,
  { memory, ports }: ApplyContext,
  { failures, signal }: { readonly failures: number; readonly signal: AbortSignal },
): Promise<void> {
  const { pod } = memory.desired;
  const began = ports.clock.monotonic();
  try {
    const record = await ports.puller.pull(image, await pullSecrets(memory.uid, pod, ports), signal);
    memory.pulls.set(container, { state: 'done', attempt, imageId: record.id });
    const seconds = ((ports.clock.monotonic() - began) / 1000).toFixed(3);
    const message = `Successfully pulled image "${image}" in ${seconds}s (${seconds}s including waiting). Image size: ${record.sizeBytes} bytes.`;
    ports.events.normal(pod, 'Pulled', message, container);
  } catch (error) {
    if (signal.aborted) {
      memory.pulls.delete(container);
      return;
    }
    const now = ports.clock.now();
    const reason = isPodwrightError(error, 'E_USAGE') ? 'InvalidImageName' : 'ErrImagePull';
    const message = describeError(error);
    const text = `Failed to pull image "${image}": ${message}`;
    ports.events.warning(pod, 'Failed', text, { container, failure: reason });
    ports.events.warning(pod, 'Failed', `Error: ${reason}`, { container, failure: undefined });
    const retryAtMs = now + backoffMs(pullBackoff, failures + 1);
    memory.pulls.set(container, {
      state: 'failed',
      attempt,
      reason,
      message,
      failures: failures + 1,
      failedAtMs: now,
      retryAtMs,
    });
  }
}

/** The pod's imagePullSecrets that exist. */
async function pullSecrets(
  uid: string,
  pod: ApplyContext['memory']['desired']['pod'],
  ports: ApplyContext['ports'],
): Promise<readonly Secret[]> {
  const namespace = pod.metadata?.namespace ?? '';
  const found = await Promise.all(
    (pod.spec?.imagePullSecrets ?? []).map(({ name = '' }) => ports.objects.secret(uid, namespace, name)),
  );
  return found.filter((secret) => secret !== undefined);
}
