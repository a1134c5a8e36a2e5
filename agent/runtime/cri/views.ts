/** What there is, as CRI's clients see it: their own sandboxes and containers, and the pods of this node's kubelet. Pure. */
import { constants } from 'node:os';
import type {
  Container,
  ContainerMetadata,
  ContainerStatus,
  ImageSpec,
  NamespaceOption,
  PodSandbox,
  PodSandboxMetadata,
  PodSandboxStatus,
} from '#proto/cri/api.ts';
import { formatReference, isImageId, parseReference } from '#api/oci/reference.ts';
import type { Outgoing } from '#proto/contract.ts';
import { refusal } from '#proto/status.ts';
import { sandboxIdOf } from '#agent/runtime/plan/plan-sandbox.ts';
import type {
  ContainerObservation,
  ContainerState,
  ImageRecord,
  PodObservation,
  Runtime,
} from '#agent/runtime/runtime.ts';
import { criUidPrefix, type ContainerRecord, type CriBook, type SandboxRecord } from './records.ts';
import { signalOf } from './render-container.ts';

export interface SandboxView {
  readonly uid: string;
  readonly id: string;
  readonly metadata: PodSandboxMetadata;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly runtimeHandler: string;
  readonly createdAtMs: number;
  readonly isReady: boolean;
  readonly ips: readonly string[];
  readonly namespaces: NamespaceOption | null;
  /** Of a client of CRI: the others are the kubelet's, and only looked at. */
  readonly isOwn: boolean;
  readonly containers: readonly ContainerView[];
}

export interface ContainerView {
  readonly id: string;
  readonly uid: string;
  readonly sandboxId: string;
  readonly metadata: ContainerMetadata;
  readonly image: ImageSpec;
  readonly imageId: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly createdAtMs: number;
  readonly state: ContainerState;
  readonly record: ContainerRecord | undefined;
  readonly seen: ContainerObservation | undefined;
}

/** Oldest first. What is being made, and its client does not know of yet, is not there. */
export function viewAll(book: CriBook, runtime: Pick<Runtime, 'observeAll'>): readonly SandboxView[] {
  const pods = new Map(runtime.observeAll().map((pod) => [pod.uid, pod]));
  const containers = Map.groupBy(book.containers(), ({ sandboxUid }) => sandboxUid);
  const recorded = new Map(book.sandboxes().map((record) => [record.uid, record]));
  const uids = new Set([...recorded.keys(), ...pods.keys()]);
  const views = [...uids].flatMap((uid) => {
    const [record, pod] = [recorded.get(uid), pods.get(uid)];
    if (record?.phase === 'making') return [];
    return record === undefined && pod?.sandbox === undefined
      ? []
      : [viewOf({ record, pod, containers: containers.get(uid) ?? [] })];
  });
  return views.toSorted((a, b) => a.createdAtMs - b.createdAtMs);
}

export function viewSandbox(
  book: CriBook,
  runtime: Pick<Runtime, 'observe'>,
  uid: string,
): SandboxView | undefined {
  const [record, pod] = [book.sandbox(uid), runtime.observe(uid)];
  if (record?.phase === 'making' || (record === undefined && pod?.sandbox === undefined)) return undefined;
  return viewOf({
    record,
    pod,
    containers: book.containers().filter(({ sandboxUid }) => sandboxUid === uid),
  });
}

function viewOf(found: {
  readonly record: SandboxRecord | undefined;
  readonly pod: PodObservation | undefined;
  readonly containers: readonly ContainerRecord[];
}): SandboxView {
  const { record, pod } = found;
  const uid = record?.uid ?? pod?.uid ?? '';
  const config = record?.config;
  const [name, namespace] = [pod?.name ?? '', pod?.namespace ?? ''];
  const view = {
    uid,
    id: record?.id ?? pod?.sandbox?.id ?? sandboxIdOf(uid, 0),
    metadata: config?.metadata ?? { name, namespace, uid, attempt: pod?.sandbox?.attempt ?? 0 },
    labels: config?.labels ?? kubeletLabels({ name, namespace, uid }),
    annotations: config?.annotations ?? {},
    runtimeHandler: record?.runtimeHandler ?? pod?.sandbox?.handler?.name ?? '',
    createdAtMs: record?.createdAtMs ?? pod?.sandbox?.createdAtMs ?? 0,
    isReady: pod?.sandbox?.state === 'ready',
    ips: pod?.sandbox?.ips ?? [],
    namespaces: config?.linux?.security_context?.namespace_options ?? null,
    isOwn: record !== undefined || uid.startsWith(criUidPrefix),
  };
  const seen = new Map((pod?.containers ?? []).map((each) => [each.id, each]));
  const recorded = new Set(found.containers.map(({ id }) => id));
  const own = found.containers.map((each) => ownContainer(each, view.id, seen.get(each.id)));
  const others = [...seen.values()]
    .filter(({ id }) => !recorded.has(id))
    .map((each) => seenContainer(each, view));
  return { ...view, containers: [...own, ...others] };
}

/** As the kubelet labels what it makes by CRI (pkg/kubelet/kuberuntime/labels.go). */
function kubeletLabels({
  name,
  namespace,
  uid,
}: {
  readonly name: string;
  readonly namespace: string;
  readonly uid: string;
}): Readonly<Record<string, string>> {
  return {
    'io.kubernetes.pod.name': name,
    'io.kubernetes.pod.namespace': namespace,
    'io.kubernetes.pod.uid': uid,
  };
}

function ownContainer(
  record: ContainerRecord,
  sandboxId: string,
  seen: ContainerObservation | undefined,
): ContainerView {
  const { id, sandboxUid: uid, metadata, image, labels, annotations, createdAtMs, launch } = record;
  return {
    ...{ id, uid, sandboxId, metadata, image, labels, annotations, createdAtMs, record, seen },
    imageId: launch.imageId,
    state: seen?.state ?? unseenState(record),
  };
}

function unseenState({ failure }: ContainerRecord): ContainerState {
  if (failure === undefined) return { state: 'created' };
  const { atMs, message } = failure;
  const times = { startedAtMs: atMs, finishedAtMs: atMs };
  return { state: 'exited', ...times, exitCode: 128, signal: undefined, reason: 'StartError', message };
}

function seenContainer(
  seen: ContainerObservation,
  sandbox: Pick<SandboxView, 'id' | 'uid' | 'labels' | 'createdAtMs'>,
): ContainerView {
  const { id, name, attempt, image, imageId, state } = seen;
  return {
    ...{ id, uid: sandbox.uid, sandboxId: sandbox.id, imageId, state, record: undefined, seen },
    metadata: { name, attempt },
    image: { image, annotations: {}, user_specified_image: image, runtime_handler: '', image_ref: '' },
    labels: { ...sandbox.labels, 'io.kubernetes.container.name': name },
    annotations: { 'io.kubernetes.container.restartCount': String(attempt) },
    createdAtMs: state.state === 'created' ? sandbox.createdAtMs : state.startedAtMs,
  };
}

/** By the whole id, or the only one that begins so. @throws NOT_FOUND, INVALID_ARGUMENT for several */
export function findById<T extends { readonly id: string }>(what: string, id: string, all: readonly T[]): T {
  const found = all.find((each) => each.id === id) ?? onlyOne(what, id, all);
  if (found !== undefined) return found;
  throw refusal('NOT_FOUND', `find ${what} ${JSON.stringify(id)}: there is none`);
}

function onlyOne<T extends { readonly id: string }>(
  what: string,
  id: string,
  all: readonly T[],
): T | undefined {
  if (id === '') throw refusal('INVALID_ARGUMENT', `find ${what}: no id is given`);
  const found = all.filter((each) => each.id.startsWith(id));
  if (found.length > 1)
    throw refusal('INVALID_ARGUMENT', `find ${what} ${JSON.stringify(id)}: ${found.length} begin so`);
  return found[0];
}

/** Nanoseconds of CRI. Past 2^53 not every number is one: the next that is no less. */
export function nanoseconds(ms: number): number {
  const exact = BigInt(Math.round(ms)) * 1_000_000n;
  const near = Number(exact);
  return BigInt(near) >= exact ? near : near + 2 ** (Math.floor(Math.log2(near)) - 52);
}

const sandboxState = (isReady: boolean): 'SANDBOX_READY' | 'SANDBOX_NOTREADY' =>
  isReady ? 'SANDBOX_READY' : 'SANDBOX_NOTREADY';

export function renderSandbox(view: SandboxView): Outgoing<PodSandbox> {
  const { id, metadata, labels, annotations, runtimeHandler: runtime_handler } = view;
  const state = sandboxState(view.isReady);
  const created_at = nanoseconds(view.createdAtMs);
  return { id, metadata, labels, annotations, state, created_at, runtime_handler };
}

export function renderSandboxStatus(view: SandboxView): Outgoing<PodSandboxStatus> {
  const [ip = '', ...others] = view.ips;
  return {
    ...renderSandbox(view),
    network: { ip, additional_ips: others.map((each) => ({ ip: each })) },
    linux: { namespaces: { options: view.namespaces ?? {} } },
  };
}

const states = {
  created: 'CONTAINER_CREATED',
  running: 'CONTAINER_RUNNING',
  exited: 'CONTAINER_EXITED',
} as const;

export function renderContainer(view: ContainerView, images: ImageOf): Outgoing<Container> {
  const { id, metadata, labels, annotations, image } = view;
  return {
    ...{ id, metadata, labels, annotations, image },
    ...imageNames(view, images),
    pod_sandbox_id: view.sandboxId,
    state: states[view.state.state],
    created_at: nanoseconds(view.createdAtMs),
  };
}

export type ImageOf = (imageId: string) => ImageRecord | undefined;

function imageNames(
  { imageId }: ContainerView,
  images: ImageOf,
): { readonly image_ref: string; readonly image_id: string } {
  const image = images(imageId);
  return { image_ref: image?.digests[0] ?? imageId, image_id: image?.id ?? imageId };
}

/** Kubelets say an id, and show what the status says as the image of the pod: a name, as with other runtimes. */
function shownImage({ image, imageId }: ContainerView, images: ImageOf): string {
  if (!isImageId(image.image)) return image.image;
  const names = images(imageId)?.names ?? [];
  const asked = names.find((name) => name === canonicalName(image.user_specified_image));
  return asked ?? names[0] ?? image.image;
}

function canonicalName(text: string): string | undefined {
  try {
    return formatReference(parseReference(text));
  } catch {
    return undefined;
  }
}

export function renderContainerStatus(view: ContainerView, images: ImageOf): Outgoing<ContainerStatus> {
  const { id, metadata, labels, annotations, image, state, record, seen } = view;
  const user = seen?.user;
  return {
    ...{ id, metadata, labels, annotations },
    image: { ...image, image: shownImage(view, images) },
    ...imageNames(view, images),
    state: states[state.state],
    created_at: nanoseconds(view.createdAtMs),
    ...timesOf(state),
    mounts: record?.mounts ?? [],
    log_path: seen?.logPath ?? record?.launch.stdio.logPath ?? '',
    ...(record === undefined ? {} : { resources: { linux: record.resources } }),
    stop_signal:
      seen === undefined
        ? (record?.stopSignal ?? 'RUNTIME_DEFAULT')
        : signalOf(seen.stopSignal, constants.signals),
    ...(user === undefined
      ? {}
      : { user: { linux: { uid: user.uid, gid: user.gid, supplemental_groups: user.additionalGids } } }),
  };
}

function timesOf(state: ContainerState): Partial<Outgoing<ContainerStatus>> {
  if (state.state === 'created') return {};
  if (state.state === 'running') return { started_at: nanoseconds(state.startedAtMs) };
  return {
    started_at: nanoseconds(state.startedAtMs),
    finished_at: nanoseconds(state.finishedAtMs),
    exit_code: state.exitCode,
    reason: state.reason,
    message: state.message,
  };
}

interface Filter {
  readonly id: string;
  readonly label_selector: Readonly<Record<string, string>>;
}

/** All that it says must hold; an id may be the beginning of one. */
export function passes(
  filter: Filter | null,
  view: { readonly id: string; readonly labels: Readonly<Record<string, string>> },
): boolean {
  if (filter === null) return true;
  const hasLabels = Object.entries(filter.label_selector).every(([key, value]) => view.labels[key] === value);
  return view.id.startsWith(filter.id) && hasLabels;
}
