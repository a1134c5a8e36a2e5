import { systemClock } from '#base/clock.ts';
import { silentLogger } from '#base/log.ts';
import { giveMemoryBack } from '#bin/program/give-memory-back.ts';
import type { TestServer } from '#control-plane/apiserver/test-server.fixture.ts';
import { definitionOf, definitionsPath } from '#control-plane/apiserver/custom/definition.fixture.ts';
import { startControlPlane } from '#test/scale/control-plane.ts';
import type { ScaleRow } from '#test/scale/row.ts';
import { measureTurns } from '#test/scale/turn-meter.ts';

const properties = Object.fromEntries(
  Array.from({ length: 200 }, (_, index) => [
    `field${index}`,
    { type: 'object', description: 'x'.repeat(60), properties: { a: { type: 'string', maxLength: 63 } } },
  ]),
);
const schema = { type: 'object', properties: { spec: { type: 'object', properties } } };
/** Values that nobody reads are packed meanwhile, and what the load left is given back. */
const quietMs = 60_000;
/** Smaller loads are made to see whether it runs. */
const quickMax = 50;
const aggregated = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList';

/** Definitions of 30 KB, each of a group of its own, as operators bring them; discovery is asked now and then meanwhile. */
export const definitions: ScaleRow = {
  name: 'definitions',
  operation: 'CustomResourceDefinition made and established',
  of: 'definitions',
  sizes: [100, 400, 1600],
  run: async (size) => {
    await using stack = new AsyncDisposableStack();

    const test = await startControlPlane(stack, 'load');
    using _giving = giveMemoryBack({ clock: systemClock, logger: silentLogger });
    await establish(test, 'warm');
    const memory = (): number => process.memoryUsage.rss() / 1e6;
    const before = memory();
    let discoveryMs = 0;
    const cost = await measureTurns(async () => {
      for (let index = 0; index < size; index++) {
        await establish(test, `g${index}`);
        if (index % 10 === 0) discoveryMs = Math.max(discoveryMs, await discover(test));
      }
    });
    const most = memory();
    if (size > quickMax) await systemClock.sleep(quietMs);
    const also = {
      'MB of memory before': before,
      after: most,
      'a minute later': memory(),
      'ms of discovery at most': discoveryMs,
    };
    return { operations: size, ...cost, also };
  },
};

async function establish(test: TestServer, name: string): Promise<void> {
  const group = `${name}.example.com`;
  const made = definitionOf('things', 'Thing', { schema, spec: { group } });
  await test.make(definitionsPath, { ...made, metadata: { name: `things.${group}` } });
  const path = `/apis/${group}/v1/namespaces/default/things`;
  while ((await test.call('GET', path)).status !== 200) continue;
}

/** In processor time of the thread. */
async function discover(test: TestServer): Promise<number> {
  const { user, system } = process.threadCpuUsage();
  await test.call('GET', '/apis', { headers: { accept: aggregated } });
  const spent = process.threadCpuUsage({ user, system });
  return (spent.user + spent.system) / 1000;
}
