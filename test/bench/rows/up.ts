import { createPodDriver } from '#test/bench/bench-cluster.ts';
import { summarise } from '#test/bench/measure.ts';
import { atMost, type Row } from '#test/bench/row.ts';
import { startCluster } from '#test/cluster/cluster.ts';

/** `podwright up` on an empty data directory, from the start of the process. */
export const up: Row = {
  name: 'up',
  inNamespaces: true,
  run: async (scale) => {
    const ready: number[] = [];
    const running: number[] = [];
    for (let round = 0; round < (scale.isQuick ? 1 : 4); round++) {
      const startMs = performance.now();
      await using cluster = await startCluster();
      ready.push(performance.now() - startMs);

      await using driver = await createPodDriver(cluster);

      await driver.create('first');
      running.push(performance.now() - startMs);
      await driver.remove('first');
    }
    return [
      {
        what: 'up to node Ready',
        unit: 'ms',
        ours: summarise(ready),
        peers: [],
        budgets: [atMost(2000)],
      },
      {
        what: 'up to the first pod Running',
        unit: 'ms',
        ours: summarise(running),
        peers: [],
        budgets: [atMost(2500)],
      },
    ];
  },
};
