import type { JsonObject } from '#api/meta/object.ts';
import { at, listOf, objectOf, stringOf } from '#api/wire/json.ts';
import type { Conversion } from './custom-form.ts';

/** Reads CustomResourceConversion. */
export function readConversion(conversion: JsonObject): Conversion {
  if (conversion['strategy'] !== 'Webhook') return { kind: 'none' };
  const webhook = objectOf(conversion['webhook']);
  return {
    kind: 'webhook',
    webhook: {
      reviewVersions: listOf(at(webhook, 'conversionReviewVersions')).map(stringOf),
      client: objectOf(webhook['clientConfig']),
    },
  };
}
