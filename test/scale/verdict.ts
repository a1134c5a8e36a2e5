import type { Limits, SizedCost } from './row.ts';
import { perOperationUs } from './table.ts';

const growthMax = 2;
const turnMsMax = 20;

/** What of the costs is not as it is to be; none: all is. Pure. */
export function faultsOf(limits: Limits = {}, costs: readonly SizedCost[]): readonly string[] {
  const { growth = growthMax, usPerOperation = Infinity, longestTurnMs = turnMsMax, also = {} } = limits;
  const measured = costs.flatMap(({ size, cost }) => (typeof cost === 'string' ? [] : [{ size, cost }]));
  const [first, last] = [measured.at(0), measured.at(-1)];
  const grown =
    first === undefined || last === undefined || first === last
      ? 1
      : perOperationUs(last.cost) / Math.max(1, perOperationUs(first.cost));
  return [
    ...costs.flatMap(({ size, cost }) => (typeof cost === 'string' ? [`${size} was not measured`] : [])),
    ...(grown > growth ? [`×${grown.toFixed(1)} is more than ×${growth}`] : []),
    ...measured.flatMap(({ size, cost }) => {
      const at = `with ${size}`;
      const us = perOperationUs(cost);
      return [
        ...(us > usPerOperation ? [`${Math.round(us)} µs ${at}, of ${usPerOperation}`] : []),
        ...(cost.longestTurnMs > longestTurnMs
          ? [`a turn of ${cost.longestTurnMs.toFixed(1)} ms ${at}, of ${longestTurnMs}`]
          : []),
        ...Object.entries(also).flatMap(([what, { min = -Infinity, max = Infinity }]) => {
          const value = cost.also?.[what];
          if (value === undefined) return [`${what} is not known ${at}`];
          return value < min || value > max ? [`${what} ${value} ${at}, of ${value < min ? min : max}`] : [];
        }),
      ];
    }),
  ];
}

export function renderVerdict(faults: readonly string[]): string {
  return faults.length === 0 ? '  verdict: as it is to be' : `  verdict: ${faults.join('; ')}`;
}
