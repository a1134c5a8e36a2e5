import { createCniPrograms, missingPlugins } from '#test/bench/cni-programs.ts';
import { alternate, firstInstructionMs, monotonicNs, type Contender } from '#test/bench/measure.ts';
import { createNodeParts, logOf, removePod, type NodeParts } from '#test/bench/node-parts.ts';
import { ociContenders } from '#test/bench/oci-runtime.ts';
import { atMost, type Row } from '#test/bench/row.ts';

const signal = AbortSignal.timeout(300_000);

/** A pod with one container on the node: from the call to the container's first instruction. */
export const wholePod: Row = {
  name: 'whole-pod',
  inNamespaces: true,
  run: async (scale) => {
    await using parts = await createNodeParts();

    const sandboxMs: number[] = [];
    return [
      await alternate({
        what: 'sandbox, network and container, call to first instruction',
        unit: 'ms',
        contenders: [{ name: 'podwright', round: ours(parts, sandboxMs) }, ...peers(parts)],
        rounds: scale.rounds(30),
        budgets: [atMost(6)],
        detail: () => ({ sandboxMs: sandboxMs.toSorted((a, b) => a - b)[sandboxMs.length >> 1] }),
      }),
    ];
  },
};

function ours(parts: NodeParts, sandboxMs: number[]): () => Promise<number> {
  let count = 0;
  return async () => {
    const uid = `whole-${count++}`;
    const container = parts.container([]);
    const startNs = monotonicNs();
    await parts.runtime.runSandbox(parts.sandbox(uid), signal);
    sandboxMs.push(Number(monotonicNs() - startNs) / 1e6);
    await parts.runtime.startContainer(uid, container, signal);
    const ms = firstInstructionMs(startNs, await logOf(parts, uid, container));
    await removePod(parts.runtime, uid);
    return ms;
  };
}

/** The plugins, a pause container, then the container: what a CRI runtime does at the least. */
function peers(parts: NodeParts): readonly Contender[] {
  const skipped = missingPlugins();
  const plugins = createCniPrograms(`${parts.directory}/peer-leases`);
  const { netlink } = parts.kernel;
  return ociContenders(parts.directory, parts.root, (oci) => {
    let count = 0;
    return async () => {
      const id = `${oci.name}-${count++}`;
      const netns = `/run/netns/${id}`;
      const bundle = oci.bundle(['/probe'], netns);
      const startNs = monotonicNs();
      await netlink.createNetns(netns);
      await plugins.add(id, netns);
      const pause = await oci.startWaiting();
      const ms = firstInstructionMs(startNs, await oci.run(bundle));
      await oci.remove(pause);
      await plugins.del(id, netns);
      await netlink.removeNetns(netns);
      return ms;
    };
  }).map((each) => ({ ...each, name: `CNI + ${each.name}`, ...(skipped === undefined ? {} : { skipped }) }));
}
