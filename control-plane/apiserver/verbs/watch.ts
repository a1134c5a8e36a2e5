import { labelsOf } from '#control-plane/apiserver/chain/request-labels.ts';
import type { Kind } from '#api/schema/kinds.ts';
import { expired, statusOf } from '#api/errors/status.ts';
import { isPodwrightError } from '#base/errors.ts';
import type { StoreEvent } from '#control-plane/store/store.ts';
import { parseListOptions, parseResourceVersion, type ListOptions } from './list-options.ts';
import { checkRevision, readRange } from './read.ts';
import type { ApiResponse, AuthorizedRequest, ByteSink } from '#control-plane/apiserver/serve/request.ts';
import type { ResourceRoute } from '#control-plane/apiserver/chain/route.ts';
import type { ServerContext } from '#control-plane/apiserver/server-context.ts';
import { selectionOf, type Selection } from './selection.ts';
import { TimeSlice } from '#base/time-slice.ts';
import { negotiateObjects, transformOf } from './transform.ts';
import { createEventEncoder, type EventEncoder } from './watch-encoder.ts';

const bookmarkMs = 60_000;
/** Bytes that a client may leave unread before it is cut off; it resumes from where it was. */
const pendingBytesMax = 16_777_216;
/** Without timeoutSeconds a watch ends after 30 to 60 minutes, so that clients spread again over servers. */
const lifeMinMs = 1_800_000;

interface Watch {
  readonly context: ServerContext;
  readonly kind: Kind;
  readonly namespace: string;
  readonly prefix: string;
  readonly options: ListOptions;
  /** undefined: everything is asked for. */
  readonly selection: Selection | undefined;
  readonly encoder: EventEncoder;
  readonly sink: ByteSink;
  readonly signal: AbortSignal;
}

/** GET ?watch=true: what is there now, where that is asked for, then every change, one JSON per line. */
export async function watchObjects(
  context: ServerContext,
  route: ResourceRoute,
  request: AuthorizedRequest,
): Promise<ApiResponse> {
  const { kind, namespace } = route;
  const transform = transformOf(negotiateObjects(kind, request.headers['accept']), request.query, undefined);
  const options = parseListOptions(route, request.query);
  const after = parseResourceVersion(options.resourceVersion, true) ?? 0;
  if (options.sendInitialEvents === true) await checkRevision(context, after);
  const prefix = context.registry.prefixOf(kind, namespace);
  const selection = selectionOf(context.registry, kind, options);
  const encoder = createEventEncoder({
    registry: context.registry,
    kind,
    transform,
    now: () => context.clock.now(),
  });
  return {
    status: 200,
    headers: { 'content-type': 'application/json' },
    body: async (sink) => {
      const signal = AbortSignal.any([request.signal, context.closing]);
      using _open = context.metrics.observeLongRunning(labelsOf(request, { kind: 'resource', route }));

      const { group, resource } = kind;
      using _counted =
        selection?.interest === undefined
          ? context.flowControl.watches.add({ group, resource, namespace })
          : undefined;

      const asked = { kind, namespace, prefix, options, selection };
      const watch: Watch = { ...asked, context, encoder, sink, signal };
      await runWatch(watch, after, () => request.begun());
    },
  };
}

async function runWatch(watch: Watch, asked: number, begun: () => void): Promise<void> {
  const { options, context } = watch;
  const isFromNow = asked === 0 && options.sendInitialEvents === false;
  let after = isFromNow ? context.registry.store.revision : asked;
  if (options.sendInitialEvents ?? asked === 0) {
    const present = await presentOrError(watch);
    if (present === undefined) return;
    after = present;
    if (options.allowBookmarks && options.sendInitialEvents === true)
      watch.sink.write(watch.encoder.bookmark(after, true));
  }
  begun();
  if (!watch.signal.aborted) await sendChanges(watch, after);
}

/** The revision of what is there, which was sent; undefined: it cannot be read, which was. */
async function presentOrError(watch: Watch): Promise<number | undefined> {
  try {
    return await sendPresent(watch);
  } catch (error) {
    if (!isPodwrightError(error, 'E_API')) throw error;
    watch.sink.write(watch.encoder.error(statusOf(error).status));
    return undefined;
  }
}

/** ADDED for each object that is there; gives the revision at which that was so. */
async function sendPresent(watch: Watch): Promise<number> {
  const { context, options, selection, encoder, sink } = watch;
  const present = await readRange(context, watch, options, {});
  const slice = new TimeSlice();
  for (const value of present.values) {
    if (watch.signal.aborted) break;
    if (slice.isOver()) await slice.next();
    if (selection?.selects(value) === false) continue;
    if (!sink.write(encoder.encode('ADDED', value))) await sink.drained();
  }
  return present.revision;
}

async function sendChanges(watch: Watch, after: number): Promise<void> {
  const { context, kind, options, encoder, sink, signal } = watch;
  const { promise: ended, resolve: end } = Promise.withResolvers<void>();
  const endWith = (error: unknown): void => {
    sink.write(encoder.error(statusOf(error).status));
    end();
  };
  const fail = (compactRevision: number): void =>
    endWith(expired(`too old resource version: ${after} (${compactRevision})`));
  let told = after;
  const onEvents = (events: readonly StoreEvent[]): void => {
    sendEvents(watch, events);
    told = events.at(-1)?.current.modRevision ?? told;
    if (sink.pendingBytes > pendingBytesMax) end();
  };
  const onConverted = convertedFirst(watch, onEvents, endWith);
  const { store } = context.registry;
  let live: ReturnType<typeof store.watch>;
  try {
    live = store.watch(watch.prefix, after, onConverted ?? onEvents, {
      // What cannot be read, or what went from the history.
      onEnd: (error) => (isPodwrightError(error, 'E_API') ? endWith(error) : fail(store.compactRevision)),
      interest: watch.selection?.interest,
    });
  } catch (error) {
    if (isPodwrightError(error, 'E_NOT_FOUND')) fail(store.compactRevision);
    else if (!isPodwrightError(error, 'E_CLOSED')) throw error;
    return;
  }
  using _live = live;

  const sendBookmark = (): void => {
    // A watch that has seen all there is stands at the newest revision, whatever kind that was of.
    const revision = live.isCurrent ? Math.max(told, store.revision) : told;
    if (options.allowBookmarks && revision > 0) sink.write(encoder.bookmark(revision, false));
  };
  const lifeMs = options.timeoutSeconds > 0 ? options.timeoutSeconds * 1000 : lifeMinMs * (1 + Math.random());
  using _life = context.clock.after(lifeMs, () => {
    sendBookmark();
    end();
  });
  using _bookmarks = repeat(context, bookmarkMs, sendBookmark);

  using _kinds = context.kinds.onChange(({ removed }) => {
    // Whoever watches asks again, and is told that there is no such kind. A custom one may have been shown otherwise since (as going).
    if ((removed.includes(kind) || kind.custom !== undefined) && !isServed(context, kind)) end();
  });

  signal.addEventListener('abort', () => end(), { once: true });
  if (signal.aborted || !isServed(context, kind)) end();
  await ended;
}

/** Whether the kind is served: of a custom one, as it is defined. One whose definition goes is still the same. */
function isServed({ kinds }: ServerContext, kind: Kind): boolean {
  if (kind.custom === undefined) return kinds.has(kind);
  return kinds.find(kind.group, kind.version, kind.resource)?.custom === kind.custom;
}

type OnEvents = (events: readonly StoreEvent[]) => void;

/** Of a kind whose objects a webhook converts: events wait for that, in their order. undefined: they need not. */
function convertedFirst(
  { kind, context, signal }: Watch,
  onEvents: OnEvents,
  onFailure: (error: unknown) => void,
): OnEvents | undefined {
  if (kind.custom?.conversion.kind !== 'webhook') return undefined;
  let last = Promise.resolve();
  let isOver = false;
  return (events) => {
    const values = events.flatMap(({ current, previous, type }) => [
      ...(type === 'put' ? [current] : []),
      ...(previous === undefined ? [] : [previous]),
    ]);
    last = last
      .then(() => context.registry.custom.prepare(kind, values))
      .then(
        () => {
          if (!isOver && !signal.aborted) onEvents(events);
        },
        (error: unknown) => {
          if (!isOver) onFailure(error);
          isOver = true;
        },
      );
  };
}

function sendEvents({ selection, encoder, sink }: Watch, events: readonly StoreEvent[]): void {
  const lines =
    selection === undefined ? encoder.encodeAll(events) : encoder.encodeSelected(events, selection);
  if (lines.byteLength > 0) sink.write(lines);
}

function repeat(context: ServerContext, everyMs: number, run: () => void): Disposable {
  let timer = context.clock.after(everyMs, step);
  function step(): void {
    timer = context.clock.after(everyMs, step);
    run();
  }
  return { [Symbol.dispose]: () => timer[Symbol.dispose]() };
}
