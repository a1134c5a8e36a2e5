/**
 * `npm run bench [-- --rows a,b --json FILE --quick]`: the budgets of docs/design.md section 8, ours and the peers found on
 * this machine alternated in one run. Each row runs in a process of its own, and in namespaces of its own where it says so.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import { machineFacts } from './machine.ts';
import type { Measurement, Row, Scale } from './row.ts';
import { api } from './rows/api.ts';
import { apiAccess } from './rows/api-access.ts';
import { claims } from './rows/claims.ts';
import { exec } from './rows/exec.ts';
import { fair } from './rows/fair.ts';
import { launch } from './rows/launch.ts';
import { memory } from './rows/memory.ts';
import { names } from './rows/names.ts';
import { owners } from './rows/owners.ts';
import { cniProgramRow } from './rows/cni-programs.ts';
import { podNetwork } from './rows/pod-network.ts';
import { podRunning } from './rows/pod-running.ts';
import { policies } from './rows/policies.ts';
import { serviceDatagrams, servicePaths } from './rows/service-paths.ts';
import { serviceProxies, serviceSizes } from './rows/service-sizes.ts';
import { services } from './rows/services.ts';
import { up } from './rows/up.ts';
import { wholePod } from './rows/whole-pod.ts';
import { isKept, renderTable } from './table.ts';

const rows: readonly Row[] = [
  launch,
  exec,
  podNetwork,
  cniProgramRow,
  wholePod,
  services,
  serviceSizes,
  serviceProxies,
  servicePaths,
  serviceDatagrams,
  names,
  policies,
  podRunning,
  claims,
  up,
  memory,
  api,
  apiAccess,
  owners,
  fair,
];

/** A row that takes longer hangs. */
const rowTimeoutMs = 240_000;

/** cgroup v2 alone at /sys/fs/cgroup, as on a machine that runs containers: runc and crun look there. */
const namespaceScript = `
set -e
ip link set lo up
if [ -e /sys/fs/cgroup/unified/cgroup.procs ]; then
  held=$(mktemp -d)
  mount --bind /sys/fs/cgroup/unified "$held"
  umount -R /sys/fs/cgroup
  mount --move "$held" /sys/fs/cgroup
  rmdir "$held"
fi
mount -t tmpfs podwright-bench /run
mkdir -p /run/netns
exec "$@"
`;

interface RowResult {
  readonly row: string;
  readonly load: number;
  readonly seconds: number;
  readonly error?: string;
  readonly measurements: readonly Measurement[];
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      rows: { type: 'string' },
      json: { type: 'string' },
      quick: { type: 'boolean', default: false },
      'one-row': { type: 'string' },
      result: { type: 'string' },
    },
  });
  if (values['one-row'] !== undefined && values.result !== undefined) {
    const found = rowNamed(values['one-row']);
    writeFileSync(values.result, JSON.stringify(await found.run(scaleOf(values.quick))));
    process.exit(); // oxlint-disable-line unicorn/no-process-exit -- a peer's leftover must not keep it alive
  }
  if (process.getuid?.() !== 0) throw new Error('run the bench: needs root, as nodes do');
  const machine = machineFacts();
  const { cpus, model, kernel, node, load } = machine;
  console.log(`${cpus} × ${model}, Linux ${kernel}, Node ${node}, load ${load.toFixed(2)}\n`);
  const results: RowResult[] = [];
  for (const row of values.rows?.split(',').map(rowNamed) ?? rows) {
    const result = await runRow(row, values.quick);
    results.push(result);
    console.log(
      `${row.name} (${result.seconds.toFixed(0)} s, load ${result.load.toFixed(2)})${result.error === undefined ? '' : `: ${result.error}`}`,
    );
    console.log(`${renderTable(result.measurements)}\n`);
  }
  if (values.json !== undefined) {
    writeFileSync(
      values.json,
      `${JSON.stringify({ machine, isQuick: values.quick, results }, undefined, 1)}\n`,
    );
  }
  const all = results.flatMap(({ measurements }) => measurements);
  const missed = all.filter((each) => each.budgets.some((budget) => isKept(each, budget) === false));
  console.log(`${missed.length} of ${all.length} measurements miss a budget`);
  if (results.some(({ error }) => error !== undefined)) process.exitCode = 1;
}

function rowNamed(name: string): Row {
  const found = rows.find((row) => row.name === name);
  if (found !== undefined) return found;
  throw new Error(`run row ${name}: there are ${rows.map((row) => row.name).join(', ')}`);
}

function scaleOf(isQuick: boolean): Scale {
  return { isQuick, rounds: (full) => (isQuick ? Math.max(3, Math.round(full / 5)) : full) };
}

async function runRow(row: Row, isQuick: boolean): Promise<RowResult> {
  const startMs = performance.now();
  const directory = mkdtempSync(join(tmpdir(), 'podwright-bench-'));
  const result = join(directory, 'result.json');
  const command = [
    ...(row.inNamespaces
      ? ['unshare', '--net', '--mount', '--propagation', 'private', 'sh', '-c', namespaceScript, 'sh']
      : []),
    process.execPath,
    '--disable-warning=ExperimentalWarning',
    import.meta.filename,
    `--one-row=${row.name}`,
    `--result=${result}`,
    ...(isQuick ? ['--quick'] : []),
  ];
  const child = spawn(command[0] ?? '', command.slice(1), {
    stdio: ['ignore', 'inherit', 'pipe'],
    timeout: row.timeoutMs ?? rowTimeoutMs,
    env: { ...process.env, TMPDIR: directory },
  });
  let said = '';
  child.stderr.on('data', (chunk: Buffer) => void (said = (said + chunk.toString()).slice(-2000)));
  const [code] = await once(child, 'close');
  const isDone = code === 0 && existsSync(result);
  const measurements: readonly Measurement[] = isDone ? JSON.parse(readFileSync(result, 'utf8')) : [];
  rmSync(directory, { recursive: true, force: true });
  return {
    row: row.name,
    load: loadavg()[0] ?? 0,
    seconds: (performance.now() - startMs) / 1000,
    measurements,
    ...(isDone ? {} : { error: `ended with ${String(code)}: ${said.trim()}` }),
  };
}

if (import.meta.main) await main();
