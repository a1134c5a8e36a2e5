/** CNI plugins as programs, Debian's or ours, called one after another as a runtime calls them: loopback, then bridge with host-local, then portmap. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { outputOf } from './oci-runtime.ts';

export const debianPlugins = '/usr/lib/cni';

/** Why the chain cannot be run here; undefined if it can. */
export function missingPlugins(): string | undefined {
  const missing = ['loopback', 'bridge', 'host-local', 'portmap'].filter(
    (name) => !existsSync(join(debianPlugins, name)),
  );
  return missing.length === 0 ? undefined : `no ${missing.join(', ')} in ${debianPlugins}`;
}

export interface CniPrograms {
  add(id: string, netns: string): Promise<void>;
  del(id: string, netns: string): Promise<void>;
}

/** No port is mapped, on either side: most pods map none. */
export function createCniPrograms(
  leases: string,
  pluginDirectory: string = debianPlugins,
  name: string = 'peer',
): CniPrograms {
  const network = { cniVersion: '1.0.0', name };
  const bridge = {
    ...network,
    type: 'bridge',
    bridge: `${name}0`,
    isDefaultGateway: true,
    hairpinMode: true,
    ipam: {
      type: 'host-local',
      dataDir: leases,
      ranges: [[{ subnet: name === 'peer' ? '10.245.0.0/16' : '10.246.0.0/16' }]],
    },
  };
  const call = (
    command: 'ADD' | 'DEL',
    at: { readonly id: string; readonly netns: string; readonly ifname: string },
    config: { readonly type: string },
  ): Promise<string> =>
    outputOf([join(pluginDirectory, config.type)], {
      input: JSON.stringify(config),
      environment: {
        CNI_COMMAND: command,
        CNI_CONTAINERID: at.id,
        CNI_NETNS: at.netns,
        CNI_IFNAME: at.ifname,
        CNI_PATH: pluginDirectory,
      },
    });
  const portmap = { ...network, type: 'portmap', capabilities: { portMappings: true } };
  return {
    add: async (id, netns) => {
      const at = { id, netns, ifname: 'eth0' };
      await call('ADD', { ...at, ifname: 'lo' }, { ...network, type: 'loopback' });
      const result: unknown = JSON.parse(await call('ADD', at, bridge));
      await call('ADD', at, withResult(portmap, result));
    },
    del: async (id, netns) => {
      const at = { id, netns, ifname: 'eth0' };
      await call('DEL', at, bridge);
    },
  };
}

function withResult<T extends { readonly type: string }>(config: T, prevResult: unknown): T {
  return { ...config, prevResult };
}
