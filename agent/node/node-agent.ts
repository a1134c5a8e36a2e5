import type { Clock } from '#base/clock.ts';
import { describeError } from '#base/errors.ts';
import type { Logger } from '#base/log.ts';
import { equalJson, equalStored, isObject } from '#api/wire/json.ts';
import { leases, nodes } from '#api/schema/kind-ref.ts';
import type { Lease, Node, NodeStatus } from '#api/generated/objects.ts';
import { formatMicroTime } from '#api/meta/time.ts';
import { isAlreadyExists, isConflict, isNotFound } from '#client/api-error.ts';
import type { ApiClient } from '#client/client.ts';
import type { WritableInformer } from '#client/informer.ts';
import { withRemedy } from '#client/remedy.ts';
import { defaultSettings, type KubeletSettings } from '#agent/kubelet/config/settings.ts';
import { createEventRecorder, type EventRecorder } from '#client/event-recorder.ts';
import type { LeaseNotes } from './lease-notes.ts';
import { nodeEventsOf, startingEvent, type NodeEvent } from './node-events.ts';
import { nodeAnnotations, nodeLabels, renderNode, renderNodeStatus, type NodeInput } from './node-status.ts';

export interface NodeAgentOptions {
  readonly client: ApiClient;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly name: string;
  /** The present state of the node. */
  readonly read: () => Promise<NodeInput>;
  /** A watch that this node's object is in: while it is current, the API is not asked at each turn. */
  readonly watched?: WatchedNode | undefined;
  /** What its Lease says beside that it lives. */
  readonly notes?: LeaseNotes | undefined;
  /** KubeletConfiguration: nodeLeaseDurationSeconds, nodeStatusUpdateFrequency, nodeStatusReportFrequency. */
  readonly times?: Pick<KubeletSettings, 'leaseSeconds' | 'statusUpdateMs' | 'statusReportMs'>;
}

export type WatchedNode = Pick<WritableInformer<Node>, 'get' | 'isCurrent' | 'observe'>;

/** Keeps the node's object, status and lease. */
export interface NodeAgent extends AsyncDisposable {
  /** Resolves when the node is registered. */
  readonly registered: Promise<Node>;
  /** The Node as it was last read; undefined: not yet. */
  readonly seen: Node | undefined;
  /** Looks at the status now instead of at the next turn. */
  refresh(): void;
}

const retryMs = 500;
/** Of a lease, so many in a row are tried again at once, as the kubelet does (component-helpers' lease controller); then it waits. */
const conflictsMax = 4;
/** Notes that change soon after each other are written together. */
const gatherMs = 200;

export function startNodeAgent(options: NodeAgentOptions): NodeAgent {
  const { clock, logger, name, times = defaultSettings } = options;
  const abort = new AbortController();
  const { signal } = abort;
  const registered = Promise.withResolvers<Node>();
  let wake = Promise.withResolvers<void>();
  let noted = Promise.withResolvers<void>();
  const subscription = options.notes?.onChange(() => noted.resolve());
  let seen: Node | undefined;
  const recorder = createEventRecorder({ ...options, component: 'kubelet', host: name });
  const tell = (events: readonly NodeEvent[]): void => tellOf(recorder, name, events);

  const keepStatus = async (): Promise<void> => {
    const begun = await untilDone(() => register(options), 'register node', signal);
    tell([startingEvent, ...nodeEventsOf(begun.before, begun.node)]);
    seen = begun.node;
    registered.resolve(seen);
    let reportedAtMs = clock.now();
    for (;;) {
      wake = Promise.withResolvers<void>();
      await Promise.race([clock.sleep(times.statusUpdateMs, signal), wake.promise]);
      signal.throwIfAborted();
      const isDue = clock.now() - reportedAtMs >= times.statusReportMs;
      const reported = await untilDone(() => report(options, isDue), 'report node status', signal);
      // What others wrote of its status meanwhile is what it changed.
      tell(nodeEventsOf({ ...seen, status: reported.before.status ?? {} }, reported.node));
      seen = reported.node;
      if (reported.isWritten) reportedAtMs = clock.now();
    }
  };
  const keepLease = async (): Promise<void> => {
    const node = await registered.promise;
    let lease: Lease | undefined;
    for (;;) {
      noted = Promise.withResolvers<void>();
      lease = await untilDone(() => renewLease(options, node, lease), 'renew node lease', signal);
      const due = clock.sleep((times.leaseSeconds * 1000) / 4, signal); // As the kubelet does.
      const isNoted = await Promise.race([due.then(() => false), noted.promise.then(() => true)]);
      if (isNoted) await clock.sleep(gatherMs, signal);
    }
  };
  const untilDone = async <T>(work: () => Promise<T>, what: string, until: AbortSignal): Promise<T> => {
    for (;;) {
      try {
        return await work();
      } catch (error) {
        until.throwIfAborted();
        const fields = { node: name, error: describeError(error), retryMs, ...withRemedy(error) };
        logger.warn(fields, `${what}: trying again`);
        await clock.sleep(retryMs, until);
      }
    }
  };
  const loops = Promise.allSettled([keepStatus(), keepLease()]);
  registered.promise.catch(() => undefined); // Only rejected at the end, when nobody may be waiting.
  return {
    registered: registered.promise,
    get seen() {
      return seen;
    },
    refresh: () => wake.resolve(),
    [Symbol.asyncDispose]: async () => {
      abort.abort(new DOMException('node agent stopped', 'AbortError'));
      registered.reject(signal.reason);
      subscription?.[Symbol.dispose]();
      await loops;
      await recorder[Symbol.asyncDispose]();
    },
  };
}

/** Of a Node by its name, as kubelets say it: they write before they have seen it. */
function tellOf(recorder: EventRecorder, name: string, events: readonly NodeEvent[]): void {
  const object: Node = { apiVersion: 'v1', kind: 'Node', metadata: { name, uid: name } };
  for (const { type, reason, message } of events)
    recorder.record({ kind: nodes, object }, type, reason, message);
}

interface Registered {
  /** As it was found; undefined: it was made. */
  readonly before: Node | undefined;
  readonly node: Node;
}

/** Makes the Node, or takes over the one there is: labels and status become ours, the rest stays. */
async function register({ client, clock, read, name }: NodeAgentOptions): Promise<Registered> {
  const input = await read();
  const wanted = renderNode(input, clock.now());
  try {
    const created = await client.create(nodes, wanted);
    if (created.status?.capacity !== undefined) return { before: undefined, node: created };
    const node = await patchStatus({ client, name }, {}, renderNodeStatus(input, undefined, clock.now()));
    return { before: undefined, node };
  } catch (error) {
    if (!isAlreadyExists(error)) throw error;
  }
  const present = await client.get(nodes, { name });
  const labels = nodeLabels(input);
  const annotations = nodeAnnotations(input);
  const hasAll = (
    wanted: Readonly<Record<string, string>>,
    there: Readonly<Record<string, string>> | undefined,
  ): boolean => Object.entries(wanted).every(([key, value]) => there?.[key] === value);
  const { metadata } = present;
  if (!hasAll(labels, metadata?.labels) || !hasAll(annotations, metadata?.annotations))
    await client.patch(nodes, { name }, { kind: 'strategic', body: { metadata: { labels, annotations } } });
  const wantedStatus = renderNodeStatus(input, present.status, clock.now());
  const node = await patchStatus({ client, name }, present.status ?? {}, wantedStatus);
  return { before: present, node };
}

/**
 * Writes the status when it is not what the API has, whoever changed it (a node that was silent was marked), and when it is due,
 * so that its heartbeats are not too old. Whether it did, and the Node before and then.
 */
async function report(
  options: NodeAgentOptions,
  isDue: boolean,
): Promise<{ readonly before: Node; readonly node: Node; readonly isWritten: boolean }> {
  const { client, clock, read, name, watched } = options;
  // What is due asks the API itself: a watch that is silent, and should not be, hides nothing for longer than that.
  const known = isDue || watched?.isCurrent !== true ? undefined : watched.get(name);
  const node = known ?? (await client.get(nodes, { name }));
  const { status: present = {} } = node;
  const wanted = renderNodeStatus(await read(), present, clock.now());
  if (!isDue && says(present, wanted)) return { before: node, node, isWritten: false };
  const written = await patchStatus({ client, name }, present, wanted);
  watched?.observe(written);
  return { before: node, node: written, isWritten: true };
}

async function patchStatus(
  { client, name }: { readonly client: ApiClient; readonly name: string },
  before: NodeStatus,
  wanted: NodeStatus,
): Promise<Node> {
  // Addresses are merged by type, so that those that went must be named; one type may have several (dual stack).
  const { addresses = [], ...others } = wanted;
  const isMoved = !equalJson(before.addresses, addresses);
  const status = isMoved ? { ...others, addresses: [{ $patch: 'replace' }, ...addresses] } : others;
  return client.patch(nodes, { name }, { kind: 'strategic', body: { status }, subresource: 'status' });
}

/** Whether all that is ours stands in the status, heartbeats aside; others may have resources and conditions of their own in it. */
function says(status: NodeStatus, { conditions = [], ...fields }: NodeStatus): boolean {
  const isSame = (own: unknown, there: unknown): boolean =>
    isObject(own) && isObject(there)
      ? Object.entries(own).every(([name, value]) => isSame(value, there[name]))
      : equalStored(own, there);
  const verdicts = conditions.map(({ type, status: state, reason, message }) => ({
    own: [state, reason, message],
    there: status.conditions?.find((one) => one.type === type),
  }));
  return (
    isSame(fields, status) &&
    verdicts.every(({ own, there }) => equalStored(own, [there?.status, there?.reason, there?.message]))
  );
}

const leaseNamespace = 'kube-node-lease';

/** The lease by which the node lifecycle controller sees that the node is alive. */
async function renewLease(
  options: NodeAgentOptions,
  node: Node,
  known: Lease | undefined,
  conflictsLeft = conflictsMax,
): Promise<Lease> {
  const { client, clock, name } = options;
  const owner = { apiVersion: 'v1', kind: 'Node', name, uid: node.metadata?.uid ?? '' };
  const metadata = { name, namespace: leaseNamespace, ownerReferences: [owner] };
  const spec = {
    holderIdentity: name,
    leaseDurationSeconds: (options.times ?? defaultSettings).leaseSeconds,
    renewTime: formatMicroTime(clock.now()),
  };
  const notes = options.notes?.all() ?? new Map<string, string | undefined>();
  try {
    const before = known ?? (await client.get(leases, metadata));
    const annotations = annotationsWith(before.metadata?.annotations ?? {}, notes);
    return await client.update(leases, {
      ...before,
      ...(notes.size === 0 ? {} : { metadata: { ...before.metadata, annotations } }),
      spec: { ...before.spec, ...spec },
    });
  } catch (error) {
    // Somebody else wrote it: read it again.
    if (isConflict(error) && conflictsLeft > 0)
      return renewLease(options, node, undefined, conflictsLeft - 1);
    if (!isNotFound(error)) throw error;
    const annotations = annotationsWith({}, notes);
    return client.create(leases, { metadata: { ...metadata, annotations }, spec });
  }
}

function annotationsWith(
  before: Readonly<Record<string, string>>,
  notes: ReadonlyMap<string, string | undefined>,
): Record<string, string> {
  const all = Object.entries({ ...before, ...Object.fromEntries(notes) });
  return Object.fromEntries(
    all.flatMap(([key, text]): [string, string][] => (text === undefined ? [] : [[key, text]])),
  );
}
