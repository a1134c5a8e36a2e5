import type { HttpProblem } from './find-container.ts';
import { family, labels } from '#agent/kubelet/stats/exposition.ts';

/** What a kubelet looks at (InstallAuthNotRequiredHandlers of pkg/kubelet/server): who is answered at all is answered by all three. */
const checks: readonly string[] = ['ping', 'log', 'syncloop'];

export interface HealthAnswer {
  readonly status: 200 | 404;
  readonly body: string;
}

/** /healthz and what is below it, in words of apiserver/pkg/server/healthz; counted for /metrics/slis. */
export class Health {
  #looks = 0;

  /** @param below of the path after `healthz`. */
  answer(below: readonly string[], query: URLSearchParams): HealthAnswer | HttpProblem {
    const [name, ...rest] = below;
    if (name !== undefined)
      return checks.includes(name) && rest.length === 0
        ? { status: 200, body: 'ok' }
        : { status: 404, message: '404 page not found' };
    this.#looks += 1;
    if (!query.has('verbose')) return { status: 200, body: 'ok' };
    const excluded = query.getAll('exclude').filter((each) => each !== '');
    const unknown = excluded.filter((each) => !checks.includes(each)).map((each) => JSON.stringify(each));
    const lines = [
      ...checks.map((each) => `[+]${each} ${excluded.includes(each) ? 'excluded: ok' : 'ok'}`),
      ...(unknown.length === 0
        ? []
        : [`warn: some health checks cannot be excluded: no matches for ${unknown.join(', ')}`]),
      'healthz check passed',
    ];
    return { status: 200, body: `${lines.join('\n')}\n` };
  }

  /** /metrics/slis: nothing before somebody looked. */
  renderSlis(): string {
    if (this.#looks === 0) return '';
    const of = (more: Readonly<Record<string, string>>, value: number) =>
      checks.map((name) => [labels({ name, ...more, type: 'healthz' }), value, undefined] as const);
    const lines = [
      ...family(
        'kubernetes_healthcheck',
        { type: 'gauge', help: '[STABLE] This metric records the result of a single healthcheck.' },
        of({}, 1),
      ),
      ...family(
        'kubernetes_healthchecks_total',
        { type: 'counter', help: '[STABLE] This metric records the results of all healthcheck.' },
        of({ status: 'success' }, this.#looks),
      ),
    ];
    return `${lines.join('\n')}\n`;
  }
}
