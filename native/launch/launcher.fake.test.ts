import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { mkdtempSync, rmSync } from 'node:fs';
import { createFakeLauncher } from './launcher.fake.ts';
import { conformancePrograms, launcherConformance, quiet } from './launcher.conformance.ts';
import type { ContainerLaunch, SupervisorSpec } from './launch.ts';

const container: ContainerLaunch = {
  root: { kind: 'directory', path: '/' },
  mounts: [],
  devices: [],
  args: [],
  env: [],
  cwd: '/',
  user: { uid: 0, gid: 0, additionalGids: [] },
  security: {
    capabilities: [],
    noNewPrivileges: true,
    privileged: false,
    seccomp: 'unconfined',
    readonlyRoot: false,
    maskedPaths: [],
    readonlyPaths: [],
  },
  rlimits: [],
  sysctls: {},
  oomScoreAdj: undefined,
  pidNamespace: 'private',
  cgroup: undefined,
};

launcherConformance('fake launcher', () => {
  const launcher = createFakeLauncher({
    programOf: ({ args }) => Object.values(conformancePrograms).find(({ shell }) => shell === args[2])?.fake,
  });
  return {
    launcher,
    container: (script) => ({ ...container, args: ['/bin/sh', '-c', script] }),
    killSupervisor: (supervisor) => launcher.killSupervisor(supervisor.directory),
  };
});

describe('fake launcher', () => {
  it('records what was launched and fails a launch when told to', async () => {
    const directory = mkdtempSync('/tmp/podwright-fake-');
    using _ = { [Symbol.dispose]: () => rmSync(directory, { recursive: true }) };
    const launcher = createFakeLauncher();
    const spec: SupervisorSpec = {
      directory,
      netns: undefined,
      hostname: undefined,
      ipcNamespace: true,
      pidNamespace: false,
      cgroup: undefined,
      sysctls: {},
    };
    using supervisor = await launcher.startSupervisor(spec);
    launcher.failNextLaunch(directory, { index: 17, errno: 'EINVAL', op: 'mount proc on /proc' });
    const failure = supervisor.launch('c1', container, quiet);
    await expect(failure).rejects.toThrow('launch c1: op 17 mount proc on /proc: EINVAL');
    const logPath = `${directory}/log`;
    await supervisor.launch('c1', container, { ...quiet, logPath });
    expect(launcher.launched(directory).map(({ id }) => id)).toEqual(['c1']);
    expect(readFileSync(logPath, 'utf8')).toBe('');
  });
});
