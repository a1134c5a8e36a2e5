/**
 * Which address families a Service has: those of its ipFamilyPolicy and of what it says itself, as far as the cluster has them
 * (KEP-563; registry/core/service/storage initIPFamilyFields). Pure.
 */
import { equalJson, listOf, objectOf, stringOf, withPath } from '#api/wire/json.ts';
import { invalidField, type FieldError } from '#api/errors/field-error.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { clusterAddressErrors, ipFamilyNames, isHeadless } from './cluster-addresses.ts';
import { familyOfIp, type IpFamily } from '#base/ip.ts';

export type ServiceFamily = 'IPv4' | 'IPv6';

export interface SettledFamilies {
  readonly service: JsonObject;
  readonly errors: readonly FieldError[];
}

/**
 * The Service with clusterIPs, ipFamilyPolicy and ipFamilies as far as they follow from what it says; or what is wrong with that.
 * `cluster`: families of Service addresses, the default one first. `old`: as it was before an update. A Service never gains or
 * loses a family because the cluster did: only with a change of its own.
 */
export function settleFamilies(
  given: JsonObject,
  old: JsonObject | undefined,
  cluster: readonly IpFamily[],
): SettledFamilies {
  const service = withPath(given, 'spec', withAddressList(objectOf(given['spec'])));
  const before = old === undefined ? undefined : objectOf(old['spec']);
  const first = objectOf(service['spec']);
  if (first['type'] === 'ExternalName') return { service: given, errors: [] };
  if (before !== undefined && isKeptPreferDual(before, first)) return { service, errors: [] };
  let spec: JsonObject = { ...first, ipFamilyPolicy: policyOf(first, before) };
  const broken = clusterAddressErrors(spec);
  if (broken.length > 0) return { service, errors: broken };
  if (before !== undefined && spec['ipFamilyPolicy'] === 'SingleStack') spec = releaseSecond(before, spec);
  const errors = [...reductionErrors(before, spec), ...countErrors(spec)];
  spec = { ...spec, ipFamilies: familiesWithAddresses(spec) };
  if (errors.length > 0) return { service, errors };
  const names = cluster.map((family) => ipFamilyNames[family]);
  const isOthers = isHeadless(spec) && !hasSelector(spec);
  const absent = isOthers ? [] : absenceErrors(spec, names);
  if (absent.length > 0) return { service, errors: absent };
  return {
    service: { ...service, spec: { ...spec, ipFamilies: completed(spec, names, isOthers) } },
    errors: [],
  };
}

/** Families for which a Service has no address yet: none if it is headless, or another name. */
export function familiesToServe(spec: JsonObject): readonly ServiceFamily[] {
  if (spec['type'] === 'ExternalName' || isHeadless(spec)) return [];
  const families = listOf(spec['ipFamilies']).filter(
    (family): family is ServiceFamily => family === 'IPv4' || family === 'IPv6',
  );
  return families.slice(listOf(spec['clusterIPs']).length);
}

/** Old clients know one address alone. */
function withAddressList(spec: JsonObject): JsonObject {
  const first = stringOf(spec['clusterIP']);
  return first === '' || listOf(spec['clusterIPs']).length > 0 ? spec : { ...spec, clusterIPs: [first] };
}

function hasSelector(spec: JsonObject): boolean {
  return Object.keys(objectOf(spec['selector'])).length > 0;
}

function isKeptPreferDual(before: JsonObject, after: JsonObject): boolean {
  const same = ['type', 'clusterIPs', 'ipFamilies', 'ipFamilyPolicy'];
  return (
    after['ipFamilyPolicy'] === 'PreferDualStack' &&
    listOf(after['ipFamilies']).length > 0 &&
    same.every((field) => equalJson(before[field], after[field]))
  );
}

/** An update that says nothing changes nothing; whose endpoints somebody else writes may have any. */
function policyOf(spec: JsonObject, before: JsonObject | undefined): unknown {
  const said = spec['ipFamilyPolicy'] ?? before?.['ipFamilyPolicy'];
  return said ?? (isHeadless(spec) && !hasSelector(spec) ? 'RequireDualStack' : 'SingleStack');
}

/** One word is enough to go back to one family: what was not touched besides loses its second. */
function releaseSecond(before: JsonObject, spec: JsonObject): JsonObject {
  const kept = (field: string): unknown =>
    equalJson(before[field], spec[field]) ? listOf(spec[field]).slice(0, 1) : spec[field];
  return { ...spec, clusterIPs: kept('clusterIPs'), ipFamilies: kept('ipFamilies') };
}

function reductionErrors(before: JsonObject | undefined, spec: JsonObject): readonly FieldError[] {
  const policy = spec['ipFamilyPolicy'];
  if (before === undefined || policy === 'SingleStack') return [];
  return [
    ['clusterIPs', 'cluster IP'],
    ['ipFamilies', 'IP family'],
  ].flatMap(([field = '', what = '']) => {
    const count = listOf(spec[field]).length;
    return count === 0 || count >= listOf(before[field]).length
      ? []
      : [
          invalidField(
            'spec.ipFamilyPolicy',
            policy,
            `must be 'SingleStack' to release the secondary ${what}`,
          ),
        ];
  });
}

function countErrors(spec: JsonObject): readonly FieldError[] {
  const policy = spec['ipFamilyPolicy'];
  if (policy !== 'SingleStack') return [];
  return [
    ['clusterIPs', 'cluster IPs'],
    ['ipFamilies', 'IP families'],
  ].flatMap(([field = '', what = '']) =>
    listOf(spec[field]).length < 2
      ? []
      : [
          invalidField(
            'spec.ipFamilyPolicy',
            policy,
            `must be 'RequireDualStack' or 'PreferDualStack' when multiple ${what} are specified`,
          ),
        ],
  );
}

/** What is not said follows from the addresses that are. */
function familiesWithAddresses(spec: JsonObject): readonly unknown[] {
  const families = [...listOf(spec['ipFamilies'])];
  for (const address of listOf(spec['clusterIPs']).slice(families.length)) {
    const family = familyOfIp(stringOf(address));
    if (family !== undefined) families.push(ipFamilyNames[family]);
  }
  return families;
}

function absenceErrors(spec: JsonObject, cluster: readonly ServiceFamily[]): readonly FieldError[] {
  const policy = spec['ipFamilyPolicy'];
  const single = 'this cluster is not configured for dual-stack services';
  const absent = listOf(spec['ipFamilies']).flatMap((family, index) =>
    cluster.some((name) => name === family)
      ? []
      : [invalidField(`spec.ipFamilies[${index}]`, family, 'not configured on this cluster')],
  );
  return policy === 'RequireDualStack' && cluster.length < 2
    ? [invalidField('spec.ipFamilyPolicy', policy, single), ...absent]
    : absent;
}

/** At least the default family; the other one too, where it is asked for and there, or where `isOthers` it need not be. */
function completed(
  spec: JsonObject,
  cluster: readonly ServiceFamily[],
  isOthers: boolean,
): readonly unknown[] {
  const said = listOf(spec['ipFamilies']);
  const families = said.length === 0 ? cluster.slice(0, 1) : said;
  const wantsBoth = spec['ipFamilyPolicy'] !== 'SingleStack' && (isOthers || cluster.length > 1);
  if (!wantsBoth || families.length > 1) return families;
  return [...families, families[0] === 'IPv6' ? 'IPv4' : 'IPv6'];
}
