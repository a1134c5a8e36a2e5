/** The driver of proto/csi/toy-driver.fixture.ts as a process: NAME, SOCKET, STATE, and where it registers; until it is killed. */
import { systemClock } from '#base/clock.ts';
import { silentLogger } from '#base/log.ts';
import { realMounting, startToyDriver } from '#proto/csi/toy-driver.fixture.ts';
import { loadContract } from '#proto/load.ts';
import { serveUnix, serviceOf } from '#proto/unix-server.ts';

const [name = '', socket = '', state = '', registry = '', seenAs = socket] = process.argv.slice(2);
await startToyDriver({
  ...{ name, socket, state, mounting: realMounting },
  topology: { 'toy.example.com/node': name },
  volumesMax: 8,
});
const contract = await loadContract('pluginregistration-v1');
const registration = serviceOf(contract.services['pluginregistration.Registration'], {
  GetInfo: () => ({ type: 'CSIPlugin', name, endpoint: seenAs, supported_versions: ['1.0.0'] }),
  NotifyRegistrationStatus: ({ plugin_registered: isRegistered, error }) => {
    process.stdout.write(isRegistered ? 'registered\n' : `refused: ${error}\n`);
    return {};
  },
});
await serveUnix(contract, {
  path: registry,
  services: [registration],
  clock: systemClock,
  log: silentLogger,
});
process.stdout.write('ready\n');
