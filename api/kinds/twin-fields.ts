import { isObject, listOf, stringOf, type Draft } from '#api/wire/json.ts';

/** A field that is the first of a list beside it (KEP 563): whoever writes one writes both. */
export interface Twins {
  /** Of the object: what holds both. */
  readonly holder: 'spec' | 'status';
  readonly single: string;
  readonly list: string;
  /** The member of an item that the single one is; undefined where the items are texts. */
  readonly member?: string;
}

/**
 * Makes the two say the same, as conversion does in upstream's core/v1: where they differ the single one counts, for clients that know
 * no other.
 */
export function joinTwins(object: Draft, { holder, single, list, member }: Twins): void {
  const at = object[holder];
  if (!isObject(at)) return;
  const values = at as Draft;
  const [first] = listOf(values[list]);
  const listed = stringOf(member !== undefined && isObject(first) ? first[member] : first);
  const said = stringOf(values[single]);
  if (said === listed) return;
  if (said === '') values[single] = listed;
  else values[list] = [member === undefined ? said : { [member]: said }];
}
