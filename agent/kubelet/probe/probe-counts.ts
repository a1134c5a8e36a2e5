import { family, labels } from '#agent/kubelet/stats/exposition.ts';
import type { HandlerTarget } from './handler.ts';
import type { ProbeType } from './probe-loop.ts';

/** How often the probes of running containers came to what, for /metrics/probes. */
export class ProbeCounts {
  /** By the container's run, then by labels. */
  readonly #runs = new Map<string, Map<string, number>>();

  count({ pod, container, containerId }: HandlerTarget, type: ProbeType, isSuccess: boolean): void {
    const { name = '', namespace = '', uid = '' } = pod.metadata ?? {};
    const text = labels({
      ...{ container: container.name, namespace, pod: name, pod_uid: uid },
      probe_type: `${type[0]?.toUpperCase() ?? ''}${type.slice(1)}`,
      result: isSuccess ? 'successful' : 'failed',
    });
    let counts = this.#runs.get(containerId);
    if (counts === undefined) this.#runs.set(containerId, (counts = new Map()));
    counts.set(text, (counts.get(text) ?? 0) + 1);
  }

  /** Of a run whose probes end. */
  forget(containerId: string): void {
    this.#runs.delete(containerId);
  }

  render(): string {
    const samples = [...this.#runs.values()].flatMap((counts) => [...counts]);
    const help =
      '[BETA] Cumulative number of a liveness, readiness or startup probe for a container by result.';
    return [
      ...family(
        'prober_probe_total',
        { type: 'counter', help },
        samples.map(([text, count]) => [text, count, undefined]),
      ),
      '',
    ].join('\n');
  }
}
