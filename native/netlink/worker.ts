/** The main thread's side of worker-protocol.ts: both ports as asynchronous calls to one Worker thread. */
import { Worker } from 'node:worker_threads';
import { PodwrightError } from '#base/errors.ts';
import type { Nft, NftOp } from '#native/nft/nft.ts';
import type { WireGuard } from '#native/wireguard/wireguard.ts';
import type { NetEvent, Netlink, NetnsRef } from './netlink.ts';
import type { Call, FromWorker, Ports, ToWorker } from './worker-protocol.ts';

/** Both ports of one Worker; disposing ends the thread once what was asked of it before is done. */
export interface NetlinkWorker extends AsyncDisposable {
  readonly netlink: Netlink;
  readonly nft: Nft;
  readonly wireguard: WireGuard;
}

export interface NetlinkWorkerOptions {
  /** Told when the thread dies without having been asked to; every later call throws E_CLOSED. */
  readonly onDeath?: (error: Error) => void;
}

/** Calls under way at once, beyond which a caller is refused: far more than pods start at a time. */
const callsMax = 10_000;

/**
 * Starts the thread (about 40 ms) and waits until it answers. Idle, it does not keep the process alive.
 * @throws E_CLOSED when the thread cannot start; its cause says why
 */
export async function createNetlinkWorker(options: NetlinkWorkerOptions = {}): Promise<NetlinkWorker> {
  const thread = new WorkerThread(options);
  await thread.started();
  return {
    netlink: {
      createNetns: (path) => thread.call({ port: 'netlink', method: 'createNetns', args: [path] }),
      removeNetns: (path) => thread.call({ port: 'netlink', method: 'removeNetns', args: [path] }),
      apply: (netns, ops) => thread.call({ port: 'netlink', method: 'apply', args: [netns, ops] }),
      applyAll: (changes) => thread.call({ port: 'netlink', method: 'applyAll', args: [changes] }),
      state: (netns) => thread.call({ port: 'netlink', method: 'state', args: [netns] }),
      policy: (netns) => thread.call({ port: 'netlink', method: 'policy', args: [netns] }),
      sysctls: (netns, keys) => thread.call({ port: 'netlink', method: 'sysctls', args: [netns, keys] }),
      neighbours: (netns, link) =>
        thread.call({ port: 'netlink', method: 'neighbours', args: [netns, link] }),
      watch: (netns, onEvent) => thread.watch(netns, onEvent),
    },
    nft: {
      commit: (netns, ops) => thread.commit(netns, ops),
      hasTable: (netns, table) => thread.call({ port: 'nft', method: 'hasTable', args: [netns, table] }),
      ruleCount: (netns, table) => thread.call({ port: 'nft', method: 'ruleCount', args: [netns, table] }),
      generation: (netns) => thread.call({ port: 'nft', method: 'generation', args: [netns] }),
      counters: (netns, table) => thread.call({ port: 'nft', method: 'counters', args: [netns, table] }),
      flows: (netns, addresses) => thread.call({ port: 'nft', method: 'flows', args: [netns, addresses] }),
      removeFlows: (netns, flows) =>
        thread.call({ port: 'nft', method: 'removeFlows', args: [netns, flows] }),
      flushConntrack: (netns, matches) =>
        thread.call({ port: 'nft', method: 'flushConntrack', args: [netns, matches] }),
    },
    wireguard: {
      device: (netns, name) => thread.call({ port: 'wireguard', method: 'device', args: [netns, name] }),
      change: (netns, name, change) =>
        thread.call({ port: 'wireguard', method: 'change', args: [netns, name, change] }),
    },
    [Symbol.asyncDispose]: () => thread[Symbol.asyncDispose](),
  };
}

/** A Call without what the thread adds. */
type Request = Call extends infer One ? (One extends Call ? Omit<One, 'id' | 'kind'> : never) : never;

/** What a call of that port and method resolves to. */
type Answer<R extends Request> = R extends { readonly port: infer P; readonly method: infer M }
  ? P extends keyof Ports
    ? M extends keyof Ports[P]
      ? Ports[P][M] extends (...args: never[]) => Promise<infer Value>
        ? Value
        : never
      : never
    : never
  : never;

/** A whole table passes for a reference to it; sending all its elements along with each change would take 40 ms. */
function withPlainTable(op: NftOp): NftOp {
  if (op.op === 'replaceTable') return op;
  const { family, name } = op.table;
  return { ...op, table: { family, name } };
}

interface Waiting {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
}

class WorkerThread implements AsyncDisposable {
  readonly #worker: Worker;
  readonly #ended: Promise<void>;
  readonly #waiting = new Map<number, Waiting>();
  readonly #watches = new Map<number, (event: NetEvent) => void>();
  #lastId = 0;
  #state: 'open' | 'closing' | 'closed' = 'open';

  constructor(options: NetlinkWorkerOptions) {
    // Without the parent's execArgv: loaders and inspectors of a test runner are none of the thread's business.
    this.#worker = new Worker(new URL('./worker-thread.ts', import.meta.url), {
      execArgv: [],
      name: 'podwright-netlink',
    });
    this.#worker.on('message', (message: FromWorker) => this.#receive(message));
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#ended = promise;
    let death: Error | undefined;
    this.#worker.on('error', (error: Error) => (death = error));
    this.#worker.on('exit', (code) => {
      const wasAsked = this.#state !== 'open';
      this.#state = 'closed';
      const error = new PodwrightError('E_CLOSED', `netlink thread ended with ${code}`, { cause: death });
      for (const { reject } of this.#waiting.values()) reject(error);
      this.#waiting.clear();
      this.#watches.clear();
      if (!wasAsked) options.onDeath?.(error);
      resolve();
    });
  }

  /** Resolves when the thread answers its first call. */
  async started(): Promise<void> {
    await this.#ask((id) => ({ kind: 'unwatch', id, watch: 0 }));
  }

  call<R extends Request>(request: R): Promise<Answer<R>> {
    // The thread answers with what the port's method resolved to.
    return this.#ask((id) => ({ kind: 'call', id, ...request }) as Call) as Promise<Answer<R>>;
  }

  async commit(netns: NetnsRef, ops: readonly NftOp[]): Promise<void> {
    const text = JSON.stringify(ops.map(withPlainTable));
    await this.#ask((id) => ({ kind: 'commit', id, netns, ops: text }));
  }

  async watch(netns: NetnsRef, onEvent: (event: NetEvent) => void): Promise<AsyncDisposable> {
    let watch = 0;
    await this.#ask((id) => {
      watch = id;
      this.#watches.set(id, onEvent); // Before the request: the first event may come with the answer.
      return { kind: 'watch', id, netns };
    }).catch((error: unknown) => {
      this.#watches.delete(watch);
      throw error;
    });
    return {
      [Symbol.asyncDispose]: async () => {
        if (!this.#watches.delete(watch) || this.#state !== 'open') return;
        await this.#ask((id) => ({ kind: 'unwatch', id, watch }));
      },
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#state === 'open') {
      const closed = this.#ask((id) => ({ kind: 'close', id }));
      this.#state = 'closing';
      await closed.catch(() => {}); // A thread that died meanwhile is closed as well.
    }
    await this.#ended;
  }

  async #ask(message: (id: number) => ToWorker): Promise<unknown> {
    if (this.#state !== 'open') throw new PodwrightError('E_CLOSED', 'call netlink thread: it was closed');
    if (this.#waiting.size >= callsMax) {
      throw new PodwrightError('E_LIMIT', `call netlink thread: ${callsMax} calls wait already`);
    }
    const id = ++this.#lastId;
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    this.#waiting.set(id, { resolve, reject });
    this.#worker.ref();
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
    this.#worker.postMessage(message(id));
    return promise;
  }

  #receive(message: FromWorker): void {
    if (message.kind === 'event') {
      this.#watches.get(message.id)?.(message.event);
      return;
    }
    const waiting = this.#waiting.get(message.id);
    this.#waiting.delete(message.id);
    if (this.#waiting.size === 0 && this.#state === 'open') this.#worker.unref();
    if (message.kind === 'result') waiting?.resolve(message.value);
    else {
      const { code, message: text, detail } = message.error;
      waiting?.reject(new PodwrightError(code, text, { detail }));
    }
  }
}
