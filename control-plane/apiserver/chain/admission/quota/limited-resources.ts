import { checkConfigDocument, type DocumentKind, type FieldShape } from '#api/config/config-document.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { selectorOf, takesIn, type ScopeSelector } from '#api/quota/scope.ts';
import type { KindName, Usage } from '#api/quota/usage.ts';
import { listOf, objectsOf, stringOf } from '#api/wire/json.ts';
import { wrong } from '#control-plane/apiserver/chain/admission/configuration.ts';

/** What nobody has of without a quota that covers it (apiserver.config.k8s.io/v1 LimitedResource). */
export interface LimitedResource {
  readonly kind: KindName;
  /** Of the names that a quota would limit it by, those that have one of these in them. */
  readonly matchContains: readonly string[];
  readonly matchScopes: readonly ScopeSelector[];
}

/** What of an object has to be covered by some quota. */
export interface MustBeCovered {
  readonly names: readonly string[];
  readonly scopes: readonly ScopeSelector[];
}

/** What has to be covered of an object that takes this. As upstream has it, the scopes of all limits are looked at, whatever their kind. */
export function mustBeCovered(
  limits: readonly LimitedResource[],
  { kind, object, usage }: { readonly kind: KindName; readonly object: JsonObject; readonly usage: Usage },
): MustBeCovered {
  const parts = limits
    .filter((limit) => limit.kind.group === kind.group && limit.kind.resource === kind.resource)
    .flatMap(({ matchContains }) => matchContains);
  const names = [...usage].flatMap(([name, { nanos }]) =>
    nanos > 0n && parts.some((part) => name.includes(part)) ? [name] : [],
  );
  const scopes = limits.flatMap(({ matchScopes }) =>
    matchScopes.filter((selector) => takesIn(selector, kind, object)),
  );
  return { names: names.toSorted(), scopes };
}

/** `{PriorityClass In [high low]}`, as Go writes such a struct. */
export function renderScope({ scope, operator, values }: ScopeSelector): string {
  return `{${scope} ${operator} [${values.join(' ')}]}`;
}

/** Limits of one configuration, at most. */
const limitCountMax = 1000;
const scopes = ['PriorityClass', 'CrossNamespacePodAffinity', 'VolumeAttributesClass'].concat(
  ...['Terminating', 'NotTerminating', 'BestEffort', 'NotBestEffort'],
);
const operators = ['In', 'NotIn', 'Exists', 'DoesNotExist'];

const requirement: FieldShape = { scopeName: 'string', operator: 'string', values: ['string'] };
const fields = {
  limitedResources: [
    {
      ...{ apiGroup: 'string', resource: 'string' },
      ...{ matchContains: ['string'], matchScopes: [requirement] },
    },
  ],
} satisfies Readonly<Record<string, FieldShape>>;
const current: DocumentKind = {
  ...{ kind: 'ResourceQuotaConfiguration', apiVersions: ['apiserver.config.k8s.io/v1'], fields },
};
const older: DocumentKind = {
  kind: 'Configuration',
  apiVersions: ['v1beta1', 'v1alpha1'].map((version) => `resourcequota.admission.k8s.io/${version}`),
  fields,
};

/** The configuration of ResourceQuota. @throws {E_INVALID} beginning with the field that is wrong */
export function parseLimitedResources(value: JsonObject): readonly LimitedResource[] {
  const isOlder = older.apiVersions.some((version) => version === value['apiVersion']);
  const given = checkConfigDocument(value, isOlder ? older : current);
  const limits = objectsOf(given['limitedResources']);
  if (limits.length > limitCountMax) throw wrong('limitedResources', `must be ${limitCountMax} at most`);
  return limits.map((limit, index) => parseLimit(limit, `limitedResources[${index}]`));
}

function parseLimit(limit: JsonObject, path: string): LimitedResource {
  const resource = stringOf(limit['resource']);
  if (resource === '') throw wrong(`${path}.resource`, 'say which, in the plural');
  const matchScopes = objectsOf(limit['matchScopes']).map((one, index) => {
    const selector = selectorOf(one);
    const at = `${path}.matchScopes[${index}]`;
    if (!scopes.includes(selector.scope))
      throw wrong(`${at}.scopeName`, `must be one of ${scopes.join(', ')}`);
    if (!operators.includes(selector.operator))
      throw wrong(`${at}.operator`, `must be one of ${operators.join(', ')}`);
    return selector;
  });
  const matchContains = listOf(limit['matchContains']).map(stringOf);
  return { kind: { group: stringOf(limit['apiGroup']), resource }, matchContains, matchScopes };
}
