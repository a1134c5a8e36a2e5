import { eventsOf, hasNode, makeNodes, podAsking, startControlPlane } from '#test/scale/control-plane.ts';
import { inParallel } from '#test/scale/api-load.ts';
import type { ScaleRow } from '#test/scale/row.ts';
import { measureTurns, threadMs } from '#test/scale/turn-meter.ts';

const path = '/api/v1/namespaces/load/pods';
const podsPerNode = 10;
const boundPerSecond = 'pods bound in a second of processor time';
const createMs = 'ms of processor time in the 99th percentile of creates';

/** Pods that come to a cluster ten times as many as its nodes, with every loop at work: what one costs until it has a node. */
export const clusterLoad: ScaleRow = {
  name: 'cluster-load',
  operation: 'pod made and bound, beside all loops',
  of: 'pods, on a tenth as many nodes',
  limits: { also: { [boundPerSecond]: { min: 1000 }, [createMs]: { max: 100 } } },
  sizes: [500, 5_000, 50_000],
  timeoutMs: 1_800_000,
  run: async (size) => {
    await using stack = new AsyncDisposableStack();

    const test = await startControlPlane(stack, 'load');
    await makeNodes(test, size / podsPerNode);
    const took: number[] = []; // By the processor's clock: others on the machine are no part of it.
    const load = async (name: string, count: number): Promise<void> => {
      const { told } = await eventsOf(test, path, { count, selector: hasNode });
      await inParallel(count, async (index) => {
        const beganMs = threadMs();
        await test.make(path, podAsking(`${name}${index}`, '10m'));
        took.push(threadMs() - beganMs);
      });
      await told;
    };
    await load('first', 20);
    took.length = 0;
    const cost = await measureTurns(() => load('p', size), size);
    took.sort((a, b) => a - b);
    return {
      operations: size,
      ...cost,
      also: {
        [boundPerSecond]: Math.round((size * 1000) / cost.processorMs),
        [createMs]: Math.round(took[Math.floor(took.length * 0.99)] ?? 0),
        'MiB of memory': Math.round(process.memoryUsage.rss() / 2 ** 20),
      },
    };
  },
};
