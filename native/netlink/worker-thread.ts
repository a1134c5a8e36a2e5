/** The Worker's side of worker-protocol.ts: all rtnetlink, nfnetlink and namespace work of the agent, one call at a time. */
import { parentPort } from 'node:worker_threads';
import { unreachable } from '#base/unreachable.ts';
import { createSyncNft } from '#native/nft/nft.linux.ts';
import { createSyncWireGuard } from '#native/wireguard/wireguard.linux.ts';
import { createSyncNetlink } from './netlink.linux.ts';
import { type Call, type FromWorker, type Ports, sendableError, type ToWorker } from './worker-protocol.ts';

const netlink = createSyncNetlink({ keepsSpare: true });
const ports: Ports = { netlink, nft: createSyncNft(), wireguard: createSyncWireGuard() };
const watches = new Map<number, AsyncDisposable>();

function post(message: FromWorker): void {
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
  parentPort?.postMessage(message);
}

async function answer(request: ToWorker): Promise<unknown> {
  switch (request.kind) {
    case 'call':
      return call(request);
    case 'commit':
      return ports.nft.commit(request.netns, JSON.parse(request.ops)); // Written by worker.ts of this very version.
    case 'watch': {
      const { id, netns } = request;
      watches.set(id, await ports.netlink.watch(netns, (event) => post({ kind: 'event', id, event })));
      return undefined;
    }
    case 'unwatch':
      await watches.get(request.watch)?.[Symbol.asyncDispose]();
      watches.delete(request.watch);
      return undefined;
    case 'close':
      await netlink[Symbol.asyncDispose](); // Ends the watches; descriptors are the process's and would outlive the thread.
      watches.clear();
      parentPort?.unref();
      return undefined;
    default:
      return unreachable(request);
  }
}

function call(request: Call): Promise<unknown> {
  // The protocol's type ties port, method and arguments together; this is the one place that takes them apart.
  const port = ports[request.port] as unknown as Record<string, (...args: unknown[]) => Promise<unknown>>;
  const method = port[request.method];
  if (method === undefined) throw new TypeError(`no method ${request.port}.${request.method}`);
  return method(...request.args);
}

parentPort?.on('message', (request: ToWorker) => {
  // The ports work synchronously inside their promises, so requests are done in the order in which they came.
  answer(request).then(
    (value) => post({ kind: 'result', id: request.id, value }),
    (error: unknown) => post({ kind: 'error', id: request.id, error: sendableError(error) }),
  );
});
