import type { JsonObject } from '#api/meta/object.ts';
import { equalJson, stringOf } from '#api/wire/json.ts';

/** Whether who bears the first bears all that the second lets bear (kubernetes pkg/util/tolerations). */
export function covers(wide: JsonObject, narrow: JsonObject): boolean {
  const [most, least] = [partsOf(wide), partsOf(narrow)];
  if (equalJson(most, least)) return true;
  if (least.key !== most.key && (most.key !== '' || most.operator !== 'Exists')) return false;
  if (least.effect !== most.effect && most.effect !== '') return false;
  if (most.effect === 'NoExecute' && !lastsAsLong(most.seconds, least.seconds)) return false;
  switch (most.operator) {
    case '':
    case 'Equal':
      return least.operator === 'Equal' && least.value === most.value;
    case 'Exists':
      return true;
    default:
      return false;
  }
}

/** Both lists in order, without what another one covers; of equal ones the first. */
export function mergeTolerations(
  first: readonly JsonObject[],
  second: readonly JsonObject[],
): readonly JsonObject[] {
  const all = [...first, ...second];
  const merged: JsonObject[] = [];
  all.forEach((one, index) => {
    const isCovered =
      merged.some((other) => covers(other, one)) ||
      all.slice(index + 1).some((other) => !isSameToleration(other, one) && covers(other, one));
    if (!isCovered) merged.push(one);
  });
  return merged;
}

/** Whether each is covered by one of the allowed; none allowed: all are. */
export function areAllowed(tolerations: readonly JsonObject[], allowed: readonly JsonObject[]): boolean {
  return (
    allowed.length === 0 || tolerations.every((one) => allowed.some((allowance) => covers(allowance, one)))
  );
}

/** Whether two say the same: what is not said is said empty. */
export function isSameToleration(a: JsonObject, b: JsonObject): boolean {
  return equalJson(partsOf(a), partsOf(b));
}

function lastsAsLong(most: unknown, least: unknown): boolean {
  return typeof most !== 'number' || (typeof least === 'number' && least <= most);
}

interface Parts extends JsonObject {
  readonly key: string;
  readonly operator: string;
  readonly value: string;
  readonly effect: string;
  /** A number, or undefined: for ever. */
  readonly seconds: unknown;
}

function partsOf(toleration: JsonObject): Parts {
  return {
    key: stringOf(toleration['key']),
    operator: stringOf(toleration['operator']),
    value: stringOf(toleration['value']),
    effect: stringOf(toleration['effect']),
    seconds: toleration['tolerationSeconds'],
  };
}
