import type { PodNetworkRequest } from '#agent/network/pod-network.ts';
import { createCniPrograms, missingPlugins } from '#test/bench/cni-programs.ts';
import { alternate, timed, type Contender } from '#test/bench/measure.ts';
import { createNodeParts, type NodeParts } from '#test/bench/node-parts.ts';
import type { Row } from '#test/bench/row.ts';

const signal = AbortSignal.timeout(300_000);

/** Network namespace and CNI ADD, ours in this process, Debian's plugins as programs. */
export const podNetwork: Row = {
  name: 'pod-network',
  inNamespaces: true,
  run: async (scale) => {
    await using parts = await createNodeParts();

    return [
      await alternate({
        what: 'network namespace + CNI ADD (loopback, bridge, host-local, portmap)',
        unit: 'ms',
        contenders: [{ name: 'podwright', round: ours(parts) }, debianPlugins(parts)],
        rounds: scale.rounds(30),
      }),
    ];
  },
};

function ours(parts: NodeParts): () => Promise<number> {
  let count = 0;
  return async () => {
    const id = `ours-${count++}`;
    const netnsPath = `/run/netns/${id}`;
    const request: PodNetworkRequest = {
      sandboxId: id,
      netnsPath,
      podUid: id,
      podNamespace: 'default',
      podName: id,
      portMappings: [],
    };
    const ms = await timed(async () => {
      await parts.kernel.netlink.createNetns(netnsPath);
      await parts.network.add(request, signal);
    });
    await parts.network.del(request, signal);
    await parts.kernel.netlink.removeNetns(netnsPath);
    return ms;
  };
}

function debianPlugins(parts: NodeParts): Contender {
  const name = 'Debian CNI plugins';
  const skipped = missingPlugins();
  if (skipped !== undefined) return { name, skipped };
  const plugins = createCniPrograms(`${parts.directory}/peer-leases`);
  const { netlink } = parts.kernel;
  let count = 0;
  return {
    name,
    round: async () => {
      const id = `peer-${count++}`;
      const netns = `/run/netns/${id}`;
      const ms = await timed(async () => {
        await netlink.createNetns(netns);
        await plugins.add(id, netns);
      });
      await plugins.del(id, netns);
      await netlink.removeNetns(netns);
      return ms;
    },
  };
}
