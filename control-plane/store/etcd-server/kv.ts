import type { Outgoing } from '#proto/contract.ts';
import type {
  CompactionRequest,
  CompactionResponse,
  DeleteRangeRequest,
  DeleteRangeResponse,
  PutRequest,
  PutResponse,
  RangeRequest,
  RangeResponse,
  TxnRequest,
  TxnResponse,
} from '#proto/etcd/rpc.ts';
import { headerOf, unary, type Handlers, type ServeContext } from './calls.ts';
import { answerRange } from './range.ts';
import { refusal } from './refusal.ts';
import { checkDelete, checkPut, checkRange, checkTxn } from './txn-check.ts';
import { Draft } from './txn.ts';

/** etcdserverpb.KV */
export function kvHandlers(context: ServeContext): Handlers {
  const { store } = context;
  const write = async <T extends object>(decide: (draft: Draft) => T): Promise<T> => {
    const { revision, answer } = await store.transact((view, nextRevision) => {
      const draft = new Draft(view, nextRevision, (at) => store.view(at));
      const answer = decide(draft);
      return { ops: draft.ops, answer };
    });
    return { ...answer, header: headerOf(store, revision) };
  };
  return {
    Range: unary(context, (request: RangeRequest): Outgoing<RangeResponse> => {
      checkRange(request);
      const view = store.view(request.revision > 0 ? request.revision : undefined);
      return { header: headerOf(store), ...answerRange(view, request) };
    }),
    Put: unary(context, async (request: PutRequest): Promise<Outgoing<PutResponse>> => {
      checkPut(request);
      return write((draft) => draft.put(request));
    }),
    DeleteRange: unary(
      context,
      async (request: DeleteRangeRequest): Promise<Outgoing<DeleteRangeResponse>> => {
        checkDelete(request);
        return write((draft) => draft.delete(request));
      },
    ),
    Txn: unary(context, async (request: TxnRequest): Promise<Outgoing<TxnResponse>> => {
      checkTxn(request);
      return write((draft) => draft.txn(request));
    }),
    Compact: unary(
      context,
      async ({ revision }: CompactionRequest): Promise<Outgoing<CompactionResponse>> => {
        if (revision > store.revision) throw refusal('futureRevision');
        if (revision <= store.compactRevision) throw refusal('compacted');
        await store.compact(revision);
        return { header: headerOf(store) };
      },
    ),
  };
}
