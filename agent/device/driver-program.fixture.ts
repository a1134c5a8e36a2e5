/** A device plugin as a program of its own: `node driver-program.fixture.ts DIRECTORY RESOURCE ID…`; its devices are /dev/zero as /dev/ID. */
import { join } from 'node:path';
import { systemClock } from '#base/clock.ts';
import { healthyDevices, startDeviceDriver } from './device-driver.fixture.ts';

const [directory = '', resource = '', ...ids] = process.argv.slice(2);
const driver = await startDeviceDriver(join(directory, `driver-${process.pid}.sock`), {
  devices: healthyDevices(...ids),
  allocate: async (given) => ({
    envs: { DEVICES: given.join(',') },
    devices: given.map((id) => ({ host_path: '/dev/zero', container_path: `/dev/${id}`, permissions: 'r' })),
  }),
});
// The kubelet may be about to start.
while (
  !(await driver.register(resource).then(
    () => true,
    () => false,
  ))
)
  await systemClock.sleep(100);
process.stdout.write('registered\n');
setInterval(() => undefined, 60_000);
