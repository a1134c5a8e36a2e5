import { describe, expect, it } from 'vitest';
import { at } from '#api/wire/json.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { builtIn } from '#control-plane/apiserver/built-in.ts';
import { contextWith } from '#control-plane/apiserver/chain/admission/admission.fixture.ts';
import type { AdmissionAttributes } from '#control-plane/apiserver/chain/admission/admission.ts';
import { MatchIndex } from '#control-plane/apiserver/chain/admission/match/match-index.ts';
import type { ServerContext } from '#control-plane/apiserver/server-context.ts';
import { hooksOf } from './hook.ts';
import type { Called } from './hook-caller.ts';
import { patching } from './hook-server.fixture.ts';
import { mutatingWebhook } from './mutating-webhook.ts';
import { validatingWebhook } from './validating-webhook.ts';

const object = {
  kind: 'ConfigMap',
  apiVersion: 'v1',
  metadata: { name: 'x', namespace: 'n' },
  data: { a: '1' },
};

/** A context whose hook answers so; undefined: it cannot be called. */
async function contextAnswering(response: JsonObject | undefined): Promise<ServerContext> {
  const hook = {
    ...{
      name: 'h.example.com',
      failurePolicy: 'Ignore',
      sideEffects: 'None',
      admissionReviewVersions: ['v1'],
    },
    clientConfig: { url: 'https://hook.invalid' },
    rules: [{ operations: ['*'], apiGroups: ['*'], apiVersions: ['*'], resources: ['*'] }],
  };
  const index = new MatchIndex(hooksOf({ metadata: { name: 'c' }, webhooks: [hook] }));
  const call = async (_hook: unknown, { apiVersion, kind, request }: JsonObject): Promise<Called> => {
    if (response === undefined) return { body: undefined, reason: 'down', code: 0, isCanceled: false };
    const said = { apiVersion, kind, response: { uid: at(request, 'uid'), ...response } };
    return { body: Buffer.from(JSON.stringify(said)), contentType: '' };
  };
  return {
    ...(await contextWith([])),
    ...{ hooks: { mutating: index, validating: index }, hookCaller: { waiting: 0, call } },
  };
}

function scoped(): { readonly attributes: AdmissionAttributes; readonly noted: readonly string[] } {
  const noted: string[] = [];
  const scope = {
    signal: new AbortController().signal,
    warn: () => undefined,
    annotate: (key: string, value: string, least?: string) =>
      void noted.push(`${key} ${value}${least === undefined ? '' : ` (${least})`}`),
  };
  const attributes: AdmissionAttributes = {
    ...{ operation: 'create', verb: 'create', kind: builtIn('', 'v1', 'configmaps'), subresource: '' },
    ...{ namespace: 'n', name: 'x', user: { name: 'alice', groups: [] }, dryRun: false, scope },
  };
  return { attributes, noted };
}

const key = 'webhook.admission.k8s.io/round_0_index_0';

describe('what is noted for the audit record', () => {
  it('whether a hook changed the object, and where bodies are recorded how', async () => {
    const patch = [{ op: 'add', path: '/data/b', value: '2' }];
    const context = await contextAnswering({ ...patching(patch), auditAnnotations: { why: 'it is so' } });
    const { attributes, noted } = scoped();
    await mutatingWebhook().admit?.(context, { attributes, object });
    expect(noted).toEqual([
      'h.example.com/why it is so',
      `patch.${key} ${JSON.stringify({ configuration: 'c', webhook: 'h.example.com', patch, patchType: 'JSONPatch' })} (Request)`,
      `mutation.${key} {"configuration":"c","webhook":"h.example.com","mutated":true}`,
    ]);
  });

  it('that one could not be called, and the request went on', async () => {
    const context = await contextAnswering(undefined);
    const { attributes, noted } = scoped();
    await mutatingWebhook().admit?.(context, { attributes, object });
    await validatingWebhook().validate?.(context, { attributes, object });
    expect(noted).toEqual([
      `mutation.${key} {"configuration":"c","webhook":"h.example.com","mutated":false}`,
      `failed-open.mutation.${key} h.example.com`,
      `failed-open.validating.${key} h.example.com`,
    ]);
  });
});
