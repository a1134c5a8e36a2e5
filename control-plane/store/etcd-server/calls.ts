import type { ServerDuplexStream, UntypedHandleCall } from '@grpc/grpc-js';
import type { Clock } from '#base/clock.ts';
import type { Outgoing } from '#proto/contract.ts';
import type { ResponseHeader } from '#proto/etcd/rpc.ts';
import type { ServedStore } from '#control-plane/store/served-store.ts';
import { refusal, statusOf, type CallStatus } from './refusal.ts';

/** What the handlers of a server share. */
export interface ServeContext {
  readonly store: ServedStore;
  readonly clock: Clock;
  readonly closing: AbortSignal;
  /** Whether who calls may. */
  readonly mayCall: (call: Caller) => boolean;
  /** URLs at which clients reach the server. */
  readonly clientUrls: readonly string[];
}

/** What of a call says who calls. */
export type Caller = Pick<ServerDuplexStream<unknown, unknown>, 'getAuthContext'>;

export type Handlers = Readonly<Record<string, UntypedHandleCall>>;

/** There is one member, which always leads. */
export function headerOf(store: ServedStore, revision: number = store.revision): Outgoing<ResponseHeader> {
  return { cluster_id: store.identity, member_id: store.identity, revision, raft_term: 1 };
}

/** A method of one question and one answer; what it throws is told as etcd tells it. */
export function unary<Request, Response>(
  context: ServeContext,
  answer: (request: Request) => Response | Promise<Response>,
): UntypedHandleCall {
  const run = async (call: Caller, request: Request): Promise<Response> => {
    if (!context.mayCall(call)) throw refusal('permissionDenied');
    return answer(request);
  };
  const handler = (
    call: Caller & { readonly request: Request },
    reply: (failure: CallStatus | null, response?: Response) => void,
  ): void => {
    run(call, call.request).then(
      (response) => reply(null, response),
      (error: unknown) => reply(statusOf(error)),
    );
  };
  return handler as UntypedHandleCall;
}

/** Ends a stream by a failure. */
export function failStream(
  stream: { emit(event: 'error', status: CallStatus): boolean },
  status: CallStatus,
): void {
  stream.emit('error', status);
}
