import { matchRulesOf } from '#api/defaults/match-rules.ts';
import type { DefaultRule } from '#api/defaults/rule.ts';
import type { KindRules } from '#api/kinds/rules.ts';

/** Rules of ValidatingWebhookConfigurations. */
export const validatingWebhookRules: KindRules = {
  defaults: webhookRules(),
  takesAnyFinalizer: true,
};

/** Rules of MutatingWebhookConfigurations. */
export const mutatingWebhookRules: KindRules = {
  defaults: [...webhookRules(), ['webhooks[].reinvocationPolicy', 'Never']],
  takesAnyFinalizer: true,
};

function webhookRules(): readonly DefaultRule[] {
  return [
    ['webhooks[].failurePolicy', 'Fail'],
    ['webhooks[].timeoutSeconds', 10],
    ['webhooks[].clientConfig.service.port', 443],
    ...matchRulesOf('webhooks[]', 'rules'),
  ];
}
