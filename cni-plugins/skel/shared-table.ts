import { isPodwrightError } from '#base/errors.ts';
import { ownNetns } from '#native/netlink/netlink.ts';
import type { Nft, NftOp, NftTable } from '#native/nft/nft.ts';

/**
 * Commits changes inside a table that several calls of a plugin share. The common case is one commit; where the table is
 * missing it is made in the same transaction, and never replaced: another call may have put its elements in by now.
 */
export async function commitInTable(nft: Nft, table: NftTable, ops: readonly NftOp[]): Promise<void> {
  try {
    return await nft.commit(ownNetns, ops);
  } catch (error) {
    if (!isPodwrightError(error, 'E_NOT_FOUND')) throw error;
  }
  try {
    return await nft.commit(ownNetns, [...createTableOps(table), ...ops]);
  } catch (error) {
    if (!isPodwrightError(error, 'E_EXISTS')) throw error;
  }
  return nft.commit(ownNetns, ops);
}

/** Removes elements one by one, so that one that is gone does not keep the others. */
export async function removeFromTable(nft: Nft, ops: readonly NftOp[]): Promise<void> {
  for (const op of ops) {
    try {
      await nft.commit(ownNetns, [op]);
    } catch (error) {
      if (!isPodwrightError(error, 'E_NOT_FOUND')) throw error;
    }
  }
}

function createTableOps(table: NftTable): readonly NftOp[] {
  return [
    { op: 'ensureTable', table },
    ...table.sets.map((set): NftOp => ({ op: 'addSet', table, set })),
    ...table.chains.map((chain): NftOp => ({ op: 'addChain', table, chain })),
    ...table.chains.flatMap(({ name, rules }) =>
      rules.map((rule): NftOp => ({ op: 'addRule', table, chain: name, rule })),
    ),
  ];
}
