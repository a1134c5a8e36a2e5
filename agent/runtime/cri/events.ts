/** GetContainerEvents: what changed, found by comparing what is there with what was, whenever runtime or records say that something did. */
import type { ContainerEventResponse, ContainerEventType } from '#proto/cri/api.ts';
import type { Outgoing } from '#proto/contract.ts';
import { refusal } from '#proto/status.ts';
import type { ContainerState } from '#agent/runtime/runtime.ts';
import {
  nanoseconds,
  renderContainerStatus,
  renderSandboxStatus,
  type ImageOf,
  type SandboxView,
} from './views.ts';

/** A client that takes none of them is let go. */
const waitingMax = 1000;
const listenersMax = 64;

type StateName = ContainerState['state'];
type Event = Outgoing<ContainerEventResponse>;

export interface CriEvents {
  /** Looks at a sandbox again. */
  look(uid: string): void;
  /** From now on, until the signal aborts. @throws RESOURCE_EXHAUSTED for too many, or one that is too slow */
  follow(signal: AbortSignal): AsyncIterable<Event>;
}

/** A sandbox is told of like a container, under its own id. Pure. */
export function statesOf(view: SandboxView | undefined): ReadonlyMap<string, StateName> {
  if (view === undefined) return new Map();
  return new Map<string, StateName>([
    [view.id, view.isReady ? 'running' : 'exited'],
    ...view.containers.map(({ id, state }) => [id, state.state] as const),
  ]);
}

const order: readonly StateName[] = ['created', 'running', 'exited'];
const told: Readonly<Record<StateName, ContainerEventType>> = {
  created: 'CONTAINER_CREATED_EVENT',
  running: 'CONTAINER_STARTED_EVENT',
  exited: 'CONTAINER_STOPPED_EVENT',
};

/** What happened between two looks, each step of it, also those that nobody saw. Pure. */
export function eventsBetween(
  before: ReadonlyMap<string, StateName>,
  after: ReadonlyMap<string, StateName>,
): readonly { readonly id: string; readonly type: ContainerEventType }[] {
  const changed = [...after].flatMap(([id, state]) => {
    const from = before.get(id);
    const steps = order.slice(from === undefined ? 0 : order.indexOf(from) + 1, order.indexOf(state) + 1);
    return steps.map((step) => ({ id, type: told[step] }));
  });
  const gone = [...before.keys()].filter((id) => !after.has(id));
  return [...changed, ...gone.map((id) => ({ id, type: 'CONTAINER_DELETED_EVENT' as const }))];
}

interface Listener {
  readonly waiting: Event[];
  wake: PromiseWithResolvers<void>;
  isLost: boolean;
}

/** `view`: of a sandbox, as it is now. */
export function createCriEvents(ports: {
  readonly view: (uid: string) => SandboxView | undefined;
  readonly uids: () => readonly string[];
  readonly images: ImageOf;
  readonly now: () => number;
}): CriEvents {
  const known = new Map<
    string,
    { readonly states: ReadonlyMap<string, StateName>; readonly view: SandboxView | undefined }
  >();
  const listeners = new Set<Listener>();
  const tell = (event: Event): void => {
    for (const listener of listeners) {
      if (listener.waiting.length >= waitingMax) listener.isLost = true;
      else listener.waiting.push(event);
      listener.wake.resolve();
    }
  };
  const look = (uid: string): void => {
    const view = ports.view(uid);
    const before = known.get(uid);
    const states = statesOf(view);
    if (view === undefined) known.delete(uid);
    else known.set(uid, { states, view });
    if (listeners.size === 0) return;
    const shown = view ?? before?.view;
    for (const { id, type } of eventsBetween(before?.states ?? new Map(), states)) {
      tell(renderEvent({ id, type, view: shown, images: ports.images, nowMs: ports.now() }));
    }
  };
  for (const uid of ports.uids()) look(uid);
  return {
    look,
    follow: (signal) => follow(listeners, signal),
  };
}

function renderEvent(of: {
  readonly id: string;
  readonly type: ContainerEventType;
  readonly view: SandboxView | undefined;
  readonly images: ImageOf;
  readonly nowMs: number;
}): Event {
  const { view } = of;
  return {
    container_id: of.id,
    container_event_type: of.type,
    created_at: nanoseconds(of.nowMs),
    ...(view === undefined
      ? {}
      : {
          pod_sandbox_status: renderSandboxStatus(view),
          containers_statuses: view.containers.map((each) => renderContainerStatus(each, of.images)),
        }),
  };
}

async function* follow(listeners: Set<Listener>, signal: AbortSignal): AsyncIterable<Event> {
  if (listeners.size >= listenersMax)
    throw refusal('RESOURCE_EXHAUSTED', `${listenersMax} clients follow events`);
  const listener: Listener = { waiting: [], wake: Promise.withResolvers(), isLost: false };
  listeners.add(listener);
  const onAbort = (): void => listener.wake.resolve();
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    while (!signal.aborted) {
      for (let next = listener.waiting.shift(); next !== undefined; next = listener.waiting.shift())
        yield next;
      if (listener.isLost)
        throw refusal('RESOURCE_EXHAUSTED', `more than ${waitingMax} events were not taken`);
      if (listener.waiting.length > 0) continue;
      await listener.wake.promise;
      listener.wake = Promise.withResolvers();
    }
  } finally {
    signal.removeEventListener('abort', onAbort);
    listeners.delete(listener);
  }
}
