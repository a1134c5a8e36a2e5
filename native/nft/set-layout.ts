/** What a set's declaration means for its keys and data. Pure. */
import { PodwrightError } from '#base/errors.ts';
import type { NftSet, NftType } from './nft.ts';
import { slotBytes, typeFacts, type ValueType } from './values.ts';

/** The value types of a map's data; undefined for a verdict map, or no map. */
export function dataValueTypes(set: NftSet): readonly ValueType[] | undefined {
  const types = set.dataTypes?.filter((type) => type !== 'verdict');
  return types === undefined || types.length === 0 ? undefined : types;
}

/** The value types of a set's key. @throws E_INVALID for a verdict there, or no key */
export function keyValueTypes(set: NftSet): readonly ValueType[] {
  const types = set.keyTypes.filter((type: NftType) => type !== 'verdict');
  if (types.length === set.keyTypes.length && types.length > 0) return types;
  throw new PodwrightError('E_INVALID', `encode set ${set.name}: key of type ${set.keyTypes.join(' . ')}`);
}

/** A single value has its own width; in a concatenation each takes whole registers. */
export function keyBytes(types: readonly ValueType[]): number {
  const [only] = types;
  if (types.length === 1 && only !== undefined) return typeFacts[only].bytes;
  return types.reduce((sum, type) => sum + slotBytes(type), 0);
}

/** libnftables' number of a type: six bits per value of a concatenation. Only for printing. */
export const printedType = (types: readonly ValueType[]): number =>
  types.reduce((id, type) => (id << 6) | typeFacts[type].nftId, 0);
