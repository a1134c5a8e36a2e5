/** The text that Prometheus reads (exposition format 0.0.4). */
export type Sample = readonly [labels: string, value: number, timeMs: number | undefined];

export function labels(pairs: Readonly<Record<string, string>>): string {
  const escaped = (value: string): string =>
    value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
  return `{${Object.entries(pairs)
    .map(([key, value]) => `${key}="${escaped(value)}"`)
    .join(',')}}`;
}

/** The lines of one metric. */
export function family(
  name: string,
  { type, help }: { readonly type: string; readonly help: string },
  samples: readonly Sample[],
): readonly string[] {
  return [
    `# HELP ${name} ${help}`,
    `# TYPE ${name} ${type}`,
    ...samples.map(
      ([text, value, timeMs]) =>
        `${name}${text} ${value === Infinity ? '+Inf' : value}${timeMs === undefined ? '' : ` ${timeMs}`}`,
    ),
  ];
}
