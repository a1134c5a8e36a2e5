/** A virtual machine: qemu with TCG, so that it needs no /dev/kvm and is the same everywhere. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

import type { VmImage } from './image.ts';

export interface VmJob {
  readonly image: VmImage;
  /** A tar file, unpacked over the guest's root; job.sh in it is run. */
  readonly jobTar: string;
  readonly consoleLog: string;
  readonly timeoutMs: number;
  readonly memoryMib?: number;
  /** Each line that the job prints. */
  readonly onLine: (line: string) => void;
}

export type VmEnd =
  | { readonly kind: 'power-off' }
  | { readonly kind: 'timeout' }
  | { readonly kind: 'failure'; readonly why: string };

const memoryMibDefault = 3072;

/** The command line of a machine with a read-only root, the job's disk, and one port whose other end is standard output. Pure. */
export function planVm(job: Omit<VmJob, 'onLine' | 'timeoutMs'>): readonly string[] {
  const disk = (id: string, file: string): readonly string[] => [
    '-drive',
    `if=none,id=${id},file=${file},format=raw,readonly=on`,
    '-device',
    `virtio-blk-pci,drive=${id}`,
  ];
  return [
    // With thread=multi Node dies of SIGSEGV (docs/kernel-notes.md#tcg-segv).
    ...['-accel', 'tcg,thread=single,tb-size=512', '-machine', 'q35', '-cpu', 'max', '-smp', '2'],
    ...['-m', String(job.memoryMib ?? memoryMibDefault), '-nodefaults', '-display', 'none', '-no-reboot'],
    ...['-kernel', job.image.kernel, '-initrd', job.image.initramfs],
    ...[
      '-append',
      'console=ttyS0 quiet panic=-1 mitigations=off systemd.unified_cgroup_hierarchy=1 systemd.show_status=0',
    ],
    ...disk('root', job.image.root),
    ...disk('job', job.jobTar),
    ...['-serial', `file:${job.consoleLog}`],
    ...['-device', 'virtio-serial-pci', '-chardev', 'stdio,id=results,signal=off'],
    ...['-device', 'virtserialport,chardev=results,name=results,nr=1'],
  ];
}

/** Runs the job in a machine of its own until that powers off. */
export async function runVm(job: VmJob): Promise<VmEnd> {
  // Standard input stays open: at its end qemu would call the port unplugged, and the guest would wait at its first write.
  const qemu = spawn('qemu-system-x86_64', planVm(job), { stdio: ['pipe', 'pipe', 'pipe'] });
  const said: string[] = [];
  qemu.stderr.on('data', (chunk: Buffer) => void said.push(chunk.toString()));
  createInterface({ input: qemu.stdout }).on('line', job.onLine);
  let isLate = false;
  const timer = setTimeout(() => {
    isLate = true;
    qemu.kill('SIGKILL');
  }, job.timeoutMs);
  const stop = (): void => void qemu.kill('SIGKILL');
  process.once('exit', stop);
  try {
    const [code] = await once(qemu, 'close');
    if (isLate) return { kind: 'timeout' };
    if (code === 0) return { kind: 'power-off' };
    return { kind: 'failure', why: said.join('').trim() || `qemu ended with ${String(code)}` };
  } catch (error) {
    return { kind: 'failure', why: String(error) };
  } finally {
    clearTimeout(timer);
    process.removeListener('exit', stop);
  }
}
