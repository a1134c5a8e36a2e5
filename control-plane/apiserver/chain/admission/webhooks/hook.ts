import type { MutatingWebhook, ValidatingWebhook, WebhookClientConfig } from '#api/generated/objects.ts';
import { at, isObject, objectsOf, stringOf } from '#api/wire/json.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { matchConstraintsOf } from '#control-plane/apiserver/chain/admission/match/match-constraints.ts';
import type { Matchable } from '#control-plane/apiserver/chain/admission/match/match-index.ts';
import { MatchConditions } from '#control-plane/apiserver/chain/admission/match/match-conditions.ts';

/** Where a hook answers. */
export type HookPlace =
  | { readonly kind: 'url'; readonly url: string }
  | {
      readonly kind: 'service';
      readonly namespace: string;
      readonly name: string;
      readonly port: number;
      /** Begins with a slash. */
      readonly path: string;
    };

export type ReviewVersion = 'v1' | 'v1beta1';

/** One webhook of a configuration, read once. */
export interface Hook {
  /** The configuration's name. */
  readonly configuration: string;
  readonly name: string;
  /** Its place among all of its sort: by the names of configurations, and in each as it stands. */
  readonly position: number;
  /** Tells it from all others: two configurations may call theirs alike. */
  readonly id: string;
  readonly place: HookPlace;
  /** PEM of those who may have signed its certificate; '' for those that everybody trusts. */
  readonly caPem: string;
  /** Whether a request goes on where the hook could not be asked. */
  readonly failsOpen: boolean;
  /** Whether it may be asked in a dry run. undefined: nobody said. */
  readonly isHarmless: boolean | undefined;
  readonly timeoutMs: number;
  /** The first that both know; undefined: there is none. */
  readonly reviewVersion: ReviewVersion | undefined;
  /** Whether it is asked again when somebody changed the object after it. */
  readonly isReinvoked: boolean;
  readonly conditions: MatchConditions;
}

const secondsDefault = 10;
const servicePort = 443;

/** The hooks of a configuration (Validating- or MutatingWebhookConfiguration), in order. */
export function hooksOf(
  configuration: JsonObject,
  how: { readonly isStatic?: boolean } = {},
): readonly Matchable<Hook>[] {
  const name = stringOf(at(configuration, 'metadata.name'));
  const seen = new Map<string, number>();
  return objectsOf(configuration['webhooks']).map((each) => {
    const hook = each as unknown as MutatingWebhook & ValidatingWebhook;
    const count = seen.get(hook.name) ?? 0;
    seen.set(hook.name, count + 1);
    return {
      item: hookOf(name, `${how.isStatic === true ? 'static ' : ''}${name}/${hook.name}/${count}`, hook),
      constraints: matchConstraintsOf(hook, how),
    };
  });
}

function hookOf(configuration: string, id: string, hook: MutatingWebhook & ValidatingWebhook): Hook {
  const { name, clientConfig, sideEffects, timeoutSeconds = secondsDefault } = hook;
  return {
    ...{ configuration, id, name, position: 0 },
    place: placeOf(clientConfig),
    caPem: Buffer.from(clientConfig.caBundle ?? '', 'base64').toString('utf8'),
    failsOpen: hook.failurePolicy === 'Ignore',
    isHarmless:
      sideEffects === undefined ? undefined : sideEffects === 'None' || sideEffects === 'NoneOnDryRun',
    timeoutMs: timeoutSeconds * 1000,
    reviewVersion: (hook.admissionReviewVersions ?? []).find(isReviewVersion),
    isReinvoked: hook.reinvocationPolicy === 'IfNeeded',
    conditions: new MatchConditions((hook.matchConditions ?? []).map(({ expression }) => expression)),
  };
}

function isReviewVersion(text: string): text is ReviewVersion {
  return text === 'v1' || text === 'v1beta1';
}

/** Reads where a hook, or whoever is asked as one, answers. */
export function placeOf({ url, service }: WebhookClientConfig): HookPlace {
  if (url !== undefined || !isObject(service)) return { kind: 'url', url: url ?? '' };
  const { namespace, name, port = servicePort, path = '' } = service;
  return { kind: 'service', namespace, name, port, path: path.startsWith('/') ? path : `/${path}` };
}
