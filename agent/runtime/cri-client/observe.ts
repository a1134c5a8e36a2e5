/** What a runtime that is asked by CRI says, as the kubelet looks at it. Pure. */
import { constants } from 'node:os';
import { isObject, objectsOf } from '#api/wire/json.ts';
import type {
  Container,
  ContainerStatus,
  ContainerStatusResponse,
  PodSandbox,
  PodSandboxStatusResponse,
} from '#proto/cri/api.ts';
import { signalName } from '#agent/runtime/cri/render-container.ts';
import type {
  ContainerObservation,
  ContainerState,
  HandlerFeatures,
  PodObservation,
  SandboxObservation,
} from '#agent/runtime/runtime.ts';
import {
  containerNameLabel,
  idLabel,
  podUidLabel,
  readContainerMark,
  readSandboxMark,
  type ContainerMark,
  type SandboxMark,
} from './marks.ts';

/** A sandbox of ours. */
export interface KnownSandbox {
  readonly id: string;
  readonly uid: string;
  readonly namespace: string;
  readonly name: string;
  /** CRI's. */
  readonly attempt: number;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly mark: SandboxMark;
  readonly runtimeHandler: string;
  readonly isReady: boolean;
  readonly createdAtMs: number;
  readonly ips: readonly string[];
  readonly netnsPath: string | undefined;
}

/** A container of ours. */
export interface KnownContainer {
  /** The kubelet's, and CRI's. */
  readonly id: string;
  readonly criId: string;
  readonly sandboxId: string;
  readonly uid: string;
  readonly name: string;
  readonly attempt: number;
  readonly mark: ContainerMark;
  readonly createdAtMs: number;
  readonly criState: Container['state'];
  readonly state: ContainerState;
  readonly imageId: string;
  readonly user: ContainerObservation['user'];
  readonly stopSignal: number | undefined;
}

const msOf = (nanoseconds: number): number => Math.floor(nanoseconds / 1_000_000);

/** Undefined where it lacks what we mark ours with. */
export function sandboxOf(
  listed: PodSandbox,
  status: PodSandboxStatusResponse | undefined,
): KnownSandbox | undefined {
  const mark = readSandboxMark(listed.annotations);
  const { metadata } = listed;
  const uid = listed.labels[podUidLabel];
  if (mark === undefined || metadata === null || uid === undefined) return undefined;
  const network = status?.status?.network;
  const ips = [network?.ip ?? '', ...(network?.additional_ips ?? []).map(({ ip }) => ip)];
  return {
    id: listed.id,
    ...{ uid, namespace: metadata.namespace, name: metadata.name, attempt: metadata.attempt, mark },
    ...{ labels: listed.labels, annotations: listed.annotations },
    runtimeHandler: listed.runtime_handler,
    isReady: listed.state === 'SANDBOX_READY',
    createdAtMs: msOf(listed.created_at),
    ips: mark.hostNetwork ? [] : ips.filter((ip) => ip !== ''),
    netnsPath: mark.hostNetwork ? undefined : netnsOf(infoOf(status?.info)),
  };
}

/** What runtimes say beyond the contract is JSON, by names of their own. */
function infoOf(info: Readonly<Record<string, string>> | undefined): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(info?.['info'] ?? '{}');
    return isObject(value) ? value : {};
  } catch {
    return {}; // Not JSON: nothing that we know of.
  }
}

/** containerd's and CRI-O's is in the OCI configuration; ours is in `sandbox`. */
function netnsOf({ runtimeSpec, sandbox }: Readonly<Record<string, unknown>>): string | undefined {
  if (isObject(sandbox) && typeof sandbox['netnsPath'] === 'string') return sandbox['netnsPath'];
  const linux = isObject(runtimeSpec) ? runtimeSpec['linux'] : undefined;
  const namespaces: unknown = isObject(linux) ? linux['namespaces'] : undefined;
  const found = objectsOf(namespaces).find((each) => each['type'] === 'network');
  return typeof found?.['path'] === 'string' ? found['path'] : undefined;
}

/** `message`: what the container said of its end. Undefined where it lacks what we mark ours with. */
export function containerOf(
  listed: Container,
  { status, info }: Pick<ContainerStatusResponse, 'status' | 'info'>,
  message: string,
): KnownContainer | undefined {
  const mark = readContainerMark(listed.annotations);
  const { [idLabel]: id, [podUidLabel]: uid, [containerNameLabel]: name } = listed.labels;
  if (mark === undefined || status === null || id === undefined || uid === undefined) return undefined;
  const { pid } = infoOf(info);
  const user = status.user?.linux;
  return {
    ...{ id, criId: listed.id, sandboxId: listed.pod_sandbox_id, uid, mark },
    name: name ?? listed.metadata?.name ?? '',
    attempt: listed.metadata?.attempt ?? 0,
    createdAtMs: msOf(listed.created_at),
    criState: status.state,
    state: stateOf(status, typeof pid === 'number' ? pid : 0, message),
    imageId: status.image_ref === '' ? status.image_id : status.image_ref,
    user:
      user === null || user === undefined
        ? undefined
        : { uid: user.uid, gid: user.gid, additionalGids: user.supplemental_groups },
    stopSignal: numberOf(signalName(status.stop_signal)),
  };
}

const realtimeMin = 34;
const realtimeMax = 64;

function numberOf(name: string | undefined): number | undefined {
  const known = Object.entries(constants.signals).find(([each]) => each === name)?.[1];
  const [, from, sign = '+', by = '0'] = /^SIGRT(MIN|MAX)(?:([+-])(\d+))?$/.exec(name ?? '') ?? [];
  if (known !== undefined || from === undefined) return known;
  return (from === 'MIN' ? realtimeMin : realtimeMax) + Number(`${sign}${by}`);
}

type ExitReason = Extract<ContainerState, { state: 'exited' }>['reason'];
const reasons: ReadonlySet<string> = new Set<ExitReason>([
  'Completed',
  'Error',
  'OOMKilled',
  'ContainerCannotRun',
  'StartError',
  'ContainerStatusUnknown',
]);

/** CRI tells no signals: 137 stays a code. What the runtime lost sight of has ended, and is removed by force. */
function stateOf(status: ContainerStatus, pid: number, message: string): ContainerState {
  const startedAtMs = msOf(status.started_at);
  if (status.state === 'CONTAINER_CREATED') return { state: 'created' };
  if (status.state === 'CONTAINER_RUNNING') return { state: 'running', startedAtMs, pid };
  const isLost = status.state === 'CONTAINER_UNKNOWN';
  const exitCode = isLost && status.exit_code === 0 ? 137 : status.exit_code;
  const said = isLost ? 'ContainerStatusUnknown' : status.reason;
  const otherwise = exitCode === 0 ? 'Completed' : 'Error';
  return {
    state: 'exited',
    startedAtMs,
    finishedAtMs: Math.max(startedAtMs, msOf(status.finished_at)),
    exitCode,
    signal: undefined,
    reason: reasons.has(said) ? (said as ExitReason) : otherwise,
    message: said === 'StartError' || said === 'ContainerCannotRun' ? status.message : message,
  };
}

/** Newest last: the last is the pod's, unless nothing of it was ever ready and an older one is. */
export function inOrder(sandboxes: readonly KnownSandbox[]): readonly KnownSandbox[] {
  return sandboxes.toSorted((a, b) => a.attempt - b.attempt || a.createdAtMs - b.createdAtMs);
}

/**
 * Of all that is known of a pod. `isStopped`: a sandbox that was ended, with its network; what has died otherwise is yet to be. What is
 * created and not started is not there: nobody but who starts it knows of it.
 */
export function podOf(
  sandboxes: readonly KnownSandbox[],
  containers: readonly KnownContainer[],
  options: {
    readonly runtimeName: string;
    readonly isStopped: (sandboxId: string) => boolean;
    readonly handlers: ReadonlyMap<string, HandlerFeatures>;
  },
): PodObservation | undefined {
  const newest = inOrder(sandboxes).at(-1);
  if (newest === undefined) return undefined;
  const { uid, namespace, name } = newest;
  const shown = containers
    .filter(({ criState }) => criState !== 'CONTAINER_CREATED')
    .toSorted((a, b) => a.createdAtMs - b.createdAtMs || a.attempt - b.attempt);
  return {
    ...{ uid, namespace, name },
    sandbox: observedSandbox(newest, options),
    containers: shown.map((each) => observedContainer(each, options.runtimeName)),
  };
}

function observedSandbox(
  sandbox: KnownSandbox,
  { isStopped, handlers }: Pick<Parameters<typeof podOf>[2], 'isStopped' | 'handlers'>,
): SandboxObservation {
  const { id, mark, isReady, createdAtMs, ips, netnsPath, runtimeHandler: name } = sandbox;
  const state = isReady ? 'ready' : isStopped(id) ? 'stopped' : 'dead';
  const features = handlers.get(name);
  return {
    ...{ id, attempt: mark.attempt, state, createdAtMs, ips, netnsPath },
    ...(features === undefined ? {} : { handler: { name, features } }),
  };
}

function observedContainer(container: KnownContainer, runtimeName: string): ContainerObservation {
  const { id, criId, name, attempt, mark, imageId, state, user, stopSignal } = container;
  return {
    ...{ id, shownId: `${runtimeName}://${criId}`, name, attempt, image: mark.image, imageId, state, user },
    stopSignal,
    logPath: mark.logPath,
    mountedImages: mark.mountedImages,
  };
}
