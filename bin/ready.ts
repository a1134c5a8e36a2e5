import { execFile } from 'node:child_process';
import { closeSync, writeSync } from 'node:fs';
import { promisify } from 'node:util';

/** Tells whoever started this process (systemd by NOTIFY_SOCKET, `podwright up` by a pipe) that it serves. */
export async function announceReady(environment: NodeJS.ProcessEnv): Promise<void> {
  const fd = environment['PODWRIGHT_READY_FD'];
  if (fd !== undefined) {
    writeSync(Number(fd), 'READY\n');
    closeSync(Number(fd));
    delete environment['PODWRIGHT_READY_FD'];
  }
  await notifySystemd(environment, 'READY=1');
}

/** sd_notify(3). Node has no unix datagram sockets, so systemd's own tool is asked; nothing happens outside systemd. */
export async function notifySystemd(environment: NodeJS.ProcessEnv, state: string): Promise<void> {
  if (environment['NOTIFY_SOCKET'] === undefined) return;
  await promisify(execFile)('systemd-notify', [state], { env: environment });
}
