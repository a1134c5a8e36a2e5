/**
 * `npm run scale [-- --rows a,b --size N --quick --full --minutes N --turns --where --json FILE]`: what operations cost against the size of what is there. Costs are processor time and
 * turns of the event loop, not time on the wall, so that they mean something on a busy machine, too. How to add a row: docs/hacking.md.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import type { Cost, ScaleRow, SizedCost } from './row.ts';
import { binds } from './rows/binds.ts';
import { clusterLoad } from './rows/cluster-load.ts';
import { daemonSet } from './rows/daemon-set.ts';
import { definitions } from './rows/definitions.ts';
import { deleteCollection } from './rows/delete-collection.ts';
import { deployment } from './rows/deployment.ts';
import { fakeNodes } from './rows/fake-nodes.ts';
import { hostLocal } from './rows/host-local.ts';
import { nodesUp } from './rows/nodes-up.ts';
import { nodeWrites } from './rows/node-writes.ts';
import { eventDelivery } from './rows/event-delivery.ts';
import { foreground } from './rows/foreground.ts';
import { givenBack } from './rows/given-back.ts';
import { listByField } from './rows/list-by-field.ts';
import { listByLabel } from './rows/list-by-label.ts';
import { mixedLoad } from './rows/mixed-load.ts';
import { namespaceWatches } from './rows/namespace-watches.ts';
import { namespaces } from './rows/namespaces.ts';
import { nodeWatches } from './rows/node-watches.ts';
import { ownerLooks } from './rows/owner-looks.ts';
import { podCidrs } from './rows/pod-cidrs.ts';
import { waitingPods } from './rows/waiting-pods.ts';
import { renderRow } from './table.ts';
import { faultsOf, renderVerdict } from './verdict.ts';
import { turnsVariable, whereVariable } from './turn-meter.ts';

export const rows: readonly ScaleRow[] = [
  listByLabel,
  listByField,
  nodeWatches,
  namespaceWatches,
  eventDelivery,
  deployment,
  daemonSet,
  ...ownerLooks,
  binds,
  waitingPods,
  podCidrs,
  namespaces,
  foreground,
  deleteCollection,
  definitions,
  givenBack,
  mixedLoad,
  hostLocal,
  nodeWrites,
  nodesUp,
  clusterLoad,
  fakeNodes,
];

/** A size that takes longer hangs. */
const sizeTimeoutMs = 300_000;
const quickDivisor = 20;
/** Rows that have not begun by then are not run. */
const laneMinutes = 30;

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      rows: { type: 'string' },
      json: { type: 'string' },
      size: { type: 'string' },
      turns: { type: 'boolean' },
      where: { type: 'boolean' },
      quick: { type: 'boolean' },
      full: { type: 'boolean' },
      minutes: { type: 'string' },
      one: { type: 'string' },
      result: { type: 'string' },
    },
  });
  if (values.one !== undefined && values.size !== undefined && values.result !== undefined) {
    writeFileSync(values.result, JSON.stringify(await rowNamed(values.one).run(Number(values.size))));
    process.exit(); // oxlint-disable-line unicorn/no-process-exit -- what a row left open must not keep it alive
  }
  if (values.turns === true) process.env[turnsVariable] = '1';
  if (values.where === true) process.env[whereVariable] = '1';
  const minutes = Number(values.minutes ?? laneMinutes);
  const endsMs = performance.now() + minutes * 60_000;
  const all: { readonly row: string; readonly costs: readonly SizedCost[] }[] = [];
  for (const row of values.rows?.split(',').map(rowNamed) ?? rows) {
    const costs: SizedCost[] = [];
    if (performance.now() > endsMs) {
      console.log(`${row.name}: not run, ${minutes} minutes are over (--minutes N)\n`);
      continue;
    }
    const sizes = values.size === undefined ? sizesOf(row, values) : [Number(values.size)];
    for (const size of sizes) costs.push({ size, cost: await measure(row, size) });
    all.push({ row: row.name, costs });
    console.log(`${renderRow(row, costs)}\n${renderVerdict(faultsOf(row.limits, costs))}\n`);
  }
  if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(all, undefined, 1)}\n`);
  if (all.some(({ costs }) => costs.some(({ cost }) => typeof cost === 'string'))) process.exitCode = 1;
}

function rowNamed(name: string): ScaleRow {
  const found = rows.find((row) => row.name === name);
  if (found !== undefined) return found;
  throw new Error(`run row ${name}: there are ${rows.map((row) => row.name).join(', ')}`);
}

/** With `--quick` two that are small: whether it runs, not what it costs. The largest takes most of the time that all take. */
function sizesOf(
  { sizes }: ScaleRow,
  { quick, full }: { readonly quick?: boolean; readonly full?: boolean },
): readonly number[] {
  const small = Math.ceil((sizes[0] ?? 1) / quickDivisor);
  if (quick === true) return [small, small * 4];
  return full === true ? sizes : sizes.slice(0, -1);
}

/** In a process of its own, with a directory of its own. */
async function measure(row: ScaleRow, size: number): Promise<Cost | string> {
  const directory = mkdtempSync(join(tmpdir(), 'podwright-scale-'));
  const result = join(directory, 'result.json');
  const child = spawn(
    process.execPath,
    [
      '--disable-warning=ExperimentalWarning',
      import.meta.filename,
      `--one=${row.name}`,
      `--size=${size}`,
      `--result=${result}`,
    ],
    {
      stdio: ['ignore', 'inherit', 'pipe'],
      timeout: row.timeoutMs ?? sizeTimeoutMs,
      env: { ...process.env, TMPDIR: directory },
    },
  );
  let said = '';
  child.stderr.on('data', (chunk: Buffer) => void (said = (said + chunk.toString()).slice(-2000)));
  const [code] = await once(child, 'close');
  try {
    if (code === 0 && existsSync(result)) return JSON.parse(readFileSync(result, 'utf8'));
    console.error(said.trim());
    return `ended with ${String(code)}`;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

if (import.meta.main) await main();
