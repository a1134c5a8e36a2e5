/**
 * What the main thread and the Worker say to each other.
 *
 *   main                                   Worker (one thread, one request at a time, in order)
 *    │── call { id, port, method, args } ──▶ │
 *    │── commit { id, netns, ops } ────────▶ │
 *    │ ◀────────── result { id, value } ──── │   or error { id, error }
 *    │── call { id, watch … } ─────────────▶ │
 *    │ ◀────────── result { id } ─────────── │   the watch stands
 *    │ ◀────────── event { id, event } ───── │   any number
 *    │── unwatch { id, watch } ────────────▶ │   answered by result { id }; no event of that watch follows
 *    │── close { id } ─────────────────────▶ │   watches end, the thread ends by itself
 */
import { PodwrightError } from '#base/errors.ts';
import type { Nft } from '#native/nft/nft.ts';
import type { WireGuard } from '#native/wireguard/wireguard.ts';
import type { NetEvent, Netlink, NetnsRef } from './netlink.ts';

/** The calls that are carried as they are: all but watch, whose callback cannot travel, and commit, which is large. */
export type Call = {
  [Port in keyof Ports]: {
    [Method in Exclude<keyof Ports[Port], 'watch' | 'commit'>]: {
      readonly kind: 'call';
      readonly id: number;
      readonly port: Port;
      readonly method: Method;
      readonly args: Ports[Port][Method] extends (...args: infer Args) => unknown ? Args : never;
    };
  }[Exclude<keyof Ports[Port], 'watch' | 'commit'>];
}[keyof Ports];

export interface Ports {
  readonly netlink: Netlink;
  readonly nft: Nft;
  readonly wireguard: WireGuard;
}

export type ToWorker =
  | Call
  /** `ops`: NftOp[] as JSON, which costs the sender a third of a structured clone (50,000 elements: 15 ms). */
  | { readonly kind: 'commit'; readonly id: number; readonly netns: NetnsRef; readonly ops: string }
  | { readonly kind: 'watch'; readonly id: number; readonly netns: NetnsRef }
  | { readonly kind: 'unwatch'; readonly id: number; readonly watch: number }
  | { readonly kind: 'close'; readonly id: number };

export type FromWorker =
  | { readonly kind: 'result'; readonly id: number; readonly value: unknown }
  | { readonly kind: 'error'; readonly id: number; readonly error: SentError }
  | { readonly kind: 'event'; readonly id: number; readonly event: NetEvent };

/** An error as data: a structured clone of an Error loses the class and its fields. */
export interface SentError {
  readonly code: PodwrightError['code'];
  readonly message: string;
  readonly detail: Readonly<Record<string, unknown>>;
}

export function sendableError(error: unknown): SentError {
  if (error instanceof PodwrightError) {
    return { code: error.code, message: error.message, detail: error.detail };
  }
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return { code: 'E_INTERNAL', message: text, detail: {} };
}
