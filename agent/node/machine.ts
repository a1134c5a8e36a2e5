import { readFile, statfs } from 'node:fs/promises';
import { arch } from 'node:os';
import { readHugePages } from '#agent/kubelet/assign/machine-topology.ts';
import type { Proc } from '#native/proc/proc.ts';

/** What a node tells of its machine. */
export interface MachineFacts {
  readonly cpuCount: number;
  readonly memoryBytes: number;
  readonly memoryAvailableBytes: number;
  readonly swapBytes?: number;
  /** Bytes set aside by resource, of every size that the kernel has: `hugepages-2Mi`. */
  readonly hugePages?: ReadonlyMap<string, number>;
  /** Of the file system that holds pods' files. */
  readonly diskBytes: number;
  readonly diskAvailableBytes: number;
  readonly pidsMax: number;
  readonly pidsUsed: number;
  readonly machineId: string;
  readonly systemUuid: string;
  readonly bootId: string;
  readonly kernelRelease: string;
  readonly osImage: string;
  /** Go's name: amd64, arm64. */
  readonly architecture: string;
}

/** Of the file system that a path is on. */
export async function readDisk(
  path: string,
): Promise<{ readonly bytes: number; readonly availableBytes: number }> {
  const { blocks, bavail, bsize } = await statfs(path);
  return { bytes: blocks * bsize, availableBytes: bavail * bsize };
}

const goArchitectures: Readonly<Record<string, string>> = { x64: 'amd64', ia32: '386' };

/** Reads the machine: a handful of small files. */
export async function readMachine(
  proc: Pick<Proc, 'memory' | 'cpuCount' | 'bootId' | 'kernelRelease'>,
  diskPath: string,
): Promise<MachineFacts> {
  const [disk, machineId, systemUuid, osRelease, pidMax, loadavg, hugePages] = await Promise.all([
    readDisk(diskPath),
    readText('/etc/machine-id'),
    readText('/sys/class/dmi/id/product_uuid'),
    readText('/etc/os-release'),
    readText('/proc/sys/kernel/pid_max'),
    readText('/proc/loadavg'),
    readHugePages(),
  ]);
  const memory = proc.memory();
  const architecture = arch();
  return {
    cpuCount: proc.cpuCount(),
    memoryBytes: memory.totalBytes,
    memoryAvailableBytes: memory.availableBytes,
    swapBytes: memory.swapTotalBytes,
    hugePages,
    diskBytes: disk.bytes,
    diskAvailableBytes: disk.availableBytes,
    pidsMax: Number(pidMax) || 32_768,
    // proc_loadavg(5): the fourth field is runnable/existing kernel scheduling entities.
    pidsUsed: Number(/\/(\d+) /.exec(loadavg)?.[1] ?? 0),
    machineId,
    systemUuid: systemUuid === '' ? machineId : systemUuid,
    bootId: proc.bootId(),
    kernelRelease: proc.kernelRelease(),
    osImage: /^PRETTY_NAME="?([^"\n]*)/m.exec(osRelease)?.[1] ?? 'Linux',
    architecture: goArchitectures[architecture] ?? architecture,
  };
}

/** '' for a file that this machine does not have, or does not show. */
async function readText(file: string): Promise<string> {
  return (await readFile(file, 'utf8').catch(() => '')).trim();
}
