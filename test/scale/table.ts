import type { Cost, ScaleRow, SizedCost } from './row.ts';

/** A row as lines for a terminal: what one operation costs at each size, and how that grew. Pure. */
export function renderRow(
  row: Pick<ScaleRow, 'name' | 'operation' | 'of'>,
  costs: readonly SizedCost[],
): string {
  const header = [row.of, 'µs per operation', 'of all threads', 'longest turn', 'also'];
  const lines = costs.map(({ size, cost }) => {
    if (typeof cost === 'string') return [count(size), cost];
    const also = Object.entries(cost.also ?? {}).map(([what, value]) => `${what} ${count(value)}`);
    const [own, ofAll] = [perOperationUs(cost), perOperationUs(cost, cost.allThreadsMs)];
    return [count(size), count(own), count(ofAll), `${cost.longestTurnMs.toFixed(1)} ms`, also.join(', ')];
  });
  const widths = header.map((_, column) =>
    Math.max(...[header, ...lines].map((line) => (line[column] ?? '').length)),
  );
  const table = [header, ...lines].map((line) =>
    `  ${line.map((cell, column) => cell.padStart(column === 4 ? 0 : (widths[column] ?? 0))).join('  ')}`.trimEnd(),
  );
  return [`${row.name}: ${row.operation}${growthOf(costs)}`, ...table].join('\n');
}

/** Times what an operation costs at the largest size of what it costs at the smallest. */
function growthOf(costs: readonly SizedCost[]): string {
  const measured = costs.flatMap(({ cost }) => (typeof cost === 'string' ? [] : [perOperationUs(cost)]));
  const [first, last] = [measured.at(0), measured.at(-1)];
  if (first === undefined || last === undefined || measured.length < 2 || first === 0) return '';
  return ` (×${(last / first).toFixed(1)} from the smallest to the largest)`;
}

/** Of the thread, or of so many milliseconds. */
export function perOperationUs({ processorMs, operations }: Cost, ms: number = processorMs): number {
  return (ms * 1000) / operations;
}

function count(value: number): string {
  return value >= 100 ? Math.round(value).toLocaleString('en') : String(Number(value.toPrecision(3)));
}
