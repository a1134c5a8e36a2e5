import { describeError, isPodwrightError } from '#base/errors.ts';
import type { Secret } from '#api/generated/objects.ts';
import type { ActionOf } from '#agent/kubelet/render/action.ts';
import { secretHolders } from './image-puller.ts';
import type { Applied, ApplyContext } from './apply-context.ts';
import type { BesideOutcome } from '#agent/kubelet/sync/outcome.ts';
import { podNames } from '#agent/kubelet/sync/pod-events.ts';

type PullAction = ActionOf<'pullImage'>;

/** Starts a pull in the background; its end is an outcome, too. */
export function pullImage(action: PullAction, context: ApplyContext): Applied {
  const { container, image, attempt } = action;
  if (action.locked === undefined) tellPulling(action, context);
  return {
    outcome: { kind: 'pullBegun', container, image, attempt },
    beside: () => startPull(action, context),
  };
}

function tellPulling({ container, image }: PullAction, { memory, ports }: ApplyContext): void {
  ports.events.normal(memory.desired.pod, 'Pulling', `Pulling image "${image}"`, container);
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

async function run(action: PullAction, context: ApplyContext, signal: AbortSignal): Promise<BesideOutcome> {
  const { container, image, attempt, secrets, locked } = action;
  const { memory, ports } = context;
  const { pod } = memory.desired;
  const began = ports.clock.monotonic();
  try {
    const { found, missing } = await pullSecrets(secrets, memory, ports);
    if (missing.length > 0) {
      // As the kubelet says it: a registry that anybody may read needs none.
      const text = `Unable to retrieve some image pull secrets (${missing.join(', ')}); attempting to pull the image may not succeed.`;
      ports.events.warning(pod, 'FailedToRetrieveImagePullSecret', text);
    }
    if (locked !== undefined) {
      if (await mayUse({ image, imageId: locked.imageId, secrets: found }, context)) {
        const message = `Container image "${image}" already present on machine and can be accessed by the pod`;
        ports.events.normal(pod, 'Pulled', message, container);
        return { kind: 'pullDone', container, image, attempt, imageId: locked.imageId };
      }
      if (locked.isNever) return tellNever(action, context);
      tellPulling(action, context);
    }
    await ports.pulled?.begin(image);
    const { record, by, ms } = await ports.puller.pull(image, { secrets: found, pod }, signal);
    await ports.pulled?.end(image, record.id, by);
    const [alone, all] = [ms, ports.clock.monotonic() - began].map(goSeconds);
    const message = `Successfully pulled image "${image}" in ${alone} (${all} including waiting). Image size: ${record.sizeBytes} bytes.`;
    ports.events.normal(pod, 'Pulled', message, container);
    return { kind: 'pullDone', container, image, attempt, imageId: record.id };
  } catch (error) {
    if (signal.aborted) return { kind: 'pullAborted', container, image };
    const reason = isPodwrightError(error, 'E_USAGE') ? 'InvalidImageName' : 'ErrImagePull';
    const message = describeError(error);
    return tellFailure(action, context, {
      reason,
      message,
      text: `Failed to pull image "${image}": ${message}`,
    });
  }
}

/** As Go writes durations to the millisecond: `405ms`, `1.5s`, `1m45.457s`. */
export function goSeconds(ms: number): string {
  const whole = Math.round(ms);
  if (whole < 1000) return `${whole}ms`;
  const [minutes, rest] = [Math.floor(whole / 60_000), (whole % 60_000) / 1000];
  const hours = Math.floor(minutes / 60);
  return `${hours > 0 ? `${hours}h` : ''}${minutes > 0 ? `${minutes % 60}m` : ''}${rest}s`;
}

interface Failure {
  readonly reason: 'ErrImagePull' | 'InvalidImageName' | 'ErrImageNeverPull';
  readonly message: string;
  /** Of the event. */
  readonly text: string;
}

function tellFailure(
  { container, image, attempt }: PullAction,
  { memory, ports }: ApplyContext,
  { reason, message, text }: Failure,
): BesideOutcome {
  const { pod } = memory.desired;
  const atMs = ports.clock.now();
  ports.events.warning(pod, 'Failed', text, { container, failure: reason });
  ports.events.warning(pod, 'Failed', `Error: ${reason}`, { container, failure: undefined });
  return { kind: 'pullFailed', container, image, attempt, reason, message, atMs };
}

/** The image is there, and the registry is not asked whether the pod may have it. */
function tellNever(action: PullAction, context: ApplyContext): BesideOutcome {
  const message = `Container image "${action.image}" is present with pull policy of Never but does not have the proper credentials to access the image`;
  return tellFailure(action, context, { reason: 'ErrImageNeverPull', message, text: message });
}

async function mayUse(
  {
    image,
    imageId,
    secrets,
  }: { readonly image: string; readonly imageId: string; readonly secrets: readonly Secret[] },
  { memory, ports }: ApplyContext,
): Promise<boolean> {
  const { pulled, imageCredentials } = ports;
  if (pulled === undefined) return true;
  const account = await imageCredentials?.accountOf(image, memory.desired.pod);
  return pulled.mayUse(image, imageId, { secrets: secretHolders(image, secrets), account });
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
