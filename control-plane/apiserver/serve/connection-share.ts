import type { Caller } from './request.ts';

/** Whose a connection is, as far as that is known before a request of it is looked at: what the last one was. */
export interface ConnectionShare {
  /** The priority level that it belonged to. */
  readonly level: string;
  readonly user: string;
}

/** Of all connections that have not said yet who they are. */
export const unknownShare: ConnectionShare = { level: '', user: '' };

const shares = new WeakMap<Caller, ConnectionShare>();

/** Who asks on this connection, and of which level that is: of a proxy with many users, the last one. */
export function noteShare(caller: Caller, level: string, user: string): void {
  const known = shares.get(caller);
  if (known?.level !== level || known.user !== user) shares.set(caller, { level, user });
}

export function shareOf(caller: Caller | undefined): ConnectionShare {
  return (caller === undefined ? undefined : shares.get(caller)) ?? unknownShare;
}
