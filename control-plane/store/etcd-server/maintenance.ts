import type { ServerWritableStream, UntypedHandleCall } from '@grpc/grpc-js';
import type { Outgoing } from '#proto/contract.ts';
import type {
  AlarmResponse,
  DefragmentResponse,
  MemberListResponse,
  SnapshotRequest,
  SnapshotResponse,
  StatusResponse,
} from '#proto/etcd/rpc.ts';
import { failStream, headerOf, unary, type Handlers, type ServeContext } from './calls.ts';
import { refusal, statusOf, statusOfRefusal } from './refusal.ts';
import { renderSnapshot } from './snapshot.ts';

/** Of the API that is served; clients look whether progress can be asked for, which from here on is so. */
const servedVersion = '3.6.0+podwright';
const pieceBytes = 32_768;

/** etcdserverpb.Maintenance */
export function maintenanceHandlers(context: ServeContext): Handlers {
  const { store } = context;
  const status = async (): Promise<Outgoing<StatusResponse>> => {
    const bytes = await store.sizeBytes();
    const { revision, identity, failure } = store;
    return {
      header: headerOf(store),
      version: servedVersion,
      dbSize: bytes,
      dbSizeInUse: bytes,
      leader: identity,
      raftIndex: revision,
      raftAppliedIndex: revision,
      raftTerm: 1,
      errors: failure === undefined ? [] : [failure.message],
    };
  };
  return {
    Alarm: unary(context, (): Outgoing<AlarmResponse> => ({ header: headerOf(store) })),
    Status: unary(context, status),
    Defragment: unary(context, (): Outgoing<DefragmentResponse> => ({ header: headerOf(store) })),
    Snapshot: snapshot(context),
  };
}

/** etcdserverpb.Cluster */
export function clusterHandlers(context: ServeContext): Handlers {
  const { store, clientUrls } = context;
  const list = (): Outgoing<MemberListResponse> => ({
    header: headerOf(store),
    members: [{ ID: store.identity, name: 'podwright', peerURLs: [], clientURLs: clientUrls }],
  });
  return { MemberList: unary(context, list) };
}

type SnapshotStream = ServerWritableStream<SnapshotRequest, Outgoing<SnapshotResponse>>;

/** Pages put together, as each message has its costs. */
function* inPieces(pages: Iterable<Buffer>): Generator<Buffer, void> {
  let [piece, bytes]: [Buffer[], number] = [[], 0];
  for (const page of pages) {
    piece.push(page);
    bytes += page.length;
    if (bytes < pieceBytes) continue;
    yield Buffer.concat(piece);
    [piece, bytes] = [[], 0];
  }
  yield Buffer.concat(piece);
}

function snapshot(context: ServeContext): UntypedHandleCall {
  let isBusy = false;
  const serve = async (stream: SnapshotStream): Promise<void> => {
    const { store, closing } = context;
    const header = headerOf(store);
    const contents = {
      versions: store.versions(),
      leases: store.leases(),
      compactRevision: store.compactRevision,
    };
    for (const blob of inPieces(renderSnapshot(contents))) {
      const { promise, resolve } = Promise.withResolvers<void>();
      stream.write({ header, blob }, () => resolve());
      stream.once('cancelled', resolve);
      await promise; // The next piece only when this one is on its way.
      stream.off('cancelled', resolve);
      if (stream.cancelled) return;
      if (closing.aborted) throw refusal('stopped');
    }
    stream.end();
  };
  const handler = (stream: SnapshotStream): void => {
    if (!context.mayCall(stream) || isBusy) {
      failStream(stream, statusOfRefusal(isBusy ? 'tooManyRequests' : 'permissionDenied'));
      return;
    }
    isBusy = true; // One holds all that is kept.
    serve(stream)
      .catch((error: unknown) => failStream(stream, statusOf(error)))
      .finally(() => (isBusy = false));
  };
  return handler as UntypedHandleCall;
}
