import { describeError } from '#base/errors.ts';
import type { Probe } from '#api/objects.ts';
import { runGrpcHealth } from './grpc-health.ts';
import {
  resolvePort,
  runExec,
  runHttpGet,
  runTcp,
  type HandlerPorts,
  type HandlerResult,
  type HandlerTarget,
} from './handler.ts';
import type { ProbeFact } from './pod-input.ts';

export type ProbeType = 'startup' | 'liveness' | 'readiness';

export interface ProberOptions extends HandlerPorts {
  /** A fact about a pod's probes changed. */
  readonly onChange: (podUid: string) => void;
  readonly onUnhealthy: (target: HandlerTarget, type: ProbeType, output: string) => void;
  readonly runProbe?: typeof runProbe;
}

/** Runs the probes of running containers; one instance for a node. */
export interface Prober extends Disposable {
  /** Starts the probes of a run, if it has any and they do not run. `seed`: what an earlier agent reported of this run. */
  watch(
    target: HandlerTarget,
    startedAtMs: number,
    seed: { readonly started: boolean; readonly ready: boolean } | undefined,
  ): void;
  /** Ends the probes of every run of the pod that is not in the list. */
  keepOnly(podUid: string, containerIds: ReadonlySet<string>): void;
  facts(podUid: string): ReadonlyMap<string, ProbeFact>;
}

interface Watched {
  readonly podUid: string;
  readonly abort: AbortController;
  fact: ProbeFact;
}

export function createProber(options: ProberOptions): Prober {
  const watched = new Map<string, Watched>();

  const set = (entry: Watched, change: Partial<ProbeFact>): void => {
    const fact = { ...entry.fact, ...change };
    const isSame =
      fact.hasStarted === entry.fact.hasStarted &&
      fact.isReady === entry.fact.isReady &&
      fact.failure === entry.fact.failure;
    entry.fact = fact;
    if (!isSame && !entry.abort.signal.aborted) options.onChange(entry.podUid);
  };
  return {
    watch: (target, startedAtMs, seed) => {
      const { startupProbe, livenessProbe, readinessProbe } = target.container;
      const hasProbe = startupProbe ?? livenessProbe ?? readinessProbe;
      if (hasProbe === undefined || watched.has(target.containerId)) return;
      const entry: Watched = {
        podUid: target.pod.metadata?.uid ?? '',
        abort: new AbortController(),
        fact: {
          hasStarted: startupProbe === undefined || seed?.started === true,
          isReady: readinessProbe === undefined || seed?.ready === true,
          failure: undefined,
        },
      };
      watched.set(target.containerId, entry);
      runAll(entry, { target, startedAtMs }).catch(() => undefined); // Ends by abort only.
    },
    keepOnly: (podUid, containerIds) => {
      for (const [id, entry] of watched) {
        if (entry.podUid !== podUid || containerIds.has(id)) continue;
        entry.abort.abort(new DOMException('container ended', 'AbortError'));
        watched.delete(id);
      }
    },
    facts: (podUid) =>
      new Map([...watched].filter(([, e]) => e.podUid === podUid).map(([id, e]) => [id, e.fact])),
    [Symbol.dispose]: () => {
      for (const entry of watched.values())
        entry.abort.abort(new DOMException('prober closed', 'AbortError'));
      watched.clear();
    },
  };
}

interface ProbeRun {
  readonly target: HandlerTarget;
  readonly startedAtMs: number;
}

/** Runs a probe once; errors and time-outs are failures. */
export async function runProbe(
  probe: Probe,
  target: HandlerTarget,
  ports: HandlerPorts,
  signal: AbortSignal,
): Promise<HandlerResult> {
  const deadline = new AbortController();
  const timeoutSeconds = probe.timeoutSeconds ?? 1;
  using _timer = ports.clock.after(timeoutSeconds * 1000, () =>
    deadline.abort(new DOMException(`probe timed out after ${timeoutSeconds}s`, 'TimeoutError')),
  );

  try {
    return await runAction(probe, target, ports, AbortSignal.any([signal, deadline.signal]));
  } catch (error) {
    return {
      isSuccess: false,
      output: describeError(deadline.signal.aborted ? deadline.signal.reason : error),
    };
  }
}

async function runAction(
  probe: Probe,
  target: HandlerTarget,
  ports: HandlerPorts,
  signal: AbortSignal,
): Promise<HandlerResult> {
  const { exec, httpGet, tcpSocket, grpc } = probe;
  if (exec !== undefined) return runExec(exec.command ?? [], target, ports, signal);
  if (httpGet !== undefined) {
    const result = await runHttpGet(httpGet, target, { userAgent: 'kube-probe/1.36' }, signal);
    return result;
  }
  if (tcpSocket !== undefined) return runTcp(tcpSocket, target, signal);
  if (grpc === undefined) return { isSuccess: true, output: '' };
  const address = { host: target.podIp, port: resolvePort(grpc.port, target.container) };
  return runGrpcHealth(address, grpc.service ?? '', signal);
}

/** Startup first; then liveness and readiness beside each other, for as long as the container runs. */
async function runAll(entry: Watched, run: ProbeRun): Promise<void> {
  const { startupProbe, livenessProbe, readinessProbe } = run.target.container;
  if (startupProbe !== undefined && !entry.fact.hasStarted) {
    for await (const result of results('startup', startupProbe, run, entry.abort.signal)) {
      if (result.isSuccess) break;
      entry.set({ failure: { probe: 'startup', message: result.output } });
      return;
    }
    entry.set({ hasStarted: true });
  }
  await Promise.all([
    livenessProbe === undefined ? undefined : followLiveness(entry, livenessProbe, run),
    readinessProbe === undefined ? undefined : followReadiness(entry, readinessProbe, run),
  ]);
}

async function followLiveness(entry: Watched, probe: Probe, run: ProbeRun): Promise<void> {
  for await (const { isSuccess, output } of results('liveness', probe, run, entry.abort.signal)) {
    if (isSuccess) continue;
    entry.set({ failure: { probe: 'liveness', message: output } });
    return; // The container is killed for it; its next run is probed anew.
  }
}

async function followReadiness(entry: Watched, probe: Probe, run: ProbeRun): Promise<void> {
  for await (const { isSuccess } of results('readiness', probe, run, entry.abort.signal))
    entry.set({ isReady: isSuccess });
}

/** The verdicts of a probe, each when its threshold is reached. */
async function* results(
  type: ProbeType,
  probe: Probe,
  run: ProbeRun,
  signal: AbortSignal,
): AsyncGenerator<HandlerResult> {
  const { clock } = options;
  const { failureThreshold = 3, successThreshold = 1, periodSeconds = 10, initialDelaySeconds = 0 } = probe;
  const delayMs = run.startedAtMs + initialDelaySeconds * 1000 - clock.now();
  if (delayMs > 0) await clock.sleep(delayMs, signal);
  let streak = 0;
  let wasSuccess: boolean | undefined;
  for (;;) {
    const began = clock.monotonic();
    const result = await (options.runProbe ?? runProbe)(probe, run.target, options, signal);
    signal.throwIfAborted();
    if (!result.isSuccess) options.onUnhealthy(run.target, type, result.output);
    streak = result.isSuccess === wasSuccess ? streak + 1 : 1;
    wasSuccess = result.isSuccess;
    if (streak >= (result.isSuccess ? successThreshold : failureThreshold)) yield result;
    await clock.sleep(Math.max(0, periodSeconds * 1000 - (clock.monotonic() - began)), signal);
  }
}
