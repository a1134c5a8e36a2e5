/** Set and map elements as messages: the hot path, 50,000 elements of a large cluster in one batch. Pure. */
import { PodwrightError } from '#base/errors.ts';
import type { MessageWriter } from '#native/netlink/codec.ts';
import { NLM_F_CREATE } from '#native/netlink/netlink-constants.ts';
import type { Batch } from './batch.ts';
import { writeVerdict } from './expressions.ts';
import type { NftElement, NftOp, NftSet, NftValue } from './nft.ts';
import * as nft from './nftables-constants.ts';
import { dataValueTypes, keyBytes, keyValueTypes } from './set-layout.ts';
import { slotBytes, successor, typeFacts, valueRange, type ValueType, writeValue } from './values.ts';

/** The list is one attribute, whose length is 16 bits wide: elements per message, the largest being under 200 bytes. */
const elementsPerMessage = 300;

type ElementsOp = Extract<NftOp, { readonly op: 'addElements' | 'removeElements' }>;

/** Writes as many messages as the elements need. @throws E_INVALID */
export function encodeElements(batch: Batch, op: ElementsOp): void {
  const isAdding = op.op === 'addElements';
  const entries = new ElementEncoder(op.set, isAdding);
  for (let start = 0; start < op.elements.length; start += elementsPerMessage) {
    const [type, flags] = isAdding ? [nft.NFT_MSG_NEWSETELEM, NLM_F_CREATE] : [nft.NFT_MSG_DELSETELEM, 0];
    batch.message(type, flags, op.table, (writer) => {
      writer.text(nft.NFTA_SET_ELEM_LIST_TABLE, op.table.name);
      writer.text(nft.NFTA_SET_ELEM_LIST_SET, op.set.name);
      writer.nested(nft.NFTA_SET_ELEM_LIST_ELEMENTS, () => {
        const end = Math.min(start + elementsPerMessage, op.elements.length);
        for (let index = start; index < end; index++) {
          const element = op.elements[index];
          if (element !== undefined) entries.write(writer, element);
        }
      });
    });
  }
}

/** Elements of one set; what follows from the set's types is worked out once. */
class ElementEncoder {
  readonly #set: NftSet;
  readonly #isAdding: boolean;
  readonly #keyTypes: readonly ValueType[];
  readonly #dataTypes: readonly ValueType[] | undefined;
  readonly #key: Buffer;
  readonly #data: Buffer;

  constructor(set: NftSet, isAdding: boolean) {
    this.#set = set;
    this.#isAdding = isAdding;
    this.#keyTypes = keyValueTypes(set);
    this.#dataTypes = dataValueTypes(set);
    this.#key = Buffer.alloc(keyBytes(this.#keyTypes));
    this.#data = Buffer.alloc(keyBytes(this.#dataTypes ?? []));
  }

  write(writer: MessageWriter, element: NftElement): void {
    if (element.key.length !== this.#keyTypes.length) {
      throw this.#invalid(element, `key of ${this.#keyTypes.length} values wanted`);
    }
    if (this.#set.interval !== true) {
      this.#writeValues(this.#key, this.#keyTypes, element.key);
      return this.#entry(writer, element, { from: this.#key });
    }
    const [from, to] = this.#ranges(element.key);
    if (this.#keyTypes.length > 1) return this.#entry(writer, element, { from, to });
    return this.#intervalEntries(writer, element, { from, to });
  }

  /** A single-value interval set keeps two entries per interval: its start, and the first value after it. */
  #intervalEntries(
    writer: MessageWriter,
    element: NftElement,
    range: { readonly from: Buffer; readonly to: Buffer },
  ): void {
    this.#entry(writer, element, { from: range.from });
    const end = successor(range.to);
    if (end === undefined) return; // Up to the last value there is: nothing ends it.
    writer.nested(nft.NFTA_LIST_ELEM, () => {
      writer.nested(nft.NFTA_SET_ELEM_KEY, () => writer.attribute(nft.NFTA_DATA_VALUE, end));
      writer.u32Be(nft.NFTA_SET_ELEM_FLAGS, nft.NFT_SET_ELEM_INTERVAL_END);
    });
  }

  #entry(
    writer: MessageWriter,
    element: NftElement,
    key: { readonly from: Buffer; readonly to?: Buffer },
  ): void {
    const { from, to } = key;
    writer.nested(nft.NFTA_LIST_ELEM, () => {
      writer.nested(nft.NFTA_SET_ELEM_KEY, () => writer.attribute(nft.NFTA_DATA_VALUE, from));
      if (to !== undefined) {
        writer.nested(nft.NFTA_SET_ELEM_KEY_END, () => writer.attribute(nft.NFTA_DATA_VALUE, to));
      }
      if (!this.#isAdding) return; // To remove, the key says enough.
      this.#writeData(writer, element);
      if (element.timeoutMs !== undefined) writer.u64Be(nft.NFTA_SET_ELEM_TIMEOUT, BigInt(element.timeoutMs));
    });
  }

  #writeData(writer: MessageWriter, element: NftElement): void {
    const { data } = element;
    if (this.#set.dataTypes === undefined) {
      if (data !== undefined) throw this.#invalid(element, 'data in a set that is no map');
      return;
    }
    const types = this.#dataTypes;
    if (types === undefined) {
      if (data === undefined || !('kind' in data)) throw this.#invalid(element, 'a verdict wanted');
      writer.nested(nft.NFTA_SET_ELEM_DATA, () => writeVerdict(writer, data));
      return;
    }
    if (data === undefined || 'kind' in data || data.length !== types.length) {
      throw this.#invalid(element, `data of ${types.length} values wanted`);
    }
    this.#writeValues(this.#data, types, data);
    writer.nested(nft.NFTA_SET_ELEM_DATA, () => writer.attribute(nft.NFTA_DATA_VALUE, this.#data));
  }

  #writeValues(target: Buffer, types: readonly ValueType[], values: readonly NftValue[]): void {
    target.fill(0);
    let offset = 0;
    types.forEach((type, index) => {
      writeValue(type, values[index] ?? '', target, offset);
      offset += slotBytes(type);
    });
  }

  #ranges(values: readonly NftValue[]): readonly [from: Buffer, to: Buffer] {
    const [from, to] = [Buffer.alloc(this.#key.length), Buffer.alloc(this.#key.length)];
    let offset = 0;
    this.#keyTypes.forEach((type, index) => {
      const [first, last] = valueRange(type, values[index] ?? '');
      first.copy(from, offset, 0, typeFacts[type].bytes);
      last.copy(to, offset, 0, typeFacts[type].bytes);
      offset += slotBytes(type);
    });
    return [from, to];
  }

  #invalid(element: NftElement, why: string): PodwrightError {
    return new PodwrightError(
      'E_INVALID',
      `encode element ${JSON.stringify(element.key)} of ${this.#set.name}: ${why}`,
    );
  }
}
