/** What every program of Kubernetes tells of its version and its process, for /metrics; several ports of an agent tell the same. */
import { readFileSync, readdirSync } from 'node:fs';
import { gitVersion } from '#api/release.ts';
import { family, labels } from '#agent/kubelet/stats/exposition.ts';

/** Of the agent's own process. */
export interface ProcessFacts {
  readonly cpuSeconds: number;
  readonly residentBytes: number;
  readonly virtualBytes: number;
  /** Of the limit `Max address space`; Infinity without one. */
  readonly virtualBytesMax: number;
  readonly openFds: number;
  readonly openFdsMax: number;
  /** Of IP, by the whole namespace that it is in (`IpExt` of proc_net_netstat). */
  readonly receivedBytes: number;
  readonly sentBytes: number;
  /** Since the epoch. */
  readonly startSeconds: number;
}

export function readProcess(nowMs: number): ProcessFacts {
  const { user, system } = process.cpuUsage();
  const read = (name: string): string => readFileSync(`/proc/self/${name}`, 'utf8');
  const limits = read('limits');
  const octets = parseIpOctets(read('net/netstat'));
  return {
    cpuSeconds: (user + system) / 1e6,
    residentBytes: process.memoryUsage.rss(),
    virtualBytes: Number(/^VmSize:\s+(\d+) kB$/m.exec(read('status'))?.[1] ?? 0) * 1024,
    virtualBytesMax: parseLimit(limits, 'Max address space'),
    openFds: readdirSync('/proc/self/fd').length,
    openFdsMax: parseLimit(limits, 'Max open files'),
    ...octets,
    startSeconds: Math.round(nowMs / 1000 - process.uptime()),
  };
}

/** The soft one of proc_pid_limits(5). */
export function parseLimit(text: string, name: string): number {
  const word = text
    .split('\n')
    .find((line) => line.startsWith(name))
    ?.slice(name.length)
    .trim()
    .split(/\s+/)[0];
  return word === undefined || word === 'unlimited' ? Infinity : Number(word);
}

/** Two lines each: names, and values. */
export function parseIpOctets(text: string): Pick<ProcessFacts, 'receivedBytes' | 'sentBytes'> {
  const [names = [], values = []] = text
    .split('\n')
    .filter((line) => line.startsWith('IpExt:'))
    .map((line) => line.split(' '));
  const valueOf = (name: string): number => Number(values[names.indexOf(name)] ?? 0);
  return { receivedBytes: valueOf('InOctets'), sentBytes: valueOf('OutOctets') };
}

/** A size without a limit is, as client_golang says it, the largest of 64 bits. */
const unlimitedBytes = 2 ** 64;

const rows: readonly (readonly [
  name: string,
  type: 'counter' | 'gauge',
  help: string,
  read: (facts: ProcessFacts) => number,
])[] = [
  [
    'cpu_seconds_total',
    'counter',
    'Seconds of processors, in and outside of the kernel.',
    (f) => f.cpuSeconds,
  ],
  ['resident_memory_bytes', 'gauge', 'Memory that it has.', (f) => f.residentBytes],
  ['virtual_memory_bytes', 'gauge', 'Addresses that it has mapped.', (f) => f.virtualBytes],
  [
    'virtual_memory_max_bytes',
    'gauge',
    'Addresses that it may map.',
    ({ virtualBytesMax }) => (virtualBytesMax === Infinity ? unlimitedBytes : virtualBytesMax),
  ],
  ['open_fds', 'gauge', 'File descriptors that it has open.', (f) => f.openFds],
  ['max_fds', 'gauge', 'File descriptors that it may have open.', (f) => f.openFdsMax],
  ['network_receive_bytes_total', 'counter', 'Bytes of IP that came in.', (f) => f.receivedBytes],
  ['network_transmit_bytes_total', 'counter', 'Bytes of IP that went out.', (f) => f.sentBytes],
  ['start_time_seconds', 'gauge', 'When it began, since the epoch.', (f) => f.startSeconds],
];

/** Pure but for the machine's kind. */
export function renderProcess(facts: ProcessFacts): readonly string[] {
  const [, major = '', minor = ''] = /^v(\d+)\.(\d+)/.exec(gitVersion) ?? [];
  const arch = process.arch === 'x64' ? 'amd64' : process.arch;
  const build = labels({ git_version: gitVersion, major, minor, platform: `linux/${arch}` });
  const help = 'The version, with 1.';
  return [
    ...family('kubernetes_build_info', { type: 'gauge', help }, [[build, 1, undefined]]),
    ...rows.flatMap(([name, type, text, read]) =>
      family(`process_${name}`, { type, help: text }, [['', read(facts), undefined]]),
    ),
  ];
}
