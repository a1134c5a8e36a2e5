import type {
  AdmissionContext,
  AdmissionPlugin,
  AdmissionRequest,
} from '#control-plane/apiserver/chain/admission/admission.ts';
import type { PodwrightError } from '#base/errors.ts';
import { AccessCache } from '#control-plane/apiserver/chain/admission/policies/access.ts';
import { candidates } from '#control-plane/apiserver/chain/admission/match/candidates.ts';
import { askHook, countCall, settle, throwIfOver, type HookQuestion } from './ask-hook.ts';
import { questionFor } from './concerns.ts';
import type { CallBounds } from './hook-caller.ts';
import { tellFailure } from './tell-failure.ts';

/** Calls hooks that judge the object as it would be stored, all at once; the first to deny is told (admission/plugin/webhook/validating). */
export function validatingWebhook(identity?: CallBounds['identity']): AdmissionPlugin {
  return {
    name: 'ValidatingAdmissionWebhook',
    handles: (attributes, context) =>
      candidates(context.hooks.validating, attributes, context).length === 0 ? 'no' : 'mayWait',
    validate: (context, request) => validate(context, request, identity),
  };
}

async function validate(
  context: AdmissionContext,
  request: AdmissionRequest,
  identity: CallBounds['identity'],
): Promise<void> {
  const { attributes } = request;
  const questions: HookQuestion[] = [];
  const access = new AccessCache(context.authorizer, attributes.user);
  for (const matched of candidates(context.hooks.validating, attributes, context)) {
    const question = await questionFor(matched, request, { context, access });
    if (question === undefined) continue;
    questions.push({ hook: matched.item, attributes, request: question, isMutating: false });
  }
  if (questions.length === 0) return;
  throwIfOver(attributes, context);
  let first: PodwrightError | undefined;
  await Promise.all(
    questions.map(async (question, index) => {
      const refused = await judge(context, { question, index }, identity);
      first ??= refused;
    }),
  );
  if (first !== undefined) throw first;
}

async function judge(
  context: AdmissionContext,
  { question, index }: { readonly question: HookQuestion; readonly index: number },
  identity: CallBounds['identity'],
): Promise<PodwrightError | undefined> {
  const { hook, attributes } = question;
  const startMs = context.clock.monotonic();
  const outcome = await askHook(context, question, identity);
  countCall(context, question, { outcome, ms: context.clock.monotonic() - startMs });
  const settled = settle(hook, outcome);
  if (settled === 'goesOn') return undefined;
  if (settled !== 'failsOpen') return settled;
  const isCanceled = outcome.kind === 'unreachable' && outcome.isCanceled;
  const key = `failed-open.validating.webhook.admission.k8s.io/round_0_index_${index}`;
  if (!isCanceled) attributes.scope?.annotate(key, hook.name);
  tellFailure(context, hook, outcome);
  return undefined;
}
