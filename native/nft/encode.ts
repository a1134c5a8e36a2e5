/** NftOps as one nfnetlink batch, which the kernel commits whole or not at all (linux/netfilter/nfnetlink.h). Pure. */
import { PodwrightError } from '#base/errors.ts';
import { unreachable } from '#base/unreachable.ts';
import type { MessageWriter } from '#native/netlink/codec.ts';
import { NLM_F_APPEND, NLM_F_CREATE, NLM_F_EXCL } from '#native/netlink/netlink-constants.ts';
import { Batch } from './batch.ts';
import { encodeElements } from './elements.ts';
import { writeExpressions } from './expressions.ts';
import { splitReject } from './loads.ts';
import type { NftChain, NftCounter, NftOp, NftRule, NftSet, NftTable, TableRef } from './nft.ts';
import * as nft from './nftables-constants.ts';
import { dataValueTypes, keyBytes, keyValueTypes, printedType } from './set-layout.ts';
import { typeFacts, type ValueType } from './values.ts';

const hookNumbers = {
  prerouting: nft.NF_INET_PRE_ROUTING,
  input: nft.NF_INET_LOCAL_IN,
  forward: nft.NF_INET_FORWARD,
  output: nft.NF_INET_LOCAL_OUT,
  postrouting: nft.NF_INET_POST_ROUTING,
} as const;

/** nft's NFTNL_UDATA_RULE_COMMENT; the text's length, its NUL included, is one byte, and nft takes 128. */
const userdataComment = 0;
export const commentBytesMax = 127;

/** A whole transaction as bytes for one send. */
export interface EncodedBatch {
  readonly bytes: Buffer;
  /** Of the message whose acknowledgement says that the batch was committed. */
  readonly lastSequence: number;
  /** Index of the op that a message belongs to; undefined for the batch's own frame. */
  opOfSequence(sequence: number): number | undefined;
}

/** @throws E_INVALID, E_LIMIT for values that cannot be encoded, with detail.index of the op */
export function encodeBatch(ops: readonly NftOp[]): EncodedBatch {
  const batch = new Batch();
  const firstSequences: number[] = [];
  ops.forEach((op, index) => {
    firstSequences.push(batch.nextSequence);
    try {
      writeOp(batch, op);
    } catch (error) {
      if (!(error instanceof PodwrightError)) throw error;
      throw new PodwrightError(error.code, error.message, { detail: { ...error.detail, index } });
    }
  });
  return {
    ...batch.finish(),
    opOfSequence: (sequence) => {
      const after = firstSequences.findIndex((first) => first > sequence);
      const index = after < 0 ? firstSequences.length - 1 : after - 1;
      return index < 0 ? undefined : index;
    },
  };
}

function writeOp(batch: Batch, op: NftOp): void {
  switch (op.op) {
    case 'replaceTable':
      return writeWholeTable(batch, op.table);
    case 'ensureTable':
      return writeTable(batch, op.table);
    case 'removeTable':
      // Made if missing, then removed: works on kernels that have no NFT_MSG_DESTROYTABLE (before 6.3).
      writeTable(batch, op.table);
      return batch.message(nft.NFT_MSG_DELTABLE, 0, op.table, (writer) =>
        writer.text(nft.NFTA_TABLE_NAME, op.table.name),
      );
    case 'addSet':
      return writeSet(batch, op.table, op.set);
    case 'removeSet':
      return batch.message(nft.NFT_MSG_DELSET, 0, op.table, (writer) =>
        writer.text(nft.NFTA_SET_TABLE, op.table.name).text(nft.NFTA_SET_NAME, op.name),
      );
    case 'addCounter':
      return writeCounter(batch, op.table, op.counter);
    case 'removeCounter':
      return batch.message(nft.NFT_MSG_DELOBJ, 0, op.table, (writer) =>
        writer
          .text(nft.NFTA_OBJ_TABLE, op.table.name)
          .text(nft.NFTA_OBJ_NAME, op.name)
          .u32Be(nft.NFTA_OBJ_TYPE, nft.NFT_OBJECT_COUNTER),
      );
    case 'addChain':
      return writeChain(batch, op.table, op.chain);
    case 'flushChain':
      return batch.message(nft.NFT_MSG_DELRULE, 0, op.table, (writer) =>
        writer.text(nft.NFTA_RULE_TABLE, op.table.name).text(nft.NFTA_RULE_CHAIN, op.name),
      );
    case 'removeChain':
      return batch.message(nft.NFT_MSG_DELCHAIN, 0, op.table, (writer) =>
        writer.text(nft.NFTA_CHAIN_TABLE, op.table.name).text(nft.NFTA_CHAIN_NAME, op.name),
      );
    case 'addRule':
      return writeRule(batch, op.table, op);
    case 'addElements':
    case 'removeElements':
      return encodeElements(batch, op);
    default:
      unreachable(op);
  }
}

/** Counters and chains before elements and rules, which name them; sets before the rules that look them up. */
function writeWholeTable(batch: Batch, table: NftTable): void {
  writeOp(batch, { op: 'removeTable', table });
  writeTable(batch, table);
  for (const counter of table.counters ?? []) writeCounter(batch, table, counter);
  for (const chain of table.chains) writeChain(batch, table, chain);
  const sets = new Map(table.sets.map((set) => [set.name, set]));
  for (const set of table.sets) writeSet(batch, table, set);
  for (const [name, elements] of Object.entries(table.elements)) {
    const set = sets.get(name);
    if (set === undefined) {
      throw new PodwrightError('E_INVALID', `encode table ${table.name}: elements of unknown set ${name}`);
    }
    encodeElements(batch, { op: 'addElements', table, set, elements });
  }
  for (const chain of table.chains) {
    for (const rule of chain.rules) writeRule(batch, table, { chain: chain.name, rule });
  }
}

function writeTable(batch: Batch, table: TableRef): void {
  batch.message(nft.NFT_MSG_NEWTABLE, NLM_F_CREATE, table, (writer) =>
    writer.text(nft.NFTA_TABLE_NAME, table.name),
  );
}

function writeCounter(batch: Batch, table: TableRef, counter: NftCounter): void {
  batch.message(nft.NFT_MSG_NEWOBJ, NLM_F_CREATE | NLM_F_EXCL, table, (writer) => {
    writer.text(nft.NFTA_OBJ_TABLE, table.name).text(nft.NFTA_OBJ_NAME, counter.name);
    writer.u32Be(nft.NFTA_OBJ_TYPE, nft.NFT_OBJECT_COUNTER);
    writer.nested(nft.NFTA_OBJ_DATA, () => {
      writer.u64Be(nft.NFTA_COUNTER_BYTES, BigInt(counter.bytes));
      writer.u64Be(nft.NFTA_COUNTER_PACKETS, BigInt(counter.packets));
    });
  });
}

function writeChain(batch: Batch, table: TableRef, chain: NftChain): void {
  batch.message(nft.NFT_MSG_NEWCHAIN, NLM_F_CREATE | NLM_F_EXCL, table, (writer) => {
    writer.text(nft.NFTA_CHAIN_TABLE, table.name).text(nft.NFTA_CHAIN_NAME, chain.name);
    const { hook } = chain;
    if (hook === undefined) return;
    writer.nested(nft.NFTA_CHAIN_HOOK, () => {
      writer.u32Be(nft.NFTA_HOOK_HOOKNUM, hookNumbers[hook.hook]);
      writer.u32Be(nft.NFTA_HOOK_PRIORITY, hook.priority);
    });
    writer.u32Be(nft.NFTA_CHAIN_POLICY, hook.policy === 'drop' ? nft.NF_DROP : nft.NF_ACCEPT);
    writer.text(nft.NFTA_CHAIN_TYPE, hook.type);
  });
}

function writeRule(
  batch: Batch,
  table: TableRef,
  place: { readonly chain: string; readonly rule: NftRule },
): void {
  for (const rule of splitReject(place.rule)) {
    batch.message(nft.NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND, table, (writer) => {
      writer.text(nft.NFTA_RULE_TABLE, table.name).text(nft.NFTA_RULE_CHAIN, place.chain);
      writer.nested(nft.NFTA_RULE_EXPRESSIONS, () => writeExpressions(writer, table.family, rule));
      if (rule.comment !== undefined) writer.attribute(nft.NFTA_RULE_USERDATA, commentUserdata(rule.comment));
    });
  }
}

function commentUserdata(comment: string): Buffer {
  const text = Buffer.from(`${comment}\0`);
  if (text.length - 1 > commentBytesMax) {
    throw new PodwrightError('E_LIMIT', `encode rule comment: over ${commentBytesMax} bytes: ${comment}`);
  }
  return Buffer.concat([Buffer.from([userdataComment, text.length]), text]);
}

function writeSet(batch: Batch, table: TableRef, set: NftSet): void {
  const keyTypes = keyValueTypes(set);
  const isConcatenation = keyTypes.length > 1;
  let flags = set.dataTypes === undefined ? 0 : nft.NFT_SET_MAP;
  if (set.interval === true) flags |= nft.NFT_SET_INTERVAL;
  if (set.interval === true && isConcatenation) flags |= nft.NFT_SET_CONCAT;
  if (set.dynamic !== undefined) flags |= nft.NFT_SET_EVAL | nft.NFT_SET_TIMEOUT;
  if (set.interval === true && keyTypes.some((type) => typeFacts[type].isHostOrder === true)) {
    throw new PodwrightError('E_INVALID', `encode set ${set.name}: intervals of values in host byte order`);
  }
  batch.message(nft.NFT_MSG_NEWSET, NLM_F_CREATE | NLM_F_EXCL, table, (writer) => {
    writer.text(nft.NFTA_SET_TABLE, table.name).text(nft.NFTA_SET_NAME, set.name);
    writer.u32Be(nft.NFTA_SET_FLAGS, flags).u32Be(nft.NFTA_SET_ID, batch.newSetId());
    writer.u32Be(nft.NFTA_SET_KEY_TYPE, printedType(keyTypes));
    writer.u32Be(nft.NFTA_SET_KEY_LEN, keyBytes(keyTypes));
    writeDataType(writer, set);
    writer.attribute(nft.NFTA_SET_USERDATA, byteOrderUserdata(keyTypes, dataValueTypes(set) ?? []));
    if (set.dynamic !== undefined) writer.u64Be(nft.NFTA_SET_TIMEOUT, BigInt(set.dynamic.timeoutMs));
    if (set.interval === true && isConcatenation) writeFieldLengths(writer, keyTypes);
  });
}

/** libnftnl's NFTNL_UDATA_SET_KEYBYTEORDER and _DATABYTEORDER: without them nft prints marks and names backwards. */
function byteOrderUserdata(keyTypes: readonly ValueType[], dataTypes: readonly ValueType[]): Buffer {
  const userdata = Buffer.alloc(12);
  [keyTypes, dataTypes].forEach((types, index) => {
    const [type] = types;
    // BYTEORDER_INVALID for none and for concatenations, BYTEORDER_HOST_ENDIAN, BYTEORDER_BIG_ENDIAN.
    const order = type === undefined || types.length > 1 ? 0 : typeFacts[type].isHostOrder === true ? 1 : 2;
    userdata.writeUInt8(index, index * 6);
    userdata.writeUInt8(4, index * 6 + 1);
    userdata.writeUInt32LE(order, index * 6 + 2);
  });
  return userdata;
}

function writeDataType(writer: MessageWriter, set: NftSet): void {
  if (set.dataTypes === undefined) return;
  const types = dataValueTypes(set);
  if (types === undefined) {
    writer.u32Be(nft.NFTA_SET_DATA_TYPE, nft.NFT_DATA_VERDICT);
    return;
  }
  writer.u32Be(nft.NFTA_SET_DATA_TYPE, printedType(types));
  writer.u32Be(nft.NFTA_SET_DATA_LEN, keyBytes(types));
}

/** What pipapo, the kernel's set for concatenated ranges, has to know of its fields. */
function writeFieldLengths(writer: MessageWriter, types: readonly ValueType[]): void {
  writer.nested(nft.NFTA_SET_DESC, () =>
    writer.nested(nft.NFTA_SET_DESC_CONCAT, () => {
      for (const type of types) {
        writer.nested(nft.NFTA_LIST_ELEM, () => writer.u32Be(nft.NFTA_SET_FIELD_LEN, typeFacts[type].bytes));
      }
    }),
  );
}
