import { describeError, isPodwrightError } from '#base/errors.ts';
import type { Secret } from '#api/generated/objects.ts';
import type { ActionOf } from '#agent/kubelet/render/action.ts';
import type { Applied, ApplyContext } from './apply-context.ts';
import type { BesideOutcome } from '#agent/kubelet/sync/outcome.ts';
import { podNames } from '#agent/kubelet/sync/pod-events.ts';

type PullAction = ActionOf<'pullImage'>;

/** Starts a pull in the background; its end is an outcome, too. */
export function pullImage(action: PullAction, context: ApplyContext): Applied {
  const { memory, ports } = context;
  const { container, image, attempt } = action;
  ports.events.normal(memory.desired.pod, 'Pulling', `Pulling image "${image}"`, container);
  return {
    outcome: { kind: 'pullBegun', container, image, attempt },
    beside: () => startPull(action, context),
  };
}

function startPull(action: PullAction, context: ApplyContext): void {
  const { memory, ports } = context;
  const { pulls } = memory.beside;
  // What the container asked for before, nobody waits for any more.
  pulls.get(action.container)?.abort(new DOMException('image changed', 'AbortError'));
  const abort = new AbortController();
  pulls.set(action.container, abort);
  run(action, context, abort.signal)
    .then(memory.report)
    .catch((error: unknown) =>
      ports.logger.error({ ...podNames(memory.desired.pod), error: describeError(error) }, 'pull crashed'),
    )
    .finally(() => {
      if (pulls.get(action.container) === abort) pulls.delete(action.container);
      ports.enqueue(memory.uid);
    });
}

async function run(
  { container, image, attempt, secrets }: PullAction,
  { memory, ports }: ApplyContext,
  signal: AbortSignal,
): Promise<BesideOutcome> {
  const { pod } = memory.desired;
  const began = ports.clock.monotonic();
  try {
    const { found, missing } = await pullSecrets(secrets, memory, ports);
    if (missing.length > 0) {
      // As the kubelet says it: a registry that anybody may read needs none.
      const text = `Unable to retrieve some image pull secrets (${missing.join(', ')}); attempting to pull the image may not succeed.`;
      ports.events.warning(pod, 'FailedToRetrieveImagePullSecret', text);
    }
    const record = await ports.puller.pull(image, { secrets: found, pod }, signal);
    const seconds = ((ports.clock.monotonic() - began) / 1000).toFixed(3);
    const message = `Successfully pulled image "${image}" in ${seconds}s (${seconds}s including waiting). Image size: ${record.sizeBytes} bytes.`;
    ports.events.normal(pod, 'Pulled', message, container);
    return { kind: 'pullDone', container, image, attempt, imageId: record.id };
  } catch (error) {
    if (signal.aborted) return { kind: 'pullAborted', container, image };
    const atMs = ports.clock.now();
    const reason = isPodwrightError(error, 'E_USAGE') ? 'InvalidImageName' : 'ErrImagePull';
    const message = describeError(error);
    const text = `Failed to pull image "${image}": ${message}`;
    ports.events.warning(pod, 'Failed', text, { container, failure: reason });
    ports.events.warning(pod, 'Failed', `Error: ${reason}`, { container, failure: undefined });
    return { kind: 'pullFailed', container, image, attempt, reason, message, atMs };
  }
}

/** Those that exist, and the names of the others. */
async function pullSecrets(
  names: readonly string[],
  { uid, desired }: ApplyContext['memory'],
  { objects }: ApplyContext['ports'],
): Promise<{ readonly found: readonly Secret[]; readonly missing: readonly string[] }> {
  const namespace = desired.pod.metadata?.namespace ?? '';
  const secrets = await Promise.all(names.map((name) => objects.secret(uid, namespace, name)));
  return {
    found: secrets.filter((secret) => secret !== undefined),
    missing: names.filter((_, index) => secrets[index] === undefined),
  };
}
