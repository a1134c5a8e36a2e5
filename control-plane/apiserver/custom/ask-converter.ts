import type { WebhookClientConfig } from '#api/generated/objects.ts';
import { describeError } from '#base/errors.ts';
import { placeOf } from '#control-plane/apiserver/chain/admission/webhooks/hook.ts';
import type { HookCaller } from '#control-plane/apiserver/chain/admission/webhooks/hook-caller.ts';
import type { AskConverter } from './convert-objects.ts';

/** Asks who converts custom objects as admission asks its hooks: by URL or by Service, at addresses that may be dialled. */
export function askConverter(caller: HookCaller): AskConverter {
  return async (client, question, timeoutMs) => {
    const { caBundle = '', ...config } = client as unknown as WebhookClientConfig; // The definition was validated.
    const hook = { place: placeOf(config), caPem: Buffer.from(caBundle, 'base64').toString() };
    const called = await caller.call(hook, question, { timeoutMs });
    if (called.body === undefined) return { failure: called.reason };
    try {
      return { answer: JSON.parse(called.body.toString()) };
    } catch (error) {
      return { failure: describeError(error) };
    }
  };
}
