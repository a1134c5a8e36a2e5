import type { HandlerPorts, HandlerTarget } from './handler.ts';
import type { BesideOutcome } from '#agent/kubelet/sync/outcome.ts';
import type { ProbeFact } from '#agent/kubelet/sync/pod-input.ts';
import type { ProbeCounts } from './probe-counts.ts';
import { followProbes, type ProbeEvent, type ProbeType } from './probe-loop.ts';

export interface ProberOptions extends HandlerPorts {
  /** Told of each run that is probed, of its verdicts, and of its end. */
  readonly report: (podUid: string, outcome: ProbeOutcome) => void;
  readonly counts?: ProbeCounts;
  readonly tell: (target: HandlerTarget, type: ProbeType, event: ProbeEvent) => void;
}

export type ProbeOutcome = Extract<BesideOutcome, { kind: 'probesBegun' | 'probed' | 'probesEnded' }>;

/** Runs the probes of running containers; one instance for a node. */
export interface Prober extends Disposable {
  /** Starts the probes of a run, if it has any and they do not run. `seed`: what an earlier agent reported of this run. */
  watch(
    target: HandlerTarget,
    startedAtMs: number,
    seed: { readonly started: boolean; readonly ready: boolean } | undefined,
  ): void;
  /** Ends what runs of the pod are killed for; readiness goes on. */
  endKilling(podUid: string): void;
  /** Ends the probes of every run of the pod that is not in the list. */
  keepOnly(podUid: string, containerIds: ReadonlySet<string>): void;
}

interface Watched {
  readonly podUid: string;
  readonly abort: AbortController;
  readonly killing: AbortController;
}

export function createProber(options: ProberOptions): Prober {
  const watched = new Map<string, Watched>();

  return {
    watch: (target, startedAtMs, seed) => {
      const { startupProbe, livenessProbe, readinessProbe } = target.container;
      const hasProbe = startupProbe ?? livenessProbe ?? readinessProbe;
      if (hasProbe === undefined || watched.has(target.containerId)) return;
      const entry: Watched = {
        podUid: target.pod.metadata?.uid ?? '',
        abort: new AbortController(),
        killing: new AbortController(),
      };
      const id = target.containerId;
      watched.set(id, entry);
      const { signal } = entry.abort;
      const hasStarted = startupProbe === undefined || seed?.started === true;
      const isReady = readinessProbe === undefined || seed?.ready === true;
      const fact: ProbeFact = { hasStarted, isReady, failure: undefined };
      options.report(entry.podUid, { kind: 'probesBegun', id, fact });
      const note = (change: Partial<ProbeFact>): void =>
        options.report(entry.podUid, { kind: 'probed', id, change });
      const tell = (type: ProbeType, event: ProbeEvent): void => options.tell(target, type, event);
      const onResult = (type: ProbeType, isSuccess: boolean): void =>
        options.counts?.count(target, type, isSuccess);
      const signals = { signal, killing: entry.killing.signal };
      const told = { note, onResult, tell };
      followProbes({ target, startedAtMs, hasStarted }, { ...options, ...signals, ...told }).catch(
        () => undefined, // Ends by abort only.
      );
    },
    endKilling: (podUid) => {
      for (const entry of watched.values()) {
        if (entry.podUid === podUid) entry.killing.abort(new DOMException('pod ends', 'AbortError'));
      }
    },
    keepOnly: (podUid, containerIds) => {
      for (const [id, entry] of watched) {
        if (entry.podUid !== podUid || containerIds.has(id)) continue;
        options.counts?.forget(id);
        entry.abort.abort(new DOMException('container ended', 'AbortError'));
        watched.delete(id);
        options.report(podUid, { kind: 'probesEnded', id });
      }
    },
    [Symbol.dispose]: () => {
      for (const entry of watched.values())
        entry.abort.abort(new DOMException('prober closed', 'AbortError'));
      watched.clear();
    },
  };
}
