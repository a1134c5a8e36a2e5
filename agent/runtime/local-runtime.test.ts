/** The runtime over fakes: what happens when a step fails, and what a restarted agent finds. */
import { mkdir, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { PodNetwork } from '#agent/network/pod-network.ts';
import { systemClock } from '#base/clock.ts';
import { mayOpen } from '#native/bpf/device-rules.ts';
import { PodwrightError } from '#base/errors.ts';
import { silentLogger } from '#base/log.ts';
import {
  createFakeLauncher,
  type FakeLauncher,
  type FakeProgram,
  runUntilKilled,
} from '#native/launch/launcher.fake.ts';
import type { Launcher, Supervisor } from '#native/launch/launch.ts';
import { openImageStore } from './images/image-store.ts';
import { ociArchive, tarOf } from './images/test-archive.ts';
import { LocalRuntime } from './local-runtime.ts';
import {
  containerConfig,
  runtimeConformance,
  sandboxConfig,
  waitForState,
  type RuntimeUnderTest,
} from './runtime.conformance.ts';
import { FakeSystem } from './system.fake.ts';

/** The parts of a node that outlive an agent. */
interface World extends AsyncDisposable {
  readonly directory: string;
  readonly system: FakeSystem;
  readonly launcher: FakeLauncher;
  readonly namespaces: Set<string>;
  readonly networks: Set<string>;
  readonly imageId: string;
  /** The next call of this step fails. */
  fail: string | undefined;
  /** Called before each step that acts; what it throws is that step's failure. */
  onStep: ((name: string) => void) | undefined;
  startAgent(): Promise<LocalRuntime>;
}

const { signal } = new AbortController(); // The deadline is that of each test.
const uid = 'u1';

/** `sh -c` of the conformance suite: exit N, trap 'exit N' TERM, sleep. */
const shell: FakeProgram = async (process) => {
  const script = process.launch.args.join(' ');
  const trapped = /trap 'exit (\d+)' TERM/.exec(script)?.[1];
  const plain = /^\/bin\/sh -c exit (\d+)$/.exec(script)?.[1];
  if (process.launch.args[0] === 'test') return 0;
  if (process.launch.args[0] === 'count env') return process.launch.env.length;
  if (plain !== undefined) return Number(plain);
  const ended = Promise.withResolvers<number>();
  // As pid 1 of its namespace it dies of no signal that it does not handle.
  process.onSignal(15, () => void (trapped !== undefined && ended.resolve(Number(trapped))));
  return Promise.race([ended.promise, runUntilKilled(process)]);
};

async function makeWorld(): Promise<World> {
  const directory = await mkdtemp('/tmp/podwright-runtime-');
  const launcher = createFakeLauncher({ programOf: () => shell });
  const system = new FakeSystem();
  const namespaces = new Set<string>();
  const networks = new Set<string>();
  const agents: LocalRuntime[] = [];
  const world = {
    directory,
    system,
    launcher,
    namespaces,
    networks,
    fail: undefined as string | undefined,
    onStep: undefined as World['onStep'],
  };
  system.onStep = (name) => world.onStep?.(name);
  const step = (name: string): void => {
    world.onStep?.(name);
    if (world.fail !== name) return;
    world.fail = undefined;
    throw new PodwrightError('E_KERNEL', `${name}: EIO`);
  };
  const netlink = {
    createNetns: async (path: string) => {
      step('createNetns');
      if (namespaces.has(path)) throw new PodwrightError('E_EXISTS', `create ${path}`);
      namespaces.add(path);
    },
    removeNetns: async (path: string) => {
      step('removeNetns');
      namespaces.delete(path);
    },
  };
  const network: PodNetwork = {
    add: async ({ sandboxId }) => {
      networks.add(sandboxId);
      step('network.add');
      return { ips: ['10.0.0.2'] };
    },
    del: async ({ sandboxId }) => {
      step('network.del');
      networks.delete(sandboxId);
    },
    collect: async (valid) => {
      for (const id of networks) if (!valid.includes(id)) networks.delete(id);
    },
    check: async () => [],
    status: async () => ({ isReady: true, reason: '' }),
  };
  const failing: Launcher = {
    ...launcher,
    startSupervisor: async (spec, after) => {
      step('startSupervisor');
      return withSteps(await launcher.startSupervisor(spec, after), step);
    },
    connectSupervisor: async (at) => {
      const supervisor = await launcher.connectSupervisor(at);
      return supervisor === undefined ? undefined : withSteps(supervisor, step);
    },
  };
  const openImages = (): ReturnType<typeof openImageStore> =>
    openImageStore({
      directory: `${directory}/data`,
      unpack: async () => ({ entries: 0, bytes: 0, hasAskedBelow: false }),
    });
  const [image] = await (
    await openImages()
  ).importArchive(
    Readable.from([await ociArchive({ layers: [{ tar: await tarOf([]) }], name: 'a' })]),
    {},
    signal,
  );
  return Object.assign(world, {
    imageId: image?.id ?? '',
    startAgent: async () => {
      const agent = new LocalRuntime({
        paths: { runDirectory: `${directory}/run`, dataDirectory: `${directory}/data` },
        images: await openImages(),
        launcher: failing,
        netlink,
        network,
        system,
        clock: systemClock,
        log: silentLogger,
        readExits: async (path) => {
          const known = await readdir(path).catch(() => undefined);
          return known === undefined ? [] : exitsOf(launcher, path);
        },
      });
      agents.push(agent);
      await agent.open(signal);
      return agent;
    },
    [Symbol.asyncDispose]: async () => {
      for (const agent of agents) await agent[Symbol.asyncDispose]();
      await rm(directory, { recursive: true });
    },
  });
}

/** Each request that acts is a step. */
function withSteps(supervisor: Supervisor, step: (name: string) => void): Supervisor {
  return new Proxy(supervisor, {
    get: (target, name) => {
      const member: unknown = Reflect.get(target, name, target);
      if (typeof member !== 'function') return member;
      const call = member.bind(target);
      if (name !== 'launch' && name !== 'kill' && name !== 'stop') return call;
      return async (...args: readonly unknown[]) => {
        step(name);
        return call(...args);
      };
    },
  });
}

/** What the fake supervisor wrote down; undefined connections have written nothing here. */
async function exitsOf(launcher: FakeLauncher, path: string): ReturnType<LocalRuntimeExits> {
  const supervisor = await launcher.connectSupervisor(path);
  const exits = (await supervisor?.exits()) ?? [];
  supervisor?.[Symbol.dispose]();
  return exits;
}

type LocalRuntimeExits = ConstructorParameters<typeof LocalRuntime>[0]['readExits'];

runtimeConformance('over fakes', async (): Promise<RuntimeUnderTest> => {
  const world = await makeWorld();
  const runtime = await world.startAgent();
  await mkdir(`${world.directory}/logs`);
  return {
    runtime,
    imageId: world.imageId,
    directory: `${world.directory}/logs`,
    [Symbol.asyncDispose]: () => world[Symbol.asyncDispose](),
  };
});

describe('LocalRuntime', () => {
  let world: World;
  let runtime: LocalRuntime;

  beforeEach(async () => {
    world = await makeWorld();
    runtime = await world.startAgent();
  });
  afterEach(async () => {
    await world[Symbol.asyncDispose]();
  });

  const left = async (): Promise<object> => ({
    system: world.system.left(),
    namespaces: [...world.namespaces],
    networks: [...world.networks],
    pods: await readdir(`${world.directory}/run/pods`),
    roots: await readdir(`${world.directory}/data/containers`),
  });
  const nothing = { system: [], namespaces: [], networks: [], pods: [], roots: [] };
  const fail = (step: string): void => {
    world.fail = step;
    world.system.failNext = step;
  };

  it('gives exec an environment of any size, which is in no state that pods share, also after a restart', async () => {
    const env = Array.from({ length: 15 }, (_, index) => ({ name: `V${index}`, value: 'x'.repeat(100_000) }));
    const logs = `${world.directory}/logs`;
    await mkdir(logs);
    await runtime.runSandbox(sandboxConfig(uid), signal);
    const config = { imageId: world.imageId, directory: logs };
    const countIn = async (agent: LocalRuntime, id: string): Promise<number> => {
      const session = await agent.exec(uid, id, { args: ['count env'], stdin: false, tty: false }, signal);
      session.streams.stdout.resume();
      const count = await session.exitCode;
      await session.streams[Symbol.asyncDispose]();
      return count;
    };
    const ids: string[] = [];
    for (const each of [env, []]) {
      const id = each.length.toString(16).padStart(64, 'c');
      ids.push(id);
      await runtime.startContainer(uid, { ...containerConfig(config, { id }), env: each }, signal);
    }
    const [large = '', small = ''] = ids;
    const plain = await countIn(runtime, small);
    expect(await countIn(runtime, large)).toBe(plain + 15);
    runtime = await world.startAgent();
    expect(await countIn(runtime, large)).toBe(plain + 15);
    const documents = `${world.directory}/run/pods/${uid}/containers`;
    for (const name of await readdir(documents)) {
      expect((await stat(`${documents}/${name}`)).size).toBeLessThan(4096);
    }
    await runtime.stopSandbox(uid, signal);
    await runtime.removePod(uid, signal);
    expect(await left()).toEqual(nothing);
  });

  it('filters devices before the launch, again when another agent comes, and says so where it cannot', async () => {
    await using world = await makeWorld();

    const agent = await world.startAgent();
    const config = containerConfig(
      { imageId: world.imageId, directory: `${world.directory}/logs` },
      { id: 'c1' },
    );
    await agent.runSandbox(sandboxConfig(uid), signal);
    await agent.startContainer(uid, { ...config, args: ['sleep'] }, signal);
    const cgroup = [...world.system.devices.keys()][0] ?? '';
    expect(cgroup).toMatch(/\/c1$/);
    world.system.devices.clear();
    await agent[Symbol.asyncDispose]();
    await world.startAgent();
    expect([...world.system.devices.keys()]).toEqual([cgroup]);
    expect(mayOpen(world.system.devices.get(cgroup) ?? [], { type: 'c', major: 10, minor: 200 }, 2)).toBe(
      false,
    );
  });

  it.each([
    { name: 'unprivileged', privileged: false, unshared: undefined, why: 'the container is not privileged' },
    {
      name: 'not shared',
      privileged: true,
      unshared: '/mnt',
      why: '/mnt is not a shared mount on this node',
    },
  ])(
    'starts no container with Bidirectional propagation that is $name',
    async ({ privileged, unshared, why }) => {
      await using world = await makeWorld();

      const agent = await world.startAgent();
      const base = containerConfig(
        { imageId: world.imageId, directory: `${world.directory}/logs` },
        { id: 'c1' },
      );
      const mounts = [
        { type: 'bind', source: '/mnt/x', target: '/x', options: ['rbind', 'rshared'] },
      ] as const;
      await agent.runSandbox(sandboxConfig(uid), signal);
      world.system.unshared = unshared;
      const config = { ...base, mounts, security: { ...base.security, privileged } };
      await expect(agent.startContainer(uid, config, signal)).rejects.toThrow(why);
    },
  );

  it('starts no container whose devices could not be filtered', async () => {
    await using world = await makeWorld();

    const agent = await world.startAgent();
    const config = containerConfig(
      { imageId: world.imageId, directory: `${world.directory}/logs` },
      { id: 'c1' },
    );
    await agent.runSandbox(sandboxConfig(uid), signal);
    world.system.failNext = 'filterDevices';
    await expect(agent.startContainer(uid, config, signal)).rejects.toMatchObject({ code: 'E_LAUNCH' });
    expect(world.system.devices.size).toBe(0);
  });

  it.each(['ensureCgroup', 'createNetns', 'mountSharedMemory', 'startSupervisor', 'network.add'])(
    'runSandbox undoes everything when %s fails, and succeeds when repeated',
    async (step) => {
      fail(step);
      await expect(runtime.runSandbox(sandboxConfig(uid), signal)).rejects.toThrow(`${step}: EIO`);
      expect(await left()).toEqual(nothing);
      expect(runtime.observe(uid)).toBeUndefined();
      expect(await runtime.runSandbox(sandboxConfig(uid), signal)).toMatchObject({
        state: 'ready',
        ips: ['10.0.0.2'],
      });
    },
  );

  it.each(['killCgroup', 'network.del', 'removeNetns', 'unmount', 'removeCgroup'])(
    'stopSandbox and removePod converge when repeated after %s failed',
    async (step) => {
      await runtime.runSandbox(sandboxConfig(uid), signal);
      // The end of a container is recorded whether or not its cgroup can be killed: without one the failure shows.
      const config = containerConfig({ ...world, directory: world.directory });
      if (step !== 'killCgroup') await runtime.startContainer(uid, config, signal);
      fail(step);
      const end = async (): Promise<void> => {
        await runtime.stopSandbox(uid, signal);
        await runtime.removePod(uid, signal);
      };
      await expect(end()).rejects.toThrow(`${step}: EIO`);
      await end();
      expect(await left()).toEqual(nothing);
    },
  );

  it.each([0, 30])(
    'a supervisor that answers no more is ended by a stop with %d s of grace, and so is the pod',
    async (graceSeconds) => {
      await runtime.runSandbox(sandboxConfig(uid), signal);
      const config = containerConfig({ ...world, directory: world.directory });
      await runtime.startContainer(uid, config, signal);
      const directory = `${world.directory}/run/pods/${uid}/s0`;
      world.launcher.hangSupervisor(directory);
      world.system.onKill = (path) => {
        if (path.endsWith('/sup')) world.launcher.killSupervisor(directory);
      };
      await runtime.stopContainer(uid, config.id, graceSeconds, signal);
      expect(await waitForState(runtime, { uid, id: config.id }, 'exited')).toBeDefined();
      await runtime.stopSandbox(uid, signal);
      await runtime.removePod(uid, signal);
      expect(await left()).toEqual(nothing);
    },
  );

  it('stopSandbox ends a supervisor that answers no more', async () => {
    await runtime.runSandbox(sandboxConfig(uid), signal);
    world.launcher.hangSupervisor(`${world.directory}/run/pods/${uid}/s0`);
    await runtime.stopSandbox(uid, signal);
    await runtime.removePod(uid, signal);
    expect(world.system.killed).toContain(sandboxConfig(uid).cgroupParent);
    expect(await left()).toEqual(nothing);
  });

  it('a launch that fails is a StartError that names the operation, and leaves no directory or cgroup', async () => {
    await runtime.runSandbox(sandboxConfig(uid), signal);
    const before = await left();
    world.launcher.failNextLaunch(`${world.directory}/run/pods/${uid}/s0`, {
      index: 17,
      errno: 'EINVAL',
      op: 'mount',
    });
    const config = containerConfig({ ...world, directory: world.directory });
    await expect(runtime.startContainer(uid, config, signal)).rejects.toMatchObject({
      code: 'E_LAUNCH',
      detail: { index: 17, errno: 'EINVAL', op: 'mount' },
    });
    const state = await waitForState(runtime, { uid, id: config.id }, 'exited');
    expect(state).toMatchObject({ reason: 'StartError', message: expect.stringContaining('EINVAL') });
    expect(await left()).toEqual(before);
  });

  it('a kill by the OOM killer is OOMKilled', async () => {
    await runtime.runSandbox(sandboxConfig(uid), signal);
    const config = containerConfig({ ...world, directory: world.directory });
    await runtime.startContainer(uid, config, signal);
    world.system.ooms.set(`${sandboxConfig(uid).cgroupParent}/${config.id}`, 1);
    await runtime.stopContainer(uid, config.id, 0, signal);
    expect(await waitForState(runtime, { uid, id: config.id }, 'exited')).toMatchObject({
      reason: 'OOMKilled',
      exitCode: 137,
    });
  });

  /** A pod from its sandbox to its removal. */
  const life = async (agent: LocalRuntime): Promise<void> => {
    await agent.runSandbox(sandboxConfig(uid), signal);
    const config = containerConfig({ ...world, directory: world.directory });
    await agent.startContainer(uid, config, signal);
    await agent.stopContainer(uid, config.id, 0, signal);
    await agent.removeContainer(uid, config.id, { withLogs: true });
    await agent.stopSandbox(uid, signal);
    await agent.removePod(uid, signal);
  };

  it('an agent that is killed before any one step of a pod leaves nothing that the next does not end', async () => {
    const names: string[] = [];
    world.onStep = (name) => void names.push(name);
    await life(runtime);
    expect(await left()).toEqual(nothing);
    expect(new Set(names)).toEqual(
      new Set([
        ...[
          'ensureCgroup',
          'filterDevices',
          'createNetns',
          'mountSharedMemory',
          'startSupervisor',
          'network.add',
          'launch',
        ],
        ...['kill', 'stop', 'killCgroup', 'network.del', 'removeNetns', 'unmount', 'removeCgroup'],
      ]),
    );
    for (let cutBefore = 0; cutBefore < names.length; cutBefore++) {
      let steps = 0;
      let isDead = false;
      const killed = await world.startAgent();
      world.onStep = (name) => {
        isDead ||= steps++ === cutBefore;
        if (isDead) throw new PodwrightError('E_KERNEL', `${name}: killed before step ${cutBefore}`);
      };
      await life(killed).catch(() => undefined); // It may have got through: a step that only tidies can fail unseen.
      world.onStep = undefined;
      const next = await world.startAgent();
      for (const pod of next.observeAll()) {
        await next.stopSandbox(pod.uid, signal);
        await next.removePod(pod.uid, signal);
      }
      expect({ cutBefore, step: names[cutBefore], ...(await leftAfterStart()) }).toEqual({
        cutBefore,
        step: names[cutBefore],
        ...nothing,
      });
    }
  });
  /** With what a start collects, as directories of containers. */
  const leftAfterStart = async (): Promise<object> => {
    await world.startAgent();
    return left();
  };

  it.each(['{', '', '{"version":1}', '[]', 'null'])(
    'a document that says %j stops neither the start nor other pods; its pod is made anew',
    async (text) => {
      const config = containerConfig({ ...world, directory: world.directory });
      for (const each of [uid, 'u2', 'u3']) await runtime.runSandbox(sandboxConfig(each), signal);
      await runtime.startContainer(uid, config, signal);
      await runtime.startContainer('u3', { ...config, id: 'c3' }, signal);
      await writeFile(`${world.directory}/run/pods/${uid}/sandbox.json`, text);
      await writeFile(`${world.directory}/run/pods/u3/containers/c3.json`, text);
      const next = await world.startAgent();
      expect(next.observe('u2')?.sandbox?.state).toBe('ready');
      expect(next.observe('u3')?.sandbox?.state).not.toBe('ready');
      // As the kubelet does, which knows what there should be.
      for (const each of [uid, 'u3']) {
        await next.runSandbox(sandboxConfig(each, { attempt: 1 }), signal);
        expect(next.observe(each)?.sandbox).toMatchObject({ state: 'ready', attempt: 1 });
      }
      for (const each of [uid, 'u2', 'u3']) {
        await next.stopSandbox(each, signal);
        await next.removePod(each, signal);
      }
      expect(await leftAfterStart()).toEqual(nothing);
    },
  );

  it('directories of containers that nothing knows are removed at start', async () => {
    await mkdir(`${world.directory}/data/containers/stray/upper`, { recursive: true });
    runtime = await world.startAgent();
    expect(await left()).toEqual(nothing);
  });

  it('tells of each change of a pod, after it can be observed', async () => {
    const seen: string[] = [];
    using _watch = runtime.onChange((changed) => {
      const pod = runtime.observe(changed);
      seen.push(
        `${pod?.sandbox?.state ?? 'gone'} ${pod?.containers.map((each) => each.state.state).join() ?? ''}`.trim(),
      );
    });

    await runtime.runSandbox(sandboxConfig(uid), signal);
    const config = containerConfig({ ...world, directory: world.directory });
    await runtime.startContainer(uid, config, signal);
    await runtime.stopContainer(uid, config.id, 0, signal);
    await runtime.stopSandbox(uid, signal);
    await runtime.removePod(uid, signal);
    const distinct = seen.filter((entry, at) => entry !== seen[at - 1]);
    expect(distinct).toEqual([
      'ready',
      'ready created',
      'ready running',
      'ready exited',
      'dead exited',
      'stopped exited',
      'stopped',
      'gone',
    ]);
  });
});
