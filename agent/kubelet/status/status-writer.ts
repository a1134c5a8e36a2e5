import type { Clock } from '#base/clock.ts';
import { KeyedQueue } from '#base/keyed-queue.ts';
import { equalJson, equalStored, withoutEmpty } from '#api/wire/json.ts';
import { pods } from '#api/schema/kind-ref.ts';
import type { ContainerStatus, Pod, PodCondition, PodStatus } from '#api/generated/objects.ts';
import { isNotFound } from '#client/api-error.ts';
import type { ApiClient } from '#client/client.ts';
import { isResizeCondition } from './status.ts';

/** Writes pod statuses: for each pod in order, the newest only, and only what differs from what the API has. */
export interface StatusWriter extends AsyncDisposable {
  set(uid: string, status: PodStatus): void;
  /** Whether the API has the last status that was set. */
  isCurrent(uid: string): boolean;
  forget(uid: string): void;
}

export interface StatusWriterOptions {
  readonly client: ApiClient;
  readonly clock: Clock;
  /** The newest object known, or undefined when the pod is gone. */
  readonly podOf: (uid: string) => Pod | undefined;
  /** Told when the server has what was wanted, and what it has: by its answer, or by its watch where the answer was lost. */
  readonly onWritten: (uid: string, pod: Pod) => void;
  readonly onError: (uid: string, error: unknown, retryMs: number) => void;
}

const writesAtOnceMax = 16;
/**
 * Bookkeeping waits for so long, or rides with the next write: a client that changes a pod and goes on to read and write it is
 * not overtaken by the kubelet in between, which would turn its write into a conflict.
 */
const bookkeepingDelayMs = 500;

export function createStatusWriter(options: StatusWriterOptions): StatusWriter {
  const { client, podOf, onWritten } = options;
  const wanted = new Map<string, PodStatus>();
  const queue = new KeyedQueue<string>({
    clock: options.clock,
    concurrencyMax: writesAtOnceMax,
    backoff: { initialMs: 100, factor: 2, maxMs: 10_000 },
    work: (uid) => write(uid),
    onError: options.onError,
  });

  async function write(uid: string): Promise<void> {
    const status = wanted.get(uid);
    const pod = podOf(uid);
    if (status === undefined || pod === undefined) return;
    const patch = planStatusPatch(pod, status);
    if (patch === undefined) {
      // The watch told of it before the answer came, or instead of one: whoever waits for the server to have it goes on.
      wanted.delete(uid);
      onWritten(uid, pod);
      return;
    }
    const { namespace, name = '' } = pod.metadata ?? {};
    try {
      const answer = await client.patch(
        pods,
        { namespace, name },
        { kind: 'strategic', body: patch, subresource: 'status' },
      );
      if (wanted.get(uid) === status) wanted.delete(uid);
      onWritten(uid, answer);
    } catch (error) {
      // A conflict is tried again: kube-apiserver gives up patches that others overtake. Where another pod has the name (uid precondition),
      // the watch soon says that this one is gone.
      if (!isNotFound(error)) throw error;
      wanted.delete(uid);
    }
  }
  return {
    set: (uid, status) => {
      const pod = podOf(uid);
      const isPending = wanted.has(uid);
      if (pod === undefined || (!isPending && planStatusPatch(pod, status) === undefined)) return;
      wanted.set(uid, status);
      queue.addAfter(uid, isBookkeeping(pod, status) ? bookkeepingDelayMs : 0);
    },
    isCurrent: (uid) => !wanted.has(uid),
    forget: (uid) => void wanted.delete(uid),
    [Symbol.asyncDispose]: () => queue[Symbol.asyncDispose](),
  };
}

/**
 * Whether the statuses differ only in what nobody acts on: generations seen, and which run of a container it is that is as
 * running, ready and started as the one before. How a pod ends is never bookkeeping.
 */
export function isBookkeeping(pod: Pod, wanted: PodStatus): boolean {
  if (pod.metadata?.deletionTimestamp !== undefined) return false;
  return equalJson(essenceOf(pod.status ?? {}), essenceOf(wanted));
}

function essenceOf(status: PodStatus): unknown {
  const essence = {
    ...Object.fromEntries(ownFields.map((field) => [field, status[field]])),
    observedGeneration: undefined,
    podIPs: status.podIPs,
    conditions: Object.fromEntries(
      (status.conditions ?? []).map(({ type, status: state, reason, message }) => [
        type,
        [state, reason, message],
      ]),
    ),
    initContainerStatuses: status.initContainerStatuses?.map(essenceOfContainer),
    containerStatuses: status.containerStatuses?.map(essenceOfContainer),
    ephemeralContainerStatuses: status.ephemeralContainerStatuses?.map(essenceOfContainer),
  };
  return withoutEmpty(essence);
}

function essenceOfContainer(status: ContainerStatus): unknown {
  const {
    name,
    ready,
    started,
    state = {},
    resources,
    allocatedResources,
    allocatedResourcesStatus,
  } = status;
  const given = { resources, allocatedResources, allocatedResourcesStatus };
  const isRunning = state.running !== undefined;
  return { name, ready, started, ...given, state: { ...state, running: isRunning } };
}

/** The fields that the kubelet owns. */
const ownFields = [
  'phase',
  'reason',
  'message',
  'hostIP',
  'hostIPs',
  'podIP',
  'startTime',
  'qosClass',
  'initContainerStatuses',
  'containerStatuses',
  'ephemeralContainerStatuses',
  'observedGeneration',
  'resources',
  'allocatedResources',
] as const satisfies readonly (keyof PodStatus)[];

/**
 * The strategic merge patch that makes the reported status the wanted one; undefined when nothing differs. Conditions are
 * merged by type, so that those of others stay; podIPs are merged by ip, so that old ones are deleted by name.
 */
export function planStatusPatch(pod: Pod, wanted: PodStatus): unknown {
  const reported = pod.status ?? {};
  const changed = ownFields
    .filter((field) => !equalStored(reported[field], wanted[field]))
    .map((field): [string, unknown] => [field, wanted[field] ?? null]);
  const conditions = changedConditions(reported.conditions ?? [], wanted.conditions ?? []);
  const ips = changedIps(reported, wanted);
  if (changed.length === 0 && conditions.length === 0 && ips.length === 0) return undefined;
  return {
    metadata: { uid: pod.metadata?.uid },
    status: {
      ...Object.fromEntries(changed),
      ...(conditions.length === 0 ? {} : { conditions }),
      ...(ips.length === 0 ? {} : { podIPs: ips }),
    },
  };
}

function changedConditions(
  reported: readonly PodCondition[],
  wanted: readonly PodCondition[],
): readonly Readonly<Record<string, unknown>>[] {
  // Those of a resize go when it is done; what others report stays.
  const gone = reported.filter(
    ({ type }) => isResizeCondition(type) && !wanted.some((condition) => condition.type === type),
  );
  const deletions = gone.map(({ type }) => ({ $patch: 'delete', type }));
  const changes = wanted.flatMap((condition) => {
    const old = reported.find(({ type }) => type === condition.type);
    if (old !== undefined && equalStored(old, condition)) return [];
    const cleared = Object.fromEntries(
      (['reason', 'message'] as const)
        .filter((field) => old?.[field] !== undefined && condition[field] === undefined)
        .map((field) => [field, null]),
    );
    return [{ ...condition, ...cleared }];
  });
  return [...deletions, ...changes];
}

function changedIps(reported: PodStatus, wanted: PodStatus): readonly unknown[] {
  const old = (reported.podIPs ?? []).map(({ ip }) => ip);
  const now = (wanted.podIPs ?? []).map(({ ip }) => ip);
  if (equalJson(old, now)) return [];
  return [
    ...old.filter((ip) => !now.includes(ip)).map((ip) => ({ $patch: 'delete', ip })),
    ...now.map((ip) => ({ ip })),
  ];
}
