import type { Clock } from '#base/clock.ts';
import type { Peer } from './find-retraction.ts';

/** What came of asking a peer how far its rules are. */
export type PeerAnswer =
  | { readonly kind: 'applied'; readonly revision: number }
  /** It answers, and does not know the question: an agent of before, or no agent of ours. */
  | { readonly kind: 'unknowing' }
  | { readonly kind: 'silent' };

/** Asks a peer, which answers when its rules are of `revision` or later, or after `waitMs`. Never throws. */
export type AskPeer = (
  peer: Peer,
  question: { readonly revision: number; readonly waitMs: number },
  signal: AbortSignal,
) => Promise<PeerAnswer>;

/** What a wait for a peer ended with. */
export type PeerEnd = 'applied' | 'unknowing' | 'silent';

/** A peer that does not answer is asked again so soon: its agent may be starting. */
const retryMs = 100;
/** One that did not answer the last time it was waited for has so long from then on. */
export const silentMs = 250;
/** How long a peer holds its answer back. */
const holdMs = 1_000;

interface Line {
  peer: Peer;
  readonly waiters: Map<symbol, { readonly revision: number; readonly end: (how: PeerEnd) => void }>;
  isAsking: boolean;
  isSilent: boolean;
}

/** One question at a time goes to each peer, whatever number of pods waits for it. */
export class PeerBook implements Disposable {
  readonly #ask: AskPeer;
  readonly #clock: Clock;
  readonly #lines = new Map<string, Line>();
  readonly #abort = new AbortController();

  constructor(ask: AskPeer, clock: Clock) {
    this.#ask = ask;
    this.#clock = clock;
  }

  /** Resolves when the peer's rules are of `revision` or later, or it cannot be told. */
  reach(peer: Peer, revision: number, timeoutMs: number): Promise<PeerEnd> {
    const line = this.#lineOf(peer);
    const { promise, resolve } = Promise.withResolvers<PeerEnd>();
    const id = Symbol(peer.name);
    const timer = this.#clock.after(line.isSilent ? Math.min(silentMs, timeoutMs) : timeoutMs, () => {
      line.isSilent = true;
      end('silent');
    });
    const end = (how: PeerEnd): void => {
      timer[Symbol.dispose]();
      line.waiters.delete(id);
      resolve(how);
    };
    line.waiters.set(id, { revision, end });
    if (!line.isAsking) void this.#serve(line);
    return promise;
  }

  /** Forgets peers that are no more. */
  keepOnly(names: ReadonlySet<string>): void {
    for (const [name, line] of this.#lines)
      if (!names.has(name) && line.waiters.size === 0) this.#lines.delete(name);
  }

  [Symbol.dispose](): void {
    this.#abort.abort(new DOMException('closed', 'AbortError'));
    for (const line of this.#lines.values()) for (const { end } of line.waiters.values()) end('silent');
  }

  #lineOf(peer: Peer): Line {
    const known = this.#lines.get(peer.name);
    if (known !== undefined) {
      known.peer = peer;
      return known;
    }
    const line: Line = { peer, waiters: new Map(), isAsking: false, isSilent: false };
    this.#lines.set(peer.name, line);
    return line;
  }

  async #serve(line: Line): Promise<void> {
    const { signal } = this.#abort;
    line.isAsking = true;
    while (line.waiters.size > 0 && !signal.aborted) {
      const waiting = [...line.waiters.values()];
      // The least of them: whoever waits for more is served by the next question.
      const revision = Math.min(...waiting.map((one) => one.revision));
      const answer = await this.#ask(line.peer, { revision, waitMs: holdMs }, signal);
      if (answer.kind === 'silent') {
        const { promise, resolve } = Promise.withResolvers<void>();
        this.#clock.after(retryMs, resolve);
        await promise;
        continue;
      }
      line.isSilent = false;
      const served = answer.kind === 'unknowing' ? Infinity : answer.revision;
      for (const one of waiting) if (one.revision <= served) one.end(answer.kind);
    }
    line.isAsking = false;
  }
}
