import { checkConfigDocument, type DocumentKind } from '#api/config/config-document.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { numberOf, objectsOf } from '#api/wire/json.ts';
import { wrong } from '#control-plane/apiserver/chain/admission/configuration.ts';

/** What events are counted by. */
export const limitTypes = ['Server', 'Namespace', 'User', 'SourceAndObject'] as const;
export type LimitType = (typeof limitTypes)[number];

/** eventratelimit.admission.k8s.io/v1alpha1 Limit. */
export interface RateLimit {
  readonly type: LimitType;
  /** Events a second, for ever. */
  readonly qps: number;
  /** Events at once. */
  readonly burst: number;
  /** Keys that are counted at one time; who has not been seen for longest is forgotten, and begins anew. */
  readonly cacheSize: number;
}

/** Keys, where the configuration says none or 0 (upstream's). */
const cacheSizeDefault = 4096;
/** Keys of one limit: each costs some hundred bytes. */
const cacheSizeMax = 1_000_000;
/** Limits of one configuration. */
const limitCountMax = 64;
const int32Max = 2 ** 31 - 1;

const document: DocumentKind = {
  kind: 'Configuration',
  apiVersions: ['eventratelimit.admission.k8s.io/v1alpha1'],
  fields: { limits: [{ type: 'string', qps: 'integer', burst: 'integer', cacheSize: 'integer' }] },
};

/** The configuration of EventRateLimit. @throws {E_INVALID} beginning with the field that is wrong */
export function parseRateLimits(value: JsonObject): readonly RateLimit[] {
  const limits = objectsOf(checkConfigDocument(value, document)['limits']);
  if (limits.length === 0) throw wrong('limits', 'must not be empty');
  if (limits.length > limitCountMax) throw wrong('limits', `must be ${limitCountMax} at most`);
  return limits.map((limit, index) => parseLimit(limit, `limits[${index}]`));
}

function parseLimit(limit: JsonObject, path: string): RateLimit {
  const type = limitTypes.find((known) => known === limit['type']);
  if (type === undefined) throw wrong(`${path}.type`, `must be one of ${limitTypes.join(', ')}`);
  const amountAt = (field: 'qps' | 'burst' | 'cacheSize'): number => {
    const value = numberOf(limit[field]);
    if (value > int32Max) throw wrong(`${path}.${field}`, `must be ${int32Max} at most`);
    return value;
  };
  const positiveAt = (field: 'qps' | 'burst'): number => {
    const value = amountAt(field);
    if (value <= 0) throw wrong(`${path}.${field}`, 'must be positive');
    return value;
  };
  const size = amountAt('cacheSize');
  if (size < 0) throw wrong(`${path}.cacheSize`, 'must not be negative');
  if (size > cacheSizeMax) throw wrong(`${path}.cacheSize`, `must be ${cacheSizeMax} at most`);
  return {
    ...{ type, qps: positiveAt('qps'), burst: positiveAt('burst') },
    cacheSize: size === 0 ? cacheSizeDefault : size,
  };
}
