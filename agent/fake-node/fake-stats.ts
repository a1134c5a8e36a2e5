/** What a fake node says that it and its pods use: the sum of what their annotations say. */
import type { Clock } from '#base/clock.ts';
import { CpuRates } from '#agent/kubelet/stats/cpu-rates.ts';
import type { PodFacts, StatsInput } from '#agent/kubelet/stats/stats-input.ts';
import type { FakeNode } from './fake-node.ts';

/** Made once for a node, as it remembers what was before. */
export function createFakeStats(node: FakeNode, clock: Clock): () => Promise<StatsInput> {
  const { startedAtMs } = node;
  const rates = new CpuRates();
  // CPU time of pods that are gone stays the node's.
  const seen = new Map<string, number>();
  let goneNanoseconds = 0;
  return async () => {
    const pods: PodFacts[] = [];
    for (const pod of node.workers.pods()) {
      const stats = await node.runtime.stats(pod.metadata?.uid ?? '');
      const none = {
        interfaces: [],
        rootfs: new Map(),
        logs: new Map(),
        volumes: [],
        ownVolumes: [],
        hosts: { bytes: 0, inodes: 0 },
      };
      if (stats !== undefined) pods.push({ pod, stats, ...none });
    }
    const present = new Map(
      pods.map(({ pod, stats }) => [pod.metadata?.uid ?? '', stats.cpuUsageNanoseconds]),
    );
    for (const [uid, nanoseconds] of seen) {
      // A run that ended took its count along.
      const now = present.get(uid) ?? 0;
      if (now < nanoseconds) goneNanoseconds += nanoseconds;
    }
    seen.clear();
    for (const [uid, nanoseconds] of present) seen.set(uid, nanoseconds);
    rates.forgetOthers();
    const { machine } = node;
    const usedBytes = pods.reduce((sum, { stats }) => sum + stats.memoryBytes, 0);
    const nowMs = clock.now();
    const availableBytes = Math.max(0, machine.memoryBytes - usedBytes);
    return {
      ...{ nodeName: node.name, nowMs, startedAtMs, bootedAtMs: startedAtMs, pods },
      machine: { ...machine, memoryAvailableBytes: availableBytes },
      nodeCpuNanoseconds: goneNanoseconds + [...present.values()].reduce((sum, each) => sum + each, 0),
      nodeMemory: { rssBytes: usedBytes, pageFaults: 0, majorPageFaults: 0, swapBytes: 0, swapFreeBytes: 0 },
      nodeInterfaces: [],
      disk: {
        capacityBytes: machine.diskBytes,
        availableBytes: machine.diskAvailableBytes,
        inodes: 1_000_000,
        inodesFree: 1_000_000,
      },
      agent: { cpuUsageNanoseconds: 0, rssBytes: 0, pageFaults: 0, majorPageFaults: 0 },
      imageBytes: node.runtime.images.list().reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
      devices: new Map(),
      cpuRate: (name, usageNanoseconds, sinceMs) => rates.rate(name, { usageNanoseconds, sinceMs, nowMs }),
    };
  };
}
