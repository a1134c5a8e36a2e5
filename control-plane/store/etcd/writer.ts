import { randomUUID } from 'node:crypto';
import { PodwrightError } from '#base/errors.ts';
import type { KeyValue, TxnResponse } from '#proto/etcd/rpc.ts';
import type { StoredValue, StoreTxn } from '#control-plane/store/store.ts';
import type { EtcdClient } from './client.ts';
import { decodeCurrent, encodeMark, encodeTxn, marksFolder, markText, type Mark } from './txn.ts';

/** `revision`: at which it was done, or at which it was refused. */
export type Written =
  | { readonly isDone: true; readonly revision: number }
  | {
      readonly isDone: false;
      readonly revision: number;
      readonly current: readonly (StoredValue | undefined)[];
    };

/** How often a mark may be found moved within one transaction: by an earlier one whose fate nobody knew, or by a compaction. */
const movesMax = 8;

const decoder = new TextDecoder();

/**
 * Transactions that are done once at most, and of which is known whether they were, over answers that are lost. Each is tried until there
 * is an answer, and beside its own keys puts a mark: a key that no other server and no other transaction under way has, with the number of
 * the attempt, on the revision at which the mark was last known to be.
 *
 *     podwright/attempts/SERVER/SLOT = 7        by the seventh transaction of that slot, at the revision at which that was done
 *
 * A try that finds the mark with its own number knows that an earlier try was carried out, and when, whatever became of the other keys
 * since. One that is refused while an earlier try may be on its way still moves the mark first: then that one cannot be carried out any more.
 */
export class EtcdWriter {
  readonly #client: EtcdClient;
  readonly #folder = `${marksFolder}${randomUUID()}/`;
  /** Marks that no transaction uses now; as many are made as there are transactions at once. */
  readonly #idle: Mark[] = [];
  #slots = 0;

  constructor(client: EtcdClient) {
    this.#client = client;
  }

  /** @throws as EtcdClient.ask: then it is not known whether it was done */
  async write(txn: StoreTxn): Promise<Written> {
    if (!surelyWrites(txn)) return this.#askPlain(txn);
    const mark = this.#idle.pop() ?? { key: `${this.#folder}${this.#slots++}`, number: 0, revision: 0 };
    mark.number++;
    try {
      return await this.#writeMarked(txn, mark);
    } finally {
      this.#idle.push(mark);
    }
  }

  /** Expectations alone change nothing, however often they are asked; the rest is asked once. A mark would make a revision of no change. */
  async #askPlain(txn: StoreTxn): Promise<Written> {
    const { Txn } = this.#client.services['etcdserverpb.KV'];
    const request = encodeTxn(txn);
    const isRead = txn.ops.length === 0;
    const response = isRead
      ? (await this.#client.ask('read', Txn, request)).response
      : await this.#client.once('write', Txn, request);
    const revision = revisionOf(response);
    return response.succeeded
      ? { isDone: true, revision }
      : { isDone: false, revision, current: decodeCurrent(response, txn) };
  }

  async #writeMarked(txn: StoreTxn, mark: Mark): Promise<Written> {
    const { Txn } = this.#client.services['etcdserverpb.KV'];
    for (let moves = 0; moves < movesMax; moves++) {
      const { response, tries } = await this.#client.ask('write', Txn, encodeTxn(txn, mark));
      const revision = revisionOf(response);
      if (response.succeeded) return done(mark, revision);
      const found = foundMark(response);
      if (isOfThisAttempt(found, mark)) return done(mark, found?.mod_revision ?? 0);
      const refused: Written = { isDone: false, revision, current: decodeCurrent(response, txn) };
      const isWhereItWas = (found?.mod_revision ?? 0) === mark.revision;
      if (isWhereItWas && tries === 1) return refused;
      if (!isWhereItWas) mark.revision = found?.mod_revision ?? 0;
      else {
        const fate = await this.#forestall(mark);
        if (fate === 'never') return refused;
        if (fate !== 'unmoved') return done(mark, fate);
      }
    }
    throw new PodwrightError('E_CONNECTION', 'write in etcd: others moved its mark; it was not done');
  }

  /**
   * Moves the mark, so that no earlier try can be carried out from now on. Gives the revision at which one was, `never`, or `unmoved`:
   * somebody else moved it, so that it has to be tried anew.
   */
  async #forestall(mark: Mark): Promise<number | 'never' | 'unmoved'> {
    const { Txn } = this.#client.services['etcdserverpb.KV'];
    const refusal = { ...mark, isRefusal: true };
    const { response } = await this.#client.ask('write', Txn, encodeMark(refusal));
    const found = foundMark(response);
    if (isOfThisAttempt(found, mark)) return found?.mod_revision ?? 0;
    const isMoved = response.succeeded || isOfThisAttempt(found, refusal);
    mark.revision = response.succeeded ? revisionOf(response) : (found?.mod_revision ?? 0);
    return isMoved ? 'never' : 'unmoved';
  }
}

/** Not, where it may come to deleting what is not there. */
function surelyWrites({ expect, ops }: StoreTxn): boolean {
  const there = new Set(expect.flatMap(({ key, modRevision }) => (modRevision > 0 ? [key] : [])));
  return ops.some(({ op, key }) => op === 'put' || there.has(key));
}

function done(mark: Mark, revision: number): Written {
  mark.revision = revision;
  return { isDone: true, revision };
}

function revisionOf(response: TxnResponse): number {
  return response.header?.revision ?? 0;
}

/** Of a transaction that was refused, the mark as it is: the last that was asked for. */
function foundMark(response: TxnResponse): KeyValue | undefined {
  return response.succeeded ? undefined : response.responses.at(-1)?.response_range?.kvs[0];
}

function isOfThisAttempt(found: KeyValue | undefined, mark: Mark): boolean {
  return found !== undefined && decoder.decode(found.value) === markText(mark);
}
