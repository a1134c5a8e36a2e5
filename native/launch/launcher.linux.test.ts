import { readFileSync } from 'node:fs';
import { describe } from 'vitest';
import { createLauncher } from './launcher.linux.ts';
import { launcherConformance } from './launcher.conformance.ts';
import { createBusyboxContainer } from './busybox.fixture.ts';

describe.skipIf(process.getuid?.() !== 0)('on the kernel (needs root and busybox-static)', () => {
  launcherConformance('linux launcher', (directory) => ({
    launcher: createLauncher(),
    container: createBusyboxContainer(directory),
    killSupervisor: (supervisor) => {
      const isOurs = readFileSync(`/proc/${supervisor.pid}/cmdline`, 'latin1').includes(directory);
      if (isOurs) process.kill(supervisor.pid, 'SIGKILL');
    },
  }));
});
