/**
 * The node's runtime, served as CRI v1: what a kubelet, or crictl, asks by gRPC on a socket. All is done by the same Runtime that this
 * node's own kubelet uses; what CRI's clients say beyond what that knows is in records.ts.
 */
import { describeError } from '#base/errors.ts';
import { createTurns } from '#base/turns.ts';
import { loadContract } from '#proto/load.ts';
import type { Services } from '#proto/cri/api.ts';
import { serveUnix, serviceOf, type ServedService } from '#proto/unix-server.ts';
import { commandHandlers } from './commands.ts';
import { containerHandlers } from './containers.ts';
import type { CriContext, CriOptions, ImageHandlers, RuntimeHandlers } from './context.ts';
import { createCriEvents, type CriEvents } from './events.ts';
import { imageHandlers } from './images.ts';
import { nodeHandlers } from './node.ts';
import { CriBook } from './records.ts';
import { imageOf, removeSandbox, sandboxHandlers } from './sandboxes.ts';
import { statsHandlers } from './stats.ts';
import { startCriStreams } from './streams.ts';
import { viewAll, viewSandbox } from './views.ts';

/** What a kubelet sends and takes (maxMsgSize). */
const messageBytesMax = 16 * 1024 * 1024;

/**
 * Serves until disposed of; pods go on. Loads gRPC.
 * @throws as listenAtPath of proto/unix-socket.ts
 */
export async function startCriServer(options: CriOptions): Promise<AsyncDisposable> {
  await using stack = new AsyncDisposableStack();

  const contract = await loadContract('cri-v1');
  const { runtime, log, clock } = options;
  // Written to from the first record on.
  const looked: { at: CriEvents | undefined } = { at: undefined };
  const book = new CriBook(`${options.runDirectory}/cri`, (uid) => looked.at?.look(uid));
  for (const damage of await book.open()) log.error({ damage }, 'a record of CRI is left alone');
  await undoHalfMade(book, options);
  const streams = stack.use(await startCriStreams(options.streamHost, { runtime, clock, logger: log }));
  const events = createCriEvents({
    view: (uid) => viewSandbox(book, runtime, uid),
    uids: () => viewAll(book, runtime).map(({ uid }) => uid),
    images: imageOf(options),
    now: () => clock.now(),
  });
  looked.at = events;
  stack.use(runtime.onChange(events.look));
  const context: CriContext = { ...options, book, streams, events, turns: createTurns() };
  const services = servicesOf(contract.services, context);
  stack.use(await serveUnix(contract, { path: options.path, services, clock, log, messageBytesMax }));
  log.info({ socket: options.path }, 'CRI is served');
  const owned = stack.move();
  return { [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

/** Of sandboxes whose client never heard of them. One that cannot be undone now is, at the latest, when it is removed. */
async function undoHalfMade(book: CriBook, { runtime, log }: CriOptions): Promise<void> {
  for (const { uid, phase } of book.sandboxes()) {
    if (phase !== 'making') continue;
    try {
      await removeSandbox({ book, runtime }, uid, new AbortController().signal);
    } catch (error) {
      log.error({ pod: uid, error: describeError(error) }, 'undo what was begun of a sandbox');
    }
  }
}

/**
 * One table under two names: v1 and, for kubelets before 1.26, v1alpha2, whose messages are the same on the wire (Kubernetes made v1 of
 * them by another name, KEP-2133).
 */
function servicesOf(services: Services, context: CriContext): readonly ServedService[] {
  const shared = {
    ...sandboxHandlers(context),
    ...containerHandlers(context),
    ...commandHandlers(context),
    ...statsHandlers(context),
  };
  const images: ImageHandlers = imageHandlers(context);
  return (['v1', 'v1alpha2'] as const).flatMap((version) => {
    const handlers: RuntimeHandlers = { ...shared, ...nodeHandlers(context, version) };
    return [
      underName(serviceOf(services['runtime.v1.RuntimeService'], handlers), version),
      underName(serviceOf(services['runtime.v1.ImageService'], images), version),
    ];
  });
}

function underName({ methods, handlers }: ServedService, version: string): ServedService {
  const named = Object.entries(methods).map(
    ([name, method]) =>
      [name, { ...method, path: method.path.replace('/runtime.v1.', `/runtime.${version}.`) }] as const,
  );
  return { methods: Object.fromEntries(named), handlers };
}
