import { invalidField, type FieldError } from '#api/errors/field-error.ts';
import { tryParseQuantity } from '#api/meta/quantity.ts';
import { formatErrors, qualifiedName } from './format.ts';

/**
 * Names of what is given out and counted (kubernetes pkg/apis/core/helper). A name without a domain is Kubernetes' own, one with a
 * domain is an extended resource, which nobody may overcommit.
 */
const containerResources = /^(cpu|memory|ephemeral-storage|hugepages-.*)$/;
const counts =
  /^(pods|resourcequotas|services|replicationcontrollers|secrets|configmaps|persistentvolumeclaims|services\.nodeports|services\.loadbalancers)$/;
const amounts =
  /^((requests\.|limits\.)?(cpu|memory|ephemeral-storage)|requests\.storage|(requests\.)?hugepages-.*)$/;

/** Whether a quota may limit it by this bare name. */
export function isQuotaResource(name: string): boolean {
  return counts.test(name) || amounts.test(name);
}

/** What is wrong with the name of any resource. */
export function resourceNameErrors(field: string, name: string): readonly FieldError[] {
  const errors = formatErrors(field, name, qualifiedName);
  if (errors.length > 0 || name.includes('/') || name === 'storage' || isQuotaResource(name)) return errors;
  return [invalidField(field, name, 'must be a standard resource type or fully qualified')];
}

/** What is wrong with the name of a resource that a container asks for. */
export function containerResourceErrors(field: string, name: string): readonly FieldError[] {
  const errors = resourceNameErrors(field, name);
  if (!name.includes('/')) {
    return containerResources.test(name)
      ? errors
      : [...errors, invalidField(field, name, 'must be a standard resource for containers')];
  }
  return isNativeResource(name) || isExtendedResource(name)
    ? errors
    : [...errors, invalidField(field, name, "doesn't follow extended resource name standard")];
}

/** Whether more of it may be promised than there is. */
export function mayBeOvercommitted(name: string): boolean {
  return isNativeResource(name) && !name.startsWith('hugepages-');
}

/** An amount of a resource: not negative, and whole where the resource has no parts. */
export function amountErrors(field: string, name: string, value: unknown): readonly FieldError[] {
  const nanos = tryParseQuantity(value)?.nanos ?? 0n;
  const isWhole = !(counts.test(name) || isExtendedResource(name)) || nanos % 1_000_000_000n === 0n;
  return [
    ...(nanos < 0n ? [invalidField(field, value, 'must be greater than or equal to 0')] : []),
    ...(isWhole ? [] : [invalidField(field, value, 'must be an integer')]),
  ];
}

/** Whether Kubernetes itself names it: without a domain, or with its own. */
export function isNativeResource(name: string): boolean {
  return !name.includes('/') || name.includes('kubernetes.io/');
}

/** Whether it is a device or the like of somebody else, named by a domain. */
export function isExtendedResource(name: string): boolean {
  // It must be a name behind `requests.`, too: as a quota has it.
  return (
    !isNativeResource(name) && !name.startsWith('requests.') && qualifiedName(`requests.${name}`).length === 0
  );
}
