import { randomUUID } from 'node:crypto';
import type { PodwrightError } from '#base/errors.ts';
import type { JsonObject } from '#api/meta/object.ts';
import type {
  AdmissionAttributes,
  AdmissionContext,
} from '#control-plane/apiserver/chain/admission/admission.ts';
import {
  hookCalls,
  hookDurations,
  hookFailOpens,
  hookRejections,
} from '#control-plane/apiserver/serve/counters.ts';
import { timeout } from '#api/errors/status.ts';
import { statusOf } from '#api/errors/status.ts';
import type { Hook } from './hook.ts';
import type { CallBounds } from './hook-caller.ts';
import { readReview, renderReview, type Verdict } from './review.ts';
import { noDryRun, notCalled, rejected } from './verdict-status.ts';

/** What came of asking a hook: what it said, or why it said nothing that could be used. */
export type Outcome =
  | { readonly kind: 'allowed'; readonly verdict: Verdict }
  | { readonly kind: 'rejected'; readonly error: PodwrightError }
  /** It could not be asked: what then, its failurePolicy says. */
  | {
      readonly kind: 'unreachable';
      readonly reason: string;
      readonly code: number;
      readonly isCanceled: boolean;
    }
  /** The server itself cannot go on: its failurePolicy does not matter. */
  | { readonly kind: 'broken'; readonly error: PodwrightError };

/** What becomes of a request: it goes on, though nobody could be asked, or is refused. */
export type Settled = 'goesOn' | 'failsOpen' | PodwrightError;

/** Only that it could not be asked obeys a hook's failurePolicy; what it denies is denied. */
export function settle(hook: Pick<Hook, 'name' | 'failsOpen'>, outcome: Outcome): Settled {
  switch (outcome.kind) {
    case 'allowed':
      return 'goesOn';
    case 'unreachable':
      return hook.failsOpen ? 'failsOpen' : notCalled(hook.name, outcome.reason);
    default:
      return outcome.error;
  }
}

/** One question to a hook. */
export interface HookQuestion {
  readonly hook: Hook;
  readonly attributes: AdmissionAttributes;
  /** As `describeRequest` has it, with the objects in their places. */
  readonly request: JsonObject;
  readonly isMutating: boolean;
}

const waitMinMs = 1;
/** Requests that wait for hooks without their seats, so that what hooks ask of this server meanwhile finds one; more keep theirs. */
const seatlessMax = 500;

/** Asks it, and tells who asked what it warns of and notes. Never throws. */
export async function askHook(
  context: AdmissionContext,
  { hook, attributes, request, isMutating }: HookQuestion,
  identity: CallBounds['identity'],
): Promise<Outcome> {
  const { name, reviewVersion, isHarmless } = hook;
  if (attributes.dryRun && isHarmless !== true) {
    if (isHarmless === undefined) return unreachable('Webhook SideEffects is nil', 400);
    return { kind: 'broken', error: noDryRun(name) };
  }
  if (reviewVersion === undefined)
    return unreachable(
      'could not create admission objects: webhook does not accept known AdmissionReview versions (v1, v1beta1)',
      400,
    );
  const uid = randomUUID();
  const { scope } = attributes;
  if (context.hookCaller.waiting < seatlessMax) scope?.begun?.();
  const timeLeftMs = (scope?.deadlineMs ?? Infinity) - context.clock.monotonic();
  const called = await context.hookCaller.call(hook, renderReview(reviewVersion, uid, request), {
    timeoutMs: Math.max(waitMinMs, Math.min(hook.timeoutMs, timeLeftMs)),
    signal: scope?.signal,
    identity,
  });
  if (called.body === undefined) {
    const { reason, code, isCanceled } = called;
    return {
      kind: 'unreachable',
      reason: `failed to call webhook: ${reason}`,
      code: code || 503,
      isCanceled,
    };
  }
  const read = readReview(called.body, called.contentType, { version: reviewVersion, uid, isMutating });
  if (read.verdict === undefined) return unreachable(read.reason, 503);
  const { verdict } = read;
  for (const [key, value] of Object.entries(verdict.auditAnnotations))
    scope?.annotate(`${name}/${key}`, value);
  for (const text of verdict.warnings) scope?.warn(text);
  return verdict.isAllowed
    ? { kind: 'allowed', verdict }
    : { kind: 'rejected', error: rejected(name, verdict.status) };
}

function unreachable(reason: string, code: number): Outcome {
  return { kind: 'unreachable', reason, code, isCanceled: false };
}

/** 504, once nobody waits for the answer any more. */
export function throwIfOver(
  { scope }: AdmissionAttributes,
  { clock }: Pick<AdmissionContext, 'clock'>,
): void {
  const isLate = (scope?.deadlineMs ?? Infinity) <= clock.monotonic();
  if (isLate || scope?.signal.aborted === true)
    throw timeout('request did not complete within requested timeout');
}

const codeMax = 600;
const errorTypes = {
  rejected: 'no_error',
  unreachable: 'calling_webhook_error',
  broken: 'apiserver_internal_error',
} as const;

/** Counts one call. */
export function countCall(
  { metrics }: Pick<AdmissionContext, 'metrics'>,
  { hook: { name, failsOpen }, attributes, isMutating }: HookQuestion,
  { outcome, ms }: { readonly outcome: Outcome; readonly ms: number },
): void {
  const type = isMutating ? 'admit' : 'validating';
  const operation = attributes.operation.toUpperCase();
  const isOpen = outcome.kind === 'unreachable' && failsOpen;
  const code = Math.min(codeMax, codeOf(outcome));
  const about = { name, operation, rejected: String(outcome.kind !== 'allowed' && !isOpen), type };
  metrics.measure(hookDurations, about, ms / 1000);
  metrics.count(hookCalls, { ...about, code: String(code) });
  const isCanceled = outcome.kind === 'unreachable' && outcome.isCanceled;
  if (outcome.kind === 'allowed' || isCanceled) return;
  if (isOpen) return metrics.count(hookFailOpens, { name, type });
  const error = { error_type: errorTypes[outcome.kind], rejection_code: String(code) };
  metrics.count(hookRejections, { ...error, name, operation, type });
}

function codeOf(outcome: Outcome): number {
  switch (outcome.kind) {
    case 'allowed':
      return 200;
    case 'rejected':
      return statusOf(outcome.error).httpCode;
    case 'unreachable':
      return outcome.code;
    default:
      return 0;
  }
}
