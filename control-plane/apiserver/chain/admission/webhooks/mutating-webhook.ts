import { equalJson } from '#api/wire/json.ts';
import type { JsonObject } from '#api/meta/object.ts';
import type {
  AdmissionContext,
  AdmissionPlugin,
  AdmissionRequest,
} from '#control-plane/apiserver/chain/admission/admission.ts';
import {
  objectsShownAs,
  shownBack,
} from '#control-plane/apiserver/chain/admission/match/admission-request.ts';
import { AccessCache } from '#control-plane/apiserver/chain/admission/policies/access.ts';
import { candidates } from '#control-plane/apiserver/chain/admission/match/candidates.ts';
import type { Matched } from '#control-plane/apiserver/chain/admission/match/match-index.ts';
import { kindOfObjects } from '#control-plane/apiserver/chain/admission/match/shown-as.ts';
import { readChanged } from '#control-plane/apiserver/chain/admission/match/read-changed.ts';
import { Reinvocation } from '#control-plane/apiserver/chain/admission/reinvocation.ts';
import { applyPatch, parsePatchText } from './apply-patch.ts';
import { askHook, countCall, settle, throwIfOver, type HookQuestion, type Outcome } from './ask-hook.ts';
import { questionFor } from './concerns.ts';
import type { Hook } from './hook.ts';
import type { CallBounds } from './hook-caller.ts';
import { tellFailure } from './tell-failure.ts';
import { causeOf, internal } from './verdict-status.ts';

const name = 'MutatingAdmissionWebhook';

/** Calls hooks that may change the object, one after another, each on what the one before left (admission/plugin/webhook/mutating). */
export function mutatingWebhook(identity?: CallBounds['identity']): AdmissionPlugin {
  return {
    name,
    handles: (attributes, context) =>
      candidates(context.hooks.mutating, attributes, context).length === 0 ? 'no' : 'mayWait',
    admit: (context, request) => admit(context, request, identity),
  };
}

async function admit(
  context: AdmissionContext,
  request: AdmissionRequest,
  identity: CallBounds['identity'],
): Promise<JsonObject | undefined> {
  const { attributes, reinvocation = new Reinvocation() } = request;
  const rounds = reinvocation.of(name);
  if (reinvocation.isAgain && !equalJson(rounds.lastOutput, request.object)) rounds.changed();
  let { object } = request;
  const access = new AccessCache(context.authorizer, attributes.user);
  for (const matched of candidates(context.hooks.mutating, attributes, context)) {
    const current: AdmissionRequest = { ...request, object, reinvocation };
    const question = await questionFor(matched, current, { context, access });
    const { item: hook } = matched;
    // One that was not called the first time is not called for the first time now.
    if (question === undefined || (reinvocation.isAgain && !rounds.isDue(hook.id))) continue;
    const changed = await callHook(context, { matched, request: current, question }, identity);
    if (changed !== undefined) {
      object = changed;
      rounds.changed();
      reinvocation.want();
    }
    if (hook.isReinvoked) rounds.wasAsked(hook.id);
  }
  rounds.lastOutput = object;
  return object === request.object ? undefined : object;
}

interface Call {
  readonly matched: Matched<Hook>;
  readonly request: AdmissionRequest;
  readonly question: JsonObject;
}

/** The object as the hook changed it; undefined where it did not. @throws {E_API} where the request is refused */
async function callHook(
  context: AdmissionContext,
  { matched, request, question }: Call,
  identity: CallBounds['identity'],
): Promise<JsonObject | undefined> {
  const { item: hook } = matched;
  const { attributes, reinvocation } = request;
  const asked: HookQuestion = { hook, attributes, request: question, isMutating: true };
  const startMs = context.clock.monotonic();
  const answer = await askHook(context, asked, identity);
  const { outcome, object, operations } = await changeBy(context, { matched, request }, answer);
  countCall(context, asked, { outcome, ms: context.clock.monotonic() - startMs });
  const about = { configuration: hook.configuration, webhook: hook.name };
  const key = `webhook.admission.k8s.io/round_${reinvocation?.isAgain === true ? 1 : 0}_index_${hook.position}`;
  const note = (prefix: string, value: string): void => attributes.scope?.annotate(`${prefix}${key}`, value);
  if (operations !== undefined)
    attributes.scope?.annotate(
      `patch.${key}`,
      JSON.stringify({ ...about, patch: operations, patchType: 'JSONPatch' }),
      'Request',
    );
  note('mutation.', JSON.stringify({ ...about, mutated: object !== undefined }));
  const settled = settle(hook, outcome);
  if (settled === 'failsOpen') {
    if (outcome.kind === 'unreachable' && !outcome.isCanceled) note('failed-open.mutation.', hook.name);
    tellFailure(context, hook, outcome);
    throwIfOver(attributes, context);
  } else if (settled !== 'goesOn') throw settled;
  return object;
}

interface Change {
  readonly outcome: Outcome;
  /** The object in the request's own form; undefined where it is as before. */
  readonly object?: JsonObject | undefined;
  /** Those that were applied. */
  readonly operations?: readonly unknown[];
}

/** What an answer makes of the object: its patch is applied to what the hook saw, read as a body would be, and defaulted again. */
async function changeBy(
  context: AdmissionContext,
  { matched: { item: hook, as }, request }: Pick<Call, 'matched' | 'request'>,
  outcome: Outcome,
): Promise<Change> {
  if (outcome.kind !== 'allowed' || outcome.verdict.patch.length === 0) return { outcome };
  const { patch, patchType } = outcome.verdict;
  const text = parsePatchText(patch);
  const unusable = (reason: string): Change => ({
    outcome: { kind: 'unreachable', reason, code: 503, isCanceled: false },
  });
  const broken = (cause: string): Change => ({ outcome: { kind: 'broken', error: internal(cause) } });
  if (text.operations === undefined)
    return unusable(`received undecodable patch in webhook response: ${text.reason}`);
  const { operations } = text;
  if (operations.length === 0) return { outcome };
  const { object: shown } = await objectsShownAs(context, request, as);
  if (shown === null)
    return broken(
      `admission webhook ${JSON.stringify(hook.name)} attempted to modify the object, which is not supported for this operation`,
    );
  if (patchType !== 'JSONPatch') return unusable(`unsupported patch type ${JSON.stringify(patchType)}`);
  const patched = applyPatch(shown, operations);
  if ('reason' in patched) return broken(patched.reason);
  try {
    const kind = kindOfObjects(as, request.attributes.subresource);
    const object = readChanged(kind, patched.value);
    return equalJson(object, shown)
      ? { outcome, operations }
      : { outcome, operations, object: await shownBack(context, request, { object, as }) };
  } catch (error) {
    const cause = causeOf(error);
    if (cause === undefined) throw error;
    return broken(cause);
  }
}
