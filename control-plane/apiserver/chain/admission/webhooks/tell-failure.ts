import type { AdmissionContext } from '#control-plane/apiserver/chain/admission/admission.ts';
import type { Outcome } from './ask-hook.ts';
import type { Hook } from './hook.ts';

/** Says in the server's log that a request went on without a hook. */
export function tellFailure(
  { logger }: Pick<AdmissionContext, 'logger'>,
  hook: Hook,
  outcome: Outcome,
): void {
  if (outcome.kind !== 'unreachable') return;
  const { name: webhook, configuration } = hook;
  logger.warn(
    { webhook, configuration, why: outcome.reason },
    'a webhook could not be called, and the request goes on',
  );
}
