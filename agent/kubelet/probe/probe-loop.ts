import { describeError } from '#base/errors.ts';
import type { Probe } from '#api/generated/objects.ts';
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
import type { ProbeFact } from '#agent/kubelet/sync/pod-input.ts';

export type ProbeType = 'startup' | 'liveness' | 'readiness';

/** One run of a container, as its probes see it. */
export interface ProbeRun {
  readonly target: HandlerTarget;
  readonly startedAtMs: number;
  /** Its startup probe has passed already. */
  readonly hasStarted: boolean;
}

export interface ProbeLoopOptions extends HandlerPorts {
  readonly signal: AbortSignal;
  /** Ends what a container is killed for: startup and liveness. One that ends stays ready, or becomes unready, as it says. */
  readonly killing: AbortSignal;
  /** A verdict: what changes of the fact. */
  readonly note: (change: Partial<ProbeFact>) => void;
  /** Every single result. */
  readonly onResult?: (type: ProbeType, isSuccess: boolean) => void;
  /** Every single failure. */
  readonly onUnhealthy: (type: ProbeType, output: string) => void;
}

/** Startup first; then liveness and readiness beside each other, for as long as the container runs. */
export async function followProbes(run: ProbeRun, options: ProbeLoopOptions): Promise<void> {
  const { startupProbe, livenessProbe, readinessProbe } = run.target.container;
  if (startupProbe !== undefined && !run.hasStarted) {
    for await (const result of results('startup', startupProbe, run, ofKilling(options))) {
      if (result.isSuccess) break;
      options.note({ failure: { probe: 'startup', message: result.output } });
      return;
    }
    options.note({ hasStarted: true });
  }
  await Promise.all([
    livenessProbe === undefined ? undefined : followLiveness(livenessProbe, run, ofKilling(options)),
    readinessProbe === undefined ? undefined : followReadiness(readinessProbe, run, options),
  ]);
}

function ofKilling(options: ProbeLoopOptions): ProbeLoopOptions {
  return { ...options, signal: AbortSignal.any([options.signal, options.killing]) };
}

async function followLiveness(probe: Probe, run: ProbeRun, options: ProbeLoopOptions): Promise<void> {
  for await (const { isSuccess, output } of results('liveness', probe, run, options)) {
    if (isSuccess) continue;
    options.note({ failure: { probe: 'liveness', message: output } });
    return; // The container is killed for it; its next run is probed anew.
  }
}

async function followReadiness(probe: Probe, run: ProbeRun, options: ProbeLoopOptions): Promise<void> {
  for await (const { isSuccess } of results('readiness', probe, run, options))
    options.note({ isReady: isSuccess });
}

/** The verdicts of a probe, each when its threshold is reached. */
async function* results(
  type: ProbeType,
  probe: Probe,
  run: ProbeRun,
  options: ProbeLoopOptions,
): AsyncGenerator<HandlerResult> {
  const { clock, signal } = options;
  const { failureThreshold = 3, successThreshold = 1, periodSeconds = 10, initialDelaySeconds = 0 } = probe;
  const delayMs = run.startedAtMs + initialDelaySeconds * 1000 - clock.now();
  if (delayMs > 0) await clock.sleep(delayMs, signal);
  let streak = 0;
  let wasSuccess: boolean | undefined;
  for (;;) {
    const began = clock.monotonic();
    const result = await runProbe(probe, run.target, options, signal);
    signal.throwIfAborted();
    options.onResult?.(type, result.isSuccess);
    if (!result.isSuccess) options.onUnhealthy(type, result.output);
    streak = result.isSuccess === wasSuccess ? streak + 1 : 1;
    wasSuccess = result.isSuccess;
    if (streak >= (result.isSuccess ? successThreshold : failureThreshold)) yield result;
    await clock.sleep(Math.max(0, periodSeconds * 1000 - (clock.monotonic() - began)), signal);
  }
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
    const timed = { ...target, timeoutSeconds };
    return await runAction(probe, timed, ports, AbortSignal.any([signal, deadline.signal]));
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
  if (ports.reach !== undefined) return ports.reach({ httpGet, tcpSocket, grpc }, target, signal);
  if (httpGet !== undefined) {
    const result = await runHttpGet(httpGet, target, { userAgent: 'kube-probe/1.36' }, signal);
    return result;
  }
  if (tcpSocket !== undefined) return runTcp(tcpSocket, target, signal);
  if (grpc === undefined) return { isSuccess: true, output: '' };
  const address = { host: target.podIp, port: resolvePort(grpc.port, target.container) };
  return runGrpcHealth(address, grpc.service ?? '', signal);
}
