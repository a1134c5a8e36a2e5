/** Connects a node to a runtime that is asked by CRI, and follows it. */
import type { Clock } from '#base/clock.ts';
import { describeError, PodwrightError } from '#base/errors.ts';
import type { Logger } from '#base/log.ts';
import { loadContract } from '#proto/load.ts';
import type { StatusResponse, Services } from '#proto/cri/api.ts';
import { createUnixClient, type UnixClient } from '#proto/unix-client.ts';
import {
  defaultLogMonitorIntervalMs,
  monitorLogs,
  repairLogs,
  type LogMonitorOptions,
} from '#agent/runtime/logs/log-monitor.ts';
import { defaultLogRotation, type ContainerLog, type LogRotation } from '#agent/runtime/logs/rotate-logs.ts';
import type { HandlerFeatures } from '#agent/runtime/runtime.ts';
import { nodeLabel, podUidLabel } from './marks.ts';
import { CriImageStore } from './cri-images.ts';
import { CriRuntime, type CriRuntimeOptions } from './cri-runtime.ts';
import type { CriFeatures } from './render-request.ts';
import { isStatus, saying } from './rpc-error.ts';

type Kept =
  | 'nodeName'
  | 'system'
  | 'policies'
  | 'cgroupParent'
  | 'seccompDirectory'
  | 'idSpace'
  | 'clock'
  | 'log';

export interface ConnectOptions extends Pick<CriRuntimeOptions, Kept> {
  /** `unix:///run/containerd/containerd.sock` */
  readonly endpoint: string;
  /** Of images, where they have one of their own. */
  readonly imageEndpoint?: string | undefined;
  readonly logRotation?: LogRotation | undefined;
  readonly logMonitorIntervalMs?: number | undefined;
}

/** The kubelet's runtimeRequestTimeout. */
const callMsMax = 120_000;
/** Without events, as the kubelet relists; with them, for what an event was lost of. */
const relistMs = 1_000;
const relistWithEventsMs = 10_000;
/** Whether it is ready, and what images others brought. */
const statusMs = 10_000;
/** How long a runtime that is starting, too, is waited for. */
const startMs = 60_000;
const retryMs = 1_000;

/**
 * The runtime with all that is there of this node. Disposing it leaves its pods running. Loads gRPC.
 * @throws E_CONNECTION when nobody answers, E_UNSUPPORTED for a runtime that cannot be driven
 */
export async function connectRuntime(
  options: ConnectOptions,
  signal: AbortSignal,
): Promise<CriRuntime & AsyncDisposable> {
  const contract = await loadContract('cri-v1');
  const service = contract.services['runtime.v1.RuntimeService'];
  const imageService = contract.services['runtime.v1.ImageService'];
  await using stack = new AsyncDisposableStack();

  const client = stack.use(createUnixClient(contract, { endpoint: options.endpoint, timeoutMs: callMsMax }));
  const { imageEndpoint = options.endpoint } = options;
  const imageClient =
    imageEndpoint === options.endpoint
      ? client
      : stack.use(createUnixClient(contract, { endpoint: imageEndpoint, timeoutMs: callMsMax }));
  const found = await findRuntime(client, service, { ...options, signal });
  const images = new CriImageStore(imageClient, imageService);
  const runtime = new CriRuntime({ ...options, ...found, client, service, images });
  await saying(runtime.open());
  await runtime.sweep().catch((error: unknown) => tell(options.log, error));
  const logs = logOptions(runtime, options);
  await repairLogs(logs);
  stack.use(monitorLogs(logs));
  stack.use(follow(runtime, { ...options, client, service }));
  options.log.info({ endpoint: options.endpoint, runtime: runtime.version }, 'container runtime');
  const owned = stack.move();
  const dispose = runtime[Symbol.asyncDispose].bind(runtime);
  return Object.assign(runtime, {
    [Symbol.asyncDispose]: async () => {
      await owned.disposeAsync();
      await dispose();
    },
  });
}

const tell = (log: Logger, error: unknown): void =>
  log.warn({ error: describeError(error) }, 'what was begun in the runtime is not undone yet');

interface FoundRuntime {
  readonly runtimeName: string;
  readonly runtimeVersion: string;
  readonly features: CriFeatures;
  readonly handlers: ReadonlyMap<string, HandlerFeatures>;
}

type RuntimeService = Services['runtime.v1.RuntimeService'];

async function findRuntime(
  client: UnixClient,
  service: RuntimeService,
  { endpoint, clock, signal }: Pick<ConnectOptions, 'endpoint' | 'clock'> & { readonly signal: AbortSignal },
): Promise<FoundRuntime> {
  const until = clock.monotonic() + startMs;
  for (;;) {
    try {
      const { runtime_name: runtimeName, runtime_version: runtimeVersion } = await client.call(
        service.Version,
        {},
        { signal },
      );
      await refuseSystemd(client, service, runtimeName);
      return {
        runtimeName,
        runtimeVersion,
        ...abilitiesOf(await client.call(service.Status, {}, { signal })),
      };
    } catch (cause) {
      signal.throwIfAborted();
      if (isStatus(cause, 'UNIMPLEMENTED'))
        throw new PodwrightError(
          'E_UNSUPPORTED',
          `ask ${endpoint}: it does not speak CRI v1 (for containerd: its plugin io.containerd.grpc.v1.cri must not be disabled)`,
          { cause },
        );
      if (!isStatus(cause, 'UNAVAILABLE') || clock.monotonic() >= until) {
        if (isStatus(cause, 'UNAVAILABLE'))
          throw new PodwrightError('E_CONNECTION', `ask ${endpoint}: no container runtime answers there`, {
            cause,
          });
        throw cause;
      }
      await clock.sleep(retryMs, signal);
    }
  }
}

/** Cgroups of pods are laid out as the driver cgroupfs does. Runtimes before 1.28 do not say theirs. @throws E_UNSUPPORTED */
async function refuseSystemd(client: UnixClient, service: RuntimeService, name: string): Promise<void> {
  try {
    const { linux } = await client.call(service.RuntimeConfig, {});
    if (linux?.cgroup_driver !== 'SYSTEMD') return;
  } catch (error) {
    if (isStatus(error, 'UNIMPLEMENTED')) return;
    throw error;
  }
  throw new PodwrightError(
    'E_UNSUPPORTED',
    `drive ${name}: its cgroup driver is systemd, and the agent’s is cgroupfs; set SystemdCgroup = false in its configuration`,
  );
}

export function abilitiesOf({
  runtime_handlers: handlers,
  features,
}: StatusResponse): Pick<FoundRuntime, 'features' | 'handlers'> {
  return {
    features: { hasGroupsPolicy: features?.supplemental_groups_policy === true },
    handlers: new Map(
      handlers.map(({ name, features: own }) => [
        name,
        {
          recursiveReadOnlyMounts: own?.recursive_read_only_mounts === true,
          userNamespaces: own?.user_namespaces === true,
        },
      ]),
    ),
  };
}

/** Why no pod can be started, in the kubelet's words; undefined: they can. */
export function problemOf({ status }: StatusResponse): string | undefined {
  const bad = ['RuntimeReady', 'NetworkReady'].flatMap((type) => {
    const found = status?.conditions.find((each) => each.type === type);
    if (found?.status === true) return [];
    const what =
      type === 'NetworkReady' ? 'container runtime network not ready' : 'container runtime not ready';
    return [`${what}: ${type}=false reason:${found?.reason ?? ''} message:${found?.message ?? ''}`];
  });
  return bad.length === 0 ? undefined : bad.join('; ');
}

interface FollowPorts {
  readonly client: UnixClient;
  readonly service: RuntimeService;
  readonly nodeName: string;
  readonly clock: Clock;
  readonly log: Logger;
}

/** By its events where it has them, by lists where not, until disposed. */
function follow(runtime: CriRuntime, ports: FollowPorts): AsyncDisposable {
  const abort = new AbortController();
  const { signal } = abort;
  const told = { hasEvents: false };
  const done = Promise.allSettled([
    relist(runtime, { ...ports, told, signal }),
    followEvents(runtime, { ...ports, told, signal }),
  ]);
  return {
    [Symbol.asyncDispose]: async () => {
      abort.abort(new DOMException('agent stopped', 'AbortError'));
      await done;
    },
  };
}

interface Following extends FollowPorts {
  readonly told: { hasEvents: boolean };
  readonly signal: AbortSignal;
}

async function relist(
  runtime: CriRuntime,
  { client, service, clock, log, told, signal }: Following,
): Promise<void> {
  let askedMs = -Infinity;
  while (!signal.aborted) {
    try {
      await runtime.cache.refresh();
      await runtime.sweep().catch((error: unknown) => tell(log, error));
      if (clock.monotonic() - askedMs >= statusMs || runtime.problem() !== undefined) {
        askedMs = clock.monotonic();
        runtime.setProblem(problemOf(await client.call(service.Status, {}, { signal })));
        await runtime.images.refresh(signal);
      }
    } catch (error) {
      if (signal.aborted) return;
      if (runtime.problem() === undefined)
        log.warn({ error: describeError(error) }, 'the container runtime does not answer');
      runtime.setProblem(`container runtime is down: ${describeError(error)}`);
    }
    await clock.sleep(told.hasEvents ? relistWithEventsMs : relistMs, signal);
  }
}

async function followEvents(
  runtime: CriRuntime,
  { nodeName, client, service, clock, told, signal }: Following,
): Promise<void> {
  while (!signal.aborted) {
    try {
      for await (const { pod_sandbox_status: sandbox } of client.stream(
        service.GetContainerEvents,
        {},
        signal,
      )) {
        told.hasEvents = true;
        const { [nodeLabel]: node = nodeName, [podUidLabel]: uid } = sandbox?.labels ?? {};
        // Where that fails, the next list says why.
        if (node === nodeName) runtime.cache.refresh(uid).catch(() => undefined);
      }
    } catch (error) {
      told.hasEvents = false;
      if (isStatus(error, 'UNIMPLEMENTED')) return;
    }
    await clock.sleep(retryMs, signal);
  }
}

function logOptions(runtime: CriRuntime, options: ConnectOptions): LogMonitorOptions {
  const { logRotation: rotation = defaultLogRotation, clock, log } = options;
  const logs = (): readonly ContainerLog[] =>
    runtime.observeAll().flatMap(({ uid, containers }) =>
      containers.flatMap(({ id, logPath: path, state }) => {
        if (path === undefined) return [];
        return [{ path, reopen: state.state === 'running' ? () => runtime.reopenLog(uid, id) : undefined }];
      }),
    );
  return {
    rotation,
    intervalMs: options.logMonitorIntervalMs ?? defaultLogMonitorIntervalMs,
    logs,
    clock,
    log,
  };
}
