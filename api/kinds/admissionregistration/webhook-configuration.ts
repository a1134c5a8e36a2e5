import { matchRulesOf } from '#api/defaults/match-rules.ts';
import type { DefaultRule } from '#api/defaults/rule.ts';
import { listOf } from '#api/wire/json.ts';
import { acted, type KindEffect } from '#api/kinds/effect.ts';
import type { KindRules } from '#api/kinds/rules.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { ageOfObject, nameOf } from '#api/table/object.ts';
import { validateWebhookConfiguration } from './webhook-validation.ts';

const called: KindEffect = acted('control-plane/apiserver/chain/admission/webhooks/hook-book.ts');

/** Rules of ValidatingWebhookConfigurations. */
export const validatingWebhookRules: KindRules = {
  effect: called,
  updatesNameRevision: true,
  defaults: webhookRules(),
  takesAnyFinalizer: true,
  updateChecks: ['metadata', 'object'],
  validate: validateWebhookConfiguration,
  validatesAll: true,
  cells: webhookCells,
};

/** Rules of MutatingWebhookConfigurations. */
export const mutatingWebhookRules: KindRules = {
  effect: called,
  updatesNameRevision: true,
  defaults: [...webhookRules(), ['webhooks[].reinvocationPolicy', 'Never']],
  takesAnyFinalizer: true,
  updateChecks: ['metadata', 'object'],
  validate: validateWebhookConfiguration,
  validatesAll: true,
  cells: webhookCells,
};

function webhookRules(): readonly DefaultRule[] {
  return [
    ['webhooks[].failurePolicy', 'Fail'],
    ['webhooks[].timeoutSeconds', 10],
    ['webhooks[].clientConfig.service.port', 443],
    ...matchRulesOf('webhooks[]', 'rules'),
  ];
}

function webhookCells(configuration: JsonObject, now: number): readonly unknown[] {
  return [nameOf(configuration), listOf(configuration['webhooks']).length, ageOfObject(configuration, now)];
}
