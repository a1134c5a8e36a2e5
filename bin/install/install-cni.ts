/** `podwright install cni`: our plugins as programs for any runtime, and a resident that systemd starts by their first call. */
import { existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';

import { writeDurably } from '#base/durable-file.ts';
import { installPlugins, uninstallPlugins } from '#cni-plugins/program/install.ts';
import { repositoryRoot } from '#bin/paths.ts';
import { print } from '#bin/print.ts';
import { renderCniUnits } from './cni-units.ts';
import { isBootedWithSystemd, systemctl, unitDirectory } from './systemctl.ts';

export interface CniInstallOptions {
  readonly binDir: string;
  /** Of the agent whose socket is asked first. */
  readonly run: string;
}

const socketUnit = 'podwright-cni.socket';
const serviceUnit = 'podwright-cni.service';
const residentSocket = '/run/podwright-cni/sock';

/** Safe to repeat. Without systemd the programs are there, and are answered by an agent or by themselves. */
export async function runInstallCni(options: CniInstallOptions): Promise<void> {
  const { paths, resident } = await installPlugins({
    binDir: resolve(options.binDir),
    nodePath: process.execPath,
    root: repositoryRoot,
    sockets: [join(resolve(options.run), 'cni.sock'), residentSocket],
  });
  for (const path of paths) print(path);
  if (!isBootedWithSystemd()) return;
  const units = renderCniUnits({ program: resident, socket: residentSocket });
  await writeDurably(join(unitDirectory, serviceUnit), units.service, { mode: 0o644 });
  await writeDurably(join(unitDirectory, socketUnit), units.socket, { mode: 0o644 });
  await systemctl('daemon-reload');
  await systemctl('stop', '--quiet', serviceUnit); // One of an earlier installation; the next call starts another.
  await systemctl('enable', '--now', '--quiet', socketUnit);
  print(join(unitDirectory, socketUnit));
}

/** Succeeds if nothing is there. Programs of others stay, whatever their names. */
export async function runUninstallCni(options: Pick<CniInstallOptions, 'binDir'>): Promise<void> {
  const unit = join(unitDirectory, socketUnit);
  if (isBootedWithSystemd() && existsSync(unit)) {
    await systemctl('disable', '--now', '--quiet', socketUnit);
    await systemctl('stop', '--quiet', serviceUnit);
    await rm(join(unitDirectory, serviceUnit), { force: true });
    await rm(unit);
    await systemctl('daemon-reload');
  }
  await uninstallPlugins(resolve(options.binDir));
  print(`podwright's programs in ${options.binDir} removed`);
}
