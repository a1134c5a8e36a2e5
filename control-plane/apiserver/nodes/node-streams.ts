import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { tooManyRequests } from '#api/errors/status.ts';
import type { Clock } from '#base/clock.ts';

const lingerMs = 10_000;
/** Streams to nodes that are open at once; each is two connections. */
export const joinedMax = 2000;
/** Streams on which nothing is said end after as long as the kubelet's (streamingConnectionIdleTimeout). */
const joinedIdleMs = 4 * 60 * 60 * 1000;

/** The streams of one server between clients and nodes. */
export class NodeStreams {
  readonly #clock: Clock;
  readonly #closing: AbortSignal;
  #count = 0;

  /** @param ends.closing aborts when the server closes, and all streams with it */
  constructor({ clock, closing }: { readonly clock: Clock; readonly closing: AbortSignal }) {
    this.#clock = clock;
    this.#closing = closing;
  }

  /** @throws {E_API} 429 */
  checkRoom(): void {
    if (this.#count < joinedMax) return;
    throw tooManyRequests(`Too many streams to nodes are open (${joinedMax}), please try again later.`, 10);
  }

  /** Each direction ends by itself: a client that has sent its stdin still reads the output. Owns both. */
  join(client: Duplex, node: Duplex): void {
    if (client.destroyed) {
      node.destroy(); // Its end has been told of, and will not be again.
      return;
    }
    this.#count++;
    client.once('close', () => this.#count--);
    if (client instanceof Socket) client.setTimeout(joinedIdleMs, () => client.destroy());
    const abort = (): void => {
      client.destroy();
      node.destroy();
    };
    client.pipe(node);
    node.pipe(client);
    client.once('error', abort);
    node.once('error', abort);
    client.once('close', () => {
      this.#closing.removeEventListener('abort', abort);
      node.destroy();
    });
    node.once('close', () => {
      client.end(); // What the node said last is still on its way.
      this.#clock.after(lingerMs, abort);
    });
    this.#closing.addEventListener('abort', abort, { once: true });
  }
}
