/** A pod's worth of calls in namespaces that end with this process: what they run is what V8 keeps (load.cjs). */
import { mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import { timeoutSignal } from '#base/clock.ts';
import { PodwrightError } from '#base/errors.ts';
import type { CniCommand } from '#api/cni/invocation.ts';
import type { PluginConfig } from '#api/cni/network-config.ts';
import { createSyncNetlink } from '#native/netlink/sync.ts';
import { createSyncNft } from '#native/nft/nft.linux.ts';
import { mountAt } from '#native/sys/mount.ts';
import { answerCall } from './answer-call.ts';

/** @param binDir where our programs are @throws E_INTERNAL with what a plugin said */
export async function rehearse(binDir: string): Promise<void> {
  const ports = { netlink: createSyncNetlink(), nft: createSyncNft() };
  const scratch = '/mnt'; // This process has a mount namespace of its own.
  mountAt({ source: 'rehearsal', target: scratch, type: 'tmpfs', flags: 0 });
  const netns = join(mkdtempSync(join(scratch, 'netns-')), 'pod');
  await ports.netlink.createNetns(netns);
  const network = { cniVersion: '1.1.0', name: 'rehearsal' };
  const subnets = ['10.1.0.0/24', 'fd00::/64'];
  const ipam = {
    type: 'host-local',
    dataDir: join(scratch, 'leases'),
    ranges: subnets.map((subnet) => [{ subnet }]),
  };
  const bridge = {
    ...network,
    type: 'bridge',
    isDefaultGateway: true,
    ipMasq: true,
    hairpinMode: true,
    ipam,
  };
  const portMappings = [{ hostPort: 8080, containerPort: 80, protocol: 'tcp' }];
  const call = async (command: CniCommand, config: PluginConfig): Promise<object> => {
    const env = {
      CNI_COMMAND: command,
      CNI_CONTAINERID: 'rehearsal',
      CNI_NETNS: netns,
      CNI_IFNAME: config.type === 'loopback' ? 'lo' : 'eth0',
      CNI_PATH: binDir,
    };
    const input = { program: join(binDir, config.type), env, stdin: JSON.stringify(config) };
    const { exitCode, stdout } = await answerCall(input, ports, timeoutSignal(30_000));
    if (exitCode !== 0) throw new PodwrightError('E_INTERNAL', `${config.type} ${command}: ${stdout}`);
    return stdout === '' ? {} : (JSON.parse(stdout) as object);
  };
  await call('ADD', { ...network, type: 'loopback' });
  const prevResult = await call('ADD', bridge);
  const portmap = { ...network, type: 'portmap', prevResult, runtimeConfig: { portMappings } };
  await call('ADD', portmap);
  for (const command of ['CHECK', 'DEL'] as const) {
    await call(command, portmap);
    await call(command, { ...bridge, prevResult });
  }
}
