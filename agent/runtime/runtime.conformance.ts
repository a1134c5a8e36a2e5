/** What every Runtime does, fake or real. The image must have /bin/sh and sleep. */
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isPodwrightError } from '#base/errors.ts';
import type { ContainerConfig, ContainerState, Runtime, SandboxConfig } from './runtime.ts';

export interface RuntimeUnderTest extends AsyncDisposable {
  readonly runtime: Runtime;
  readonly imageId: string;
  /** For container logs. */
  readonly directory: string;
  /** It is of before image volumes. */
  readonly mountsNoImages?: boolean;
  /** What its pods have besides. */
  readonly sandbox?: Partial<SandboxConfig>;
}

const deadlineMs = 60_000;

export function sandboxConfig(uid: string, change: Partial<SandboxConfig> = {}): SandboxConfig {
  return {
    uid,
    namespace: 'default',
    name: `pod-${uid}`,
    attempt: 0,
    hostname: `pod-${uid}`,
    labels: {},
    annotations: {},
    hostNetwork: false,
    hostPid: false,
    hostIpc: false,
    sharePidNamespace: false,
    sysctls: {},
    portMappings: [],
    cgroupParent: `kubepods/besteffort/pod${uid}`,
    resources: {},
    ...change,
  };
}

export function containerConfig(
  under: { readonly imageId: string; readonly directory: string },
  change: Partial<ContainerConfig> = {},
): ContainerConfig {
  const id = change.id ?? randomBytes(32).toString('hex');
  return {
    id,
    name: 'main',
    attempt: 0,
    imageId: under.imageId,
    image: 'podwright/demo',
    command: ['/bin/sh', '-c', 'sleep 1000'],
    args: [],
    env: [],
    workingDir: undefined,
    mounts: [],
    user: { fsGroups: [] },
    runAsNonRoot: false,
    security: {
      capabilities: ['CAP_CHOWN', 'CAP_NET_BIND_SERVICE', 'CAP_SETUID', 'CAP_SETGID', 'CAP_KILL'],
      noNewPrivileges: false,
      privileged: false,
      seccomp: 'unconfined',
      readonlyRoot: false,
      maskedPaths: ['/proc/kcore', '/sys/firmware'],
      readonlyPaths: ['/proc/sys'],
    },
    devices: [],
    rlimits: [],
    oomScoreAdj: 0,
    resources: {},
    stdio: { logPath: `${under.directory}/${id}.log`, stdin: false, stdinOnce: false, tty: false },
    stopSignal: undefined,
    ...change,
  };
}

/** Waits for a state of a container, by the runtime's own notices. */
export async function waitForState<S extends ContainerState['state']>(
  runtime: Runtime,
  at: { readonly uid: string; readonly id: string },
  state: S,
): Promise<Extract<ContainerState, { state: S }>> {
  const signal = AbortSignal.timeout(deadlineMs);
  for (;;) {
    const change = Promise.withResolvers<void>();
    using _watch = runtime.onChange((uid) => void (uid === at.uid && change.resolve()));

    const found = runtime.observe(at.uid)?.containers.find((each) => each.id === at.id)?.state;
    if (found?.state === state) return found as Extract<ContainerState, { state: S }>;
    const late = Promise.withResolvers<never>();
    signal.addEventListener('abort', () =>
      late.reject(new Error(`container ${at.id} is ${JSON.stringify(found)}, not ${state}`)),
    );
    await Promise.race([change.promise, late.promise]);
  }
}

export function runtimeConformance(name: string, make: () => Promise<RuntimeUnderTest>): void {
  describe(`Runtime conformance: ${name}`, () => {
    let under: RuntimeUnderTest;
    let count = 0;
    const signal = AbortSignal.timeout(600_000);
    const sandbox = (uid: string, change: Partial<SandboxConfig> = {}): SandboxConfig =>
      sandboxConfig(uid, { logDirectory: under.directory, ...under.sandbox, ...change });
    const newPod = async (change: Partial<SandboxConfig> = {}): Promise<string> => {
      const uid = `u${process.pid}-${count++}`;
      await under.runtime.runSandbox(sandbox(uid, change), signal);
      return uid;
    };
    const endPod = async (uid: string): Promise<void> => {
      await under.runtime.stopSandbox(uid, signal);
      await under.runtime.removePod(uid, signal);
    };
    const start = async (uid: string, change: Partial<ContainerConfig> = {}): Promise<ContainerConfig> => {
      const config = containerConfig(under, change);
      await under.runtime.startContainer(uid, config, signal);
      return config;
    };
    const shell = (script: string): Partial<ContainerConfig> => ({ command: ['/bin/sh', '-c', script] });

    beforeAll(async () => {
      under = await make();
    });
    afterAll(async () => {
      await under[Symbol.asyncDispose]();
    });

    it('runSandbox gives a ready sandbox, and the same one when repeated', async () => {
      const uid = await newPod();
      const observed = under.runtime.observe(uid);
      expect(observed).toMatchObject({
        uid,
        namespace: 'default',
        sandbox: { attempt: 0, state: 'ready' },
        containers: [],
      });
      expect(observed?.sandbox?.ips.length).toBeGreaterThan(0);
      const again = await under.runtime.runSandbox(sandbox(uid), signal);
      expect(again).toEqual(observed?.sandbox);
      await endPod(uid);
      expect(under.runtime.observe(uid)).toBeUndefined();
    });

    it('a container that exits 3 is observed as exited with Error', async () => {
      const uid = await newPod();
      const { id } = await start(uid, shell('exit 3'));
      const state = await waitForState(under.runtime, { uid, id }, 'exited');
      expect(state).toMatchObject({ exitCode: 3, signal: undefined, reason: 'Error', message: '' });
      expect(state.finishedAtMs).toBeGreaterThanOrEqual(state.startedAtMs);
      await endPod(uid);
    });

    it('a container that exits 0 is Completed', async () => {
      const uid = await newPod();
      const { id } = await start(uid, shell('exit 0'));
      expect(await waitForState(under.runtime, { uid, id }, 'exited')).toMatchObject({
        exitCode: 0,
        reason: 'Completed',
      });
      await endPod(uid);
    });

    it('stopContainer sends the stop signal first', async () => {
      const uid = await newPod();
      const { id } = await start(
        uid,
        shell(`trap 'exit 5' TERM; touch /ready; while true; do sleep 0.05; done`),
      );
      await waitForState(under.runtime, { uid, id }, 'running');
      await waitForExec(under.runtime, { uid, id }, ['test', '-e', '/ready']);
      await under.runtime.stopContainer(uid, id, 15, signal);
      expect(await waitForState(under.runtime, { uid, id }, 'exited')).toMatchObject({ exitCode: 5 });
      await under.runtime.stopContainer(uid, id, 15, signal);
      await endPod(uid);
    });

    it('stopContainer kills after the grace period, and at once without one', async () => {
      const uid = await newPod();
      for (const graceSeconds of [0, 1]) {
        const { id } = await start(uid, { ...shell('sleep 1000'), attempt: graceSeconds });
        await under.runtime.stopContainer(uid, id, graceSeconds, signal);
        expect(await waitForState(under.runtime, { uid, id }, 'exited')).toMatchObject({ exitCode: 137 });
      }
      await endPod(uid);
    });

    it('a container that cannot be made of its image is not observed, and can be tried again', async () => {
      const uid = await newPod();
      const id = randomBytes(32).toString('hex');
      const imageId = `sha256:${'0'.repeat(64)}`;
      for (const _try of [1, 2]) {
        await expect(start(uid, { id, imageId })).rejects.toSatisfy((error) =>
          isPodwrightError(error, 'E_NOT_FOUND'),
        );
      }
      expect(under.runtime.observe(uid)?.containers).toEqual([]);
      await start(uid, { id });
      expect(await waitForState(under.runtime, { uid, id }, 'running')).toBeDefined();
      await endPod(uid);
    });

    it('a container mounts the files of an image, which is observed, and is not observed without it', async () => {
      if (under.mountsNoImages === true) return;
      const uid = await newPod();
      const mount = {
        type: 'image',
        target: '/files',
        options: ['rbind', 'rprivate', 'ro'],
      } as const;
      const lost = [{ ...mount, source: `sha256:${'0'.repeat(64)}` }];
      await expect(start(uid, { mounts: lost })).rejects.toSatisfy((error) =>
        isPodwrightError(error, 'E_NOT_FOUND'),
      );
      expect(under.runtime.observe(uid)?.containers).toEqual([]);
      const { id } = await start(uid, { mounts: [{ ...mount, source: under.imageId }] });
      await waitForState(under.runtime, { uid, id }, 'running');
      const [found] = under.runtime.observe(uid)?.containers ?? [];
      expect(found?.mountedImages?.map(({ target }) => target)).toEqual(['/files']);
      const [image] = found?.mountedImages ?? [];
      expect(under.runtime.images.resolve(image?.imageId ?? '')?.id).toBe(under.imageId);
      await endPod(uid);
    });

    it('a container in the pid namespace of another starts only beside it, and ends with it', async () => {
      const uid = await newPod();
      const target = await start(uid);
      const beside = { name: 'debug', pidTarget: target.id };
      const { id } = await start(uid, beside);
      await waitForState(under.runtime, { uid, id }, 'running');
      await under.runtime.stopContainer(uid, target.id, 0, signal);
      expect(await waitForState(under.runtime, { uid, id }, 'exited')).toMatchObject({
        exitCode: 137,
        reason: 'Error',
      });
      await expect(start(uid, beside)).rejects.toThrow('the container of its pid namespace does not run');
      await endPod(uid);
    });

    it('runAsNonRoot refuses an image that runs as root', async () => {
      const uid = await newPod();
      const refused = 'container has runAsNonRoot and image will run as root';
      await expect(start(uid, { runAsNonRoot: true })).rejects.toThrow(refused);
      await endPod(uid);
    });

    it('startContainer refuses an id that is taken and a pod that has no sandbox', async () => {
      const uid = await newPod();
      const { id } = await start(uid);
      await expect(start(uid, { id })).rejects.toSatisfy((error) => isPodwrightError(error, 'E_EXISTS'));
      await expect(start('nobody')).rejects.toSatisfy((error) => isPodwrightError(error, 'E_NOT_FOUND'));
      await under.runtime.stopSandbox(uid, signal);
      await expect(start(uid)).rejects.toSatisfy((error) => isPodwrightError(error, 'E_CLOSED'));
      await endPod(uid);
    });

    it('exec gives the exit code of the command', async () => {
      const uid = await newPod();
      const { id } = await start(uid);
      const args = ['/bin/sh', '-c', 'exit 3'];
      const session = await under.runtime.exec(uid, id, { args, stdin: false, tty: false }, signal);
      session.streams.stdout.resume();
      expect(await session.exitCode).toBe(3);
      await session.streams[Symbol.asyncDispose]();
      await endPod(uid);
    });

    it('a running container is not removed, an ended one is', async () => {
      const uid = await newPod();
      const { id } = await start(uid);
      const remove = (): Promise<void> => under.runtime.removeContainer(uid, id, { withLogs: true });
      await expect(remove()).rejects.toSatisfy((error) => isPodwrightError(error, 'E_BUSY'));
      await under.runtime.stopContainer(uid, id, 0, signal);
      await remove();
      await remove();
      expect(under.runtime.observe(uid)?.containers).toEqual([]);
      await endPod(uid);
    });

    it('stopSandbox ends its containers; a later attempt begins anew beside their records', async () => {
      const uid = await newPod();
      const { id } = await start(uid);
      await expect(under.runtime.removePod(uid, signal)).rejects.toSatisfy((error) =>
        isPodwrightError(error, 'E_BUSY'),
      );
      await under.runtime.stopSandbox(uid, signal);
      await under.runtime.stopSandbox(uid, signal);
      expect(under.runtime.observe(uid)?.sandbox?.state).toBe('stopped');
      expect(await waitForState(under.runtime, { uid, id }, 'exited')).toMatchObject({ exitCode: 137 });
      await under.runtime.runSandbox(sandbox(uid, { attempt: 1 }), signal);
      const second = await start(uid, { attempt: 1 });
      const observed = under.runtime.observe(uid);
      expect(observed?.sandbox).toMatchObject({ state: 'ready', attempt: 1 });
      expect(observed?.containers.map((each) => [each.id, each.state.state])).toEqual([
        [id, 'exited'],
        [second.id, 'running'],
      ]);
      await endPod(uid);
      await endPod(uid);
    });
  });
}

async function waitForExec(
  runtime: Runtime,
  at: { readonly uid: string; readonly id: string },
  args: readonly string[],
): Promise<void> {
  const signal = AbortSignal.timeout(deadlineMs);
  for (;;) {
    const session = await runtime.exec(at.uid, at.id, { args, stdin: false, tty: false }, signal);
    session.streams.stdout.resume();
    const code = await session.exitCode;
    await session.streams[Symbol.asyncDispose]();
    if (code === 0) return;
    signal.throwIfAborted();
  }
}
