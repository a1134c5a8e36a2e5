import { join } from 'node:path';
import { expect, it } from 'vitest';
import { createFakeClock } from '#base/clock.ts';
import { silentLogger } from '#base/log.ts';
import { untilQuiet } from '#base/quiet.fixture.ts';
import { scratchDirectory } from '#base/scratch-directory.fixture.ts';
import type { ResourceSlice } from '#api/generated/objects.ts';
import { resourceSlices } from '#api/schema/kind-ref.ts';
import { createFakeApiClient } from '#client/client.fake.ts';
import { openNodeClaims } from './node-claims.ts';

const directory = scratchDirectory('node-claims-');

it('what drivers said of devices goes when they do not come back', async () => {
  const clock = createFakeClock();
  const client = createFakeApiClient(clock);
  const slice = (name: string, driver: string): ResourceSlice => ({
    metadata: { name },
    spec: { driver, nodeName: 'n', pool: { name: 'n', generation: 1, resourceSliceCount: 1 }, devices: [] },
  });
  for (const driver of ['a', 'b', 'c']) client.seed(resourceSlices, slice(driver, driver));
  let came = 0;
  const path = join(directory, 'claims.json');
  using claims = await openNodeClaims({
    ...{ client, nodeName: 'n', path, clock, logger: silentLogger },
    onDriver: () => void came++,
  });
  const handler = claims.plugins['DRAPlugin'];
  const plugin = (name: string) => ({
    ...{ type: 'DRAPlugin', name, endpoint: `/run/${name}.sock`, socket: name, identity: '1' },
    versions: ['v1.DRAPlugin'],
  });
  const { signal } = new AbortController();
  const names = () => client.all(resourceSlices).map(({ metadata }) => metadata?.name);
  for (const driver of ['a', 'b']) await handler?.register(plugin(driver), signal);
  clock.advance(30_000);
  await untilQuiet();
  expect(names()).toEqual(['a', 'b']);
  for (const driver of ['a', 'b']) await handler?.deregister(plugin(driver));
  await handler?.register({ ...plugin('b'), identity: '2' }, signal);
  clock.advance(30_000);
  await untilQuiet();
  expect(names()).toEqual(['b']);
  expect(came).toBe(3);
});
