import type { Budget, Measurement, PeerResult, Unit } from './row.ts';

/** The measurements as lines for a terminal; a budget that is missed has a `!`. Pure. */
export function renderTable(measurements: readonly Measurement[]): string {
  const header = ['what', 'ours', 'min', 'p99', 'budget', 'peers (times ours is better)'];
  const rows = measurements.map((each) => [
    each.what,
    `${number(each.ours.median)} ${each.unit}`,
    each.ours.count > 1 ? number(each.ours.min) : '',
    each.ours.count >= 10 ? number(each.ours.p99) : '',
    each.budgets.map((budget) => renderBudget(each, budget)).join('; '),
    each.peers.map((peer) => renderPeer(each, peer)).join('; '),
  ]);
  const widths = header.map((_, column) =>
    Math.max(...[header, ...rows].map((row) => (row[column] ?? '').length)),
  );
  return [header, ...rows]
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

/** Whether a measurement keeps a budget; undefined where the peer is missing. Pure. */
export function isKept(measured: Measurement, budget: Budget): boolean | undefined {
  if (budget.kind === 'at most') return measured.ours[budget.of] <= budget.value;
  const peer = measured.peers.find(({ name }) => name === budget.peer);
  const times = peer === undefined ? undefined : timesBetterThan(measured, peer);
  return times === undefined ? undefined : times >= budget.factor;
}

const higherIsBetter: ReadonlySet<Unit> = new Set(['/s']);

function timesBetterThan(measured: Measurement, peer: PeerResult): number | undefined {
  if ('skipped' in peer) return undefined;
  const ratio = peer.median / measured.ours.median;
  return higherIsBetter.has(measured.unit) ? 1 / ratio : ratio;
}

function renderBudget(measured: Measurement, budget: Budget): string {
  const mark = isKept(measured, budget) === false ? '! ' : '';
  if (budget.kind === 'at most') return `${mark}${budget.of} ≤ ${budget.value} ${measured.unit}`;
  return `${mark}${budget.factor}× ${budget.peer}`;
}

function renderPeer(measured: Measurement, peer: PeerResult): string {
  if ('skipped' in peer) return `${peer.name}: ${peer.skipped}`;
  return `${peer.name} ${number(peer.median)} (${number(timesBetterThan(measured, peer) ?? Number.NaN)}×)`;
}

/** Three significant digits, thousands apart. */
function number(value: number): string {
  if (!Number.isFinite(value)) return '–';
  if (value >= 1000) return Math.round(value).toLocaleString('en');
  return String(Number(value.toPrecision(3)));
}
