import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { systemClock } from '#base/clock.ts';
import { silentLogger } from '#base/log.ts';
import { startFleet } from '#agent/fake-node/fleet.ts';
import { shapeOf } from '#bin/fake-nodes/shape.ts';
import { createApiClient } from '#client/api-client.ts';
import { createInformers, withoutManagedFields } from '#client/informers.ts';
import { startControlPlane } from '#test/scale/control-plane.ts';
import type { ScaleRow } from '#test/scale/row.ts';
import { measureTurns, threadMs } from '#test/scale/turn-meter.ts';

const shape = {
  ...{ nodes: 0, prefix: 'fake', cpu: '32', memory: '256Gi', storage: '1Ti', maxPods: 110 },
  ...{ nodeLabel: [], nodeTaint: [], zones: ['a', 'b', 'c'] },
};

function heapBytes(): number {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
  return process.memoryUsage().heapUsed;
}

const leaseSeconds = 80;
const leasePeriodMs = (leaseSeconds * 1000) / 4;
/** What is made once for each node is over by then. */
const settleMs = 5_000;
const nodesMost = 5_000;
const kibOfNode = 'KiB of heap a node';
const idlePercent = '% of a core that 5,000 idle nodes take, and their server';

/** Fake nodes that come up beside the server: both of them in one process, so that what is counted is of both. */
export const fakeNodes: ScaleRow = {
  name: 'fake-nodes',
  operation: 'fake node registered, ready and idle',
  of: 'nodes',
  // Of 600 MB for 5,000 nodes, what is not the process itself.
  limits: { also: { [kibOfNode]: { max: 100 }, [idlePercent]: { max: 20 } } },
  sizes: [100, 500, 2_000],
  run: async (size) => {
    await using stack = new AsyncDisposableStack();

    const test = await startControlPlane(stack, 'load');
    const client = createApiClient({ transport: test.server.transport(), userAgent: 'scale' });
    const [clock, logger, transform] = [systemClock, silentLogger, withoutManagedFields];
    const informers = stack.use(createInformers({ client, clock, logger, transform }));
    const { signal } = new AbortController();
    const { serving } = await test.server.issueNodeCredentials('fake', {
      serverUrl: 'https://127.0.0.1',
      hosts: ['127.0.0.1'],
    });
    const tls = { cert: serving.certPem, key: serving.keyPem, clientCa: test.server.caCertPem };
    const directory = await mkdtemp(join(tmpdir(), 'fleet-'));
    const before = heapBytes();
    const cost = await measureTurns(async () => {
      const fleet = await startFleet(
        {
          ...{ informers, clock, logger, directory, name: 'fake', count: size, leaseSeconds },
          shapeOf: (index) => shapeOf(shape, index),
          server: { host: '127.0.0.1', port: 0, tls },
          versions: { kubelet: 'v1.36.0', runtime: 'fake://0' },
        },
        signal,
      );
      stack.use(fleet);
    });
    const bytes = (heapBytes() - before) / size;
    await clock.sleep(settleMs);
    const quietMs = threadMs();
    await clock.sleep(leasePeriodMs); // Each renews its Lease once.
    const idleShare = (threadMs() - quietMs) / leasePeriodMs / size;
    const also = {
      [kibOfNode]: Math.round(bytes / 1024),
      [idlePercent]: Number((idleShare * 100 * nodesMost).toFixed(1)),
    };
    return { operations: size, ...cost, also };
  },
};
