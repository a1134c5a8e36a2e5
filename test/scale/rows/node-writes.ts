import { systemClock } from '#base/clock.ts';
import { silentLogger } from '#base/log.ts';
import type { Node } from '#api/generated/objects.ts';
import { startFabric } from '#agent/network/fabric/fabric.ts';
import { createInformerCache } from '#client/informer.ts';
import { createFakeNetlink } from '#native/netlink/netlink.fake.ts';
import { createFakeNft } from '#native/nft/nft.fake.ts';
import type { ScaleRow } from '#test/scale/row.ts';
import { measureTurns } from '#test/scale/turn-meter.ts';

const writes = 500;

/** A Node's status is written; what one agent's fabric makes of it, of as many agents as there are nodes. */
export const nodeWrites: ScaleRow = {
  name: 'node-writes',
  operation: "write of a Node's status, at one agent",
  of: 'nodes',
  sizes: [4, 16, 64],
  run: async (size) => {
    const nodes = createInformerCache<Node>((error) => {
      throw error;
    });
    nodes.replace(
      Array.from({ length: size }, (_, index) => nodeOf(index, 0)),
      '1',
    );
    await using _fabric = await startFabric({
      nodeName: 'node-0',
      nodes,
      netlink: createFakeNetlink(),
      nft: createFakeNft(),
      clock: systemClock,
      log: silentLogger,
      networks: [{ family: 4, clusterCidr: '10.244.0.0/16', serviceCidr: '10.96.0.0/16' }],
      nodeIps: ['172.31.255.11'],
      hasEgress: false,
    });

    const write = async (round: number): Promise<void> => {
      for (let index = 0; index < writes; index++) {
        nodes.apply({ type: 'MODIFIED', object: nodeOf(index % size, round * writes + index + 1) });
        await Promise.resolve();
      }
    };
    await write(0);
    return { operations: writes, ...(await measureTurns(() => write(1))) };
  },
};

function nodeOf(index: number, version: number): Node {
  return {
    metadata: { name: `node-${index}`, uid: `u${index}`, resourceVersion: `${version + 1}` },
    spec: { podCIDR: `10.244.${index}.0/24`, podCIDRs: [`10.244.${index}.0/24`] },
    status: {
      addresses: [{ type: 'InternalIP', address: `172.31.255.${index + 11}` }],
      conditions: [{ type: 'Ready', status: 'True', message: `${version}` }],
    },
  };
}
