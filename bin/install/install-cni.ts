/** `podwright install cni`: our plugins as programs for any runtime, and a resident that systemd starts by their first call. */
import { existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';

import { writeDurably } from '#base/durable-file.ts';
import { defaultDaemonSocket } from '#cni-plugins/dhcp/dhcp-config.ts';
import { installPlugins, uninstallPlugins } from '#cni-plugins/program/install.ts';
import { repositoryRoot } from '#bin/paths.ts';
import { print } from '#bin/terminal/print.ts';
import { renderCniUnits, type CniService } from './cni-units.ts';
import { isBootedWithSystemd, systemctl, unitDirectory } from './systemctl.ts';

export interface CniInstallOptions {
  readonly binDir: string;
  /** Of the agent whose socket is asked first. */
  readonly run: string;
}

/** Ends when nobody calls: the next call starts another. */
const residentName = 'podwright-cni';
/** Stays: of one that is replaced the leases are another's to renew. */
const dhcpName = 'podwright-cni-dhcp';
const residentSocket = '/run/podwright-cni/sock';

/** Safe to repeat. Without systemd the programs are there, and are answered by an agent or by themselves. */
export async function runInstallCni(options: CniInstallOptions): Promise<void> {
  const { paths, resident, dhcpDaemon } = await installPlugins({
    binDir: resolve(options.binDir),
    nodePath: process.execPath,
    root: repositoryRoot,
    sockets: [join(resolve(options.run), 'cni.sock'), residentSocket],
  });
  for (const path of paths) print(path);
  if (!isBootedWithSystemd()) return;
  const services: readonly CniService[] = [
    { name: residentName, description: 'CNI plugins', program: resident, socket: residentSocket },
    { name: dhcpName, description: 'leases of DHCP', program: dhcpDaemon, socket: defaultDaemonSocket },
  ];
  for (const [file, text] of services.flatMap((service) => [...renderCniUnits(service)]))
    await writeDurably(join(unitDirectory, file), text, { mode: 0o644 });
  await systemctl('daemon-reload');
  // Those of an earlier installation.
  await systemctl('stop', '--quiet', `${residentName}.service`);
  await systemctl('try-restart', '--quiet', `${dhcpName}.service`);
  for (const { name } of services) {
    await systemctl('enable', '--now', '--quiet', `${name}.socket`);
    print(join(unitDirectory, `${name}.socket`));
  }
}

/** Succeeds if nothing is there. Programs of others stay, whatever their names. */
export async function runUninstallCni(options: Pick<CniInstallOptions, 'binDir'>): Promise<void> {
  for (const name of isBootedWithSystemd() ? [residentName, dhcpName] : []) {
    const socket = join(unitDirectory, `${name}.socket`);
    if (!existsSync(socket)) continue;
    await systemctl('disable', '--now', '--quiet', `${name}.socket`);
    await systemctl('stop', '--quiet', `${name}.service`);
    await rm(join(unitDirectory, `${name}.service`), { force: true });
    await rm(socket);
    await systemctl('daemon-reload');
  }
  await uninstallPlugins(resolve(options.binDir));
  print(`podwright's programs in ${options.binDir} removed`);
}
