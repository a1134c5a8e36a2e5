import { describeError, isPodwrightError } from '#base/errors.ts';
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
  /** Every single result that says something of the container. */
  readonly onResult?: (type: ProbeType, isSuccess: boolean) => void;
  /** Every single one that is not just good. */
  readonly tell: (type: ProbeType, event: ProbeEvent) => void;
}

export interface ProbeEvent {
  readonly reason: 'Unhealthy' | 'ProbeWarning';
  readonly message: string;
}

/** What a result is told as, in the kubelet's words. Pure. */
export function probeEventOf(
  type: ProbeType,
  { isSuccess, output, isWarning, errored }: HandlerResult,
): ProbeEvent | undefined {
  const kind = `${type[0]?.toUpperCase() ?? ''}${type.slice(1)} probe`;
  if (errored !== undefined)
    return { reason: 'Unhealthy', message: `${kind} errored and resulted in ${errored} state: ${output}` };
  if (isWarning === true) return { reason: 'ProbeWarning', message: `${kind} warning: ${output}` };
  return isSuccess ? undefined : { reason: 'Unhealthy', message: `${kind} failed: ${output}` };
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
    const event = probeEventOf(type, result);
    if (event !== undefined) options.tell(type, event);
    if (result.errored === undefined) {
      options.onResult?.(type, result.isSuccess);
      streak = result.isSuccess === wasSuccess ? streak + 1 : 1;
      wasSuccess = result.isSuccess;
      if (streak >= (result.isSuccess ? successThreshold : failureThreshold)) yield result;
    }
    await clock.sleep(Math.max(0, periodSeconds * 1000 - (clock.monotonic() - began)), signal);
  }
}

/** How often the kubelet asks where it gets no answer of the container's (maxProbeRetries). */
const triesMax = 3;

/** Runs a probe; what cannot be asked is tried again at once. Time-outs are failures. */
export async function runProbe(
  probe: Probe,
  target: HandlerTarget,
  ports: HandlerPorts,
  signal: AbortSignal,
): Promise<HandlerResult> {
  for (let tries = 1; ; tries++) {
    const result = await runOnce(probe, target, ports, signal);
    if (result.errored === undefined || tries >= triesMax || signal.aborted) return result;
  }
}

async function runOnce(
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
    const isBroken = probe.httpGet !== undefined && isPodwrightError(error, 'E_CONNECTION');
    if (isBroken) return { isSuccess: false, errored: 'failure', output: describeError(error) };
    if (deadline.signal.aborted) return { isSuccess: false, output: describeError(deadline.signal.reason) };
    const isUnasked = isPodwrightError(error, 'E_INVALID') || probe.exec !== undefined;
    const isUnknown = isUnasked && !isPodwrightError(error, 'E_TIMEOUT');
    return {
      isSuccess: false,
      output: describeError(error),
      ...(isUnknown ? { errored: 'unknown' as const } : {}),
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
