import { labels } from './exposition.ts';
import type { SecondsHistogram } from './seconds-histogram.ts';

export interface LabelledHistogram {
  readonly seconds: SecondsHistogram;
  readonly more: Readonly<Record<string, string>>;
}

/** The lines of one metric. */
export function histogramLines(
  name: string,
  help: string,
  all: readonly LabelledHistogram[],
): readonly string[] {
  return [
    `# HELP ${name} ${help}`,
    `# TYPE ${name} histogram`,
    ...all.flatMap(({ seconds, more }) => {
      const own = Object.keys(more).length === 0 ? '' : labels(more);
      return [
        ...seconds.buckets.map(
          (bound, index) => `${name}_bucket${labels({ ...more, le: String(bound) })} ${seconds.upTo(index)}`,
        ),
        `${name}_bucket${labels({ ...more, le: '+Inf' })} ${seconds.count}`,
        `${name}_sum${own} ${seconds.sum}`,
        `${name}_count${own} ${seconds.count}`,
      ];
    }),
  ];
}
