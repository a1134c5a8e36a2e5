import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { createHostLocal } from '#cni-plugins/host-local/host-local.ts';
import type { PluginHost } from '#cni-plugins/skel/plugin.ts';
import { createFakeNetlink } from '#native/netlink/netlink.fake.ts';
import { createFakeNft } from '#native/nft/nft.fake.ts';
import type { ScaleRow } from '#test/scale/row.ts';
import { measureTurns } from '#test/scale/turn-meter.ts';

const pods = 200;

/** A pod's address is given and taken back, beside those of others; leases are files, as on a node. */
export const hostLocal: ScaleRow = {
  name: 'host-local',
  operation: "ADD and DEL of a pod's address",
  of: 'pods of the node',
  sizes: [25, 100, 400],
  run: async (size) => {
    const plugin = createHostLocal();
    const dataDir = mkdtempSync(join(tmpdir(), 'leases-'));
    const config = {
      cniVersion: '1.1.0',
      name: 'podwright',
      type: 'bridge',
      ipam: { type: 'host-local', dataDir, ranges: [[{ subnet: '10.244.0.0/20' }]] },
    };
    const host: PluginHost = {
      netlink: createFakeNetlink(),
      nft: createFakeNft(),
      invoke: async () => undefined,
      isNetnsRemovedByCaller: true,
    };
    const signal = new AbortController().signal;
    const callOf = (id: number): Parameters<typeof plugin.add>[0] => ({
      ...{ containerId: `c${id}`, netns: '/run/netns/x', ifname: 'eth0', args: {}, path: [], config },
      prevResult: undefined,
    });
    for (let id = 0; id < size; id++) await plugin.add(callOf(id), host, signal);
    const cycle = async (from: number): Promise<void> => {
      for (let id = from; id < from + pods; id++) {
        await plugin.add(callOf(id), host, signal);
        await plugin.del(callOf(id), host, signal);
      }
    };
    await cycle(10_000);
    return { operations: pods, ...(await measureTurns(() => cycle(20_000))) };
  },
};
