/** What a client of CRI counts on, asked as crictl and kubelets ask it: of ours over a fake and over the kernel, and of containerd. */
import { randomBytes } from 'node:crypto';
import { readFileSync, renameSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import type { Outgoing } from '#proto/contract.ts';
import type {
  ContainerConfig,
  ContainerEventResponse,
  ContainerState,
  ContainerStatus,
  PodSandboxConfig,
  Services,
} from '#proto/cri/api.ts';
import type { UnixClient } from '#proto/unix-client.ts';

export type CriService = Services['runtime.v1.RuntimeService'];
export type ImageService = Services['runtime.v1.ImageService'];

export interface CriUnderTest extends AsyncDisposable {
  readonly client: UnixClient;
  readonly runtime: CriService;
  readonly images: ImageService;
  /** Has /bin/sh. */
  readonly image: string;
  /** For logs. */
  readonly directory: string;
  /** What a sandbox is asked for beyond that. */
  readonly sandbox: Outgoing<PodSandboxConfig>;
  /** Containers write logs, and what they are told to do they do. */
  readonly isReal: boolean;
  /** It is ours: of what others answer otherwise there is more to say. */
  readonly isOurs: boolean;
}

export function uniqueSandbox(
  under: Pick<CriUnderTest, 'directory' | 'sandbox'>,
  name: string,
): Outgoing<PodSandboxConfig> {
  const uid = randomBytes(8).toString('hex');
  return {
    metadata: { name, namespace: 'default', uid, attempt: 0 },
    hostname: name,
    log_directory: `${under.directory}/${uid}`,
    labels: { app: name, run: uid },
    annotations: { 'example.com/a': '1' },
    ...under.sandbox,
  };
}

const endless = 'trap "exit 0" TERM; echo begun; while true; do sleep 0.05; done';

export function shellContainer(
  image: string,
  change: Outgoing<ContainerConfig> = {},
): Outgoing<ContainerConfig> {
  return {
    metadata: { name: 'main', attempt: 0 },
    image: { image },
    command: ['/bin/sh', '-c', endless],
    log_path: 'main/0.log',
    labels: { tier: 'x' },
    linux: { security_context: { namespace_options: { pid: 'CONTAINER' } } },
    ...change,
  };
}

export function criConformance(name: string, make: () => Promise<CriUnderTest>): void {
  describe(`CRI: ${name}`, () => {
    let under: CriUnderTest;
    beforeAll(async () => {
      under = await make();
    });
    afterAll(() => under[Symbol.asyncDispose]());

    const statusOf = async (id: string): Promise<ContainerStatus> => {
      const { status } = await under.client.call(under.runtime.ContainerStatus, { container_id: id });
      if (status === null) throw new Error('no status');
      return status;
    };
    const untilState = (id: string, state: ContainerState): Promise<void> =>
      expect.poll(async () => (await statusOf(id)).state).toBe(state);
    const run = async (): Promise<{ readonly id: string; readonly config: Outgoing<PodSandboxConfig> }> => {
      const config = uniqueSandbox(under, 'web');
      const { pod_sandbox_id: id } = await under.client.call(under.runtime.RunPodSandbox, { config });
      return { id, config };
    };
    const start = async (
      sandbox: { readonly id: string; readonly config: Outgoing<PodSandboxConfig> },
      change: Outgoing<ContainerConfig> = {},
    ): Promise<string> => {
      const { client, runtime, image } = under;
      const config = shellContainer(image, change);
      const request = { pod_sandbox_id: sandbox.id, config, sandbox_config: sandbox.config };
      const { container_id: id } = await client.call(runtime.CreateContainer, request);
      await client.call(runtime.StartContainer, { container_id: id });
      return id;
    };
    const end = async (id: string): Promise<void> => {
      await under.client.call(under.runtime.StopPodSandbox, { pod_sandbox_id: id });
      await under.client.call(under.runtime.RemovePodSandbox, { pod_sandbox_id: id });
    };

    it('says what it is, that it is ready, and what handlers it has', async () => {
      const { client, runtime } = under;
      const version = await client.call(runtime.Version, { version: 'v1' });
      expect(version).toMatchObject({ version: '0.1.0', runtime_api_version: 'v1' });
      const { status } = await client.call(runtime.Status, { verbose: true });
      expect(status?.conditions).toContainEqual(
        expect.objectContaining({ type: 'RuntimeReady', status: true }),
      );
      await client.call(runtime.UpdateRuntimeConfig, {});
      if (!under.isOurs) return;
      const { linux } = await client.call(runtime.RuntimeConfig, {});
      expect(linux).toEqual({ cgroup_driver: 'CGROUPFS' });
    });

    it('knows its images by name and id, and is not troubled by those that are not there', async () => {
      const { client, images, image } = under;
      const { image: found } = await client.call(images.ImageStatus, { image: { image }, verbose: true });
      const { images: same } = await client.call(images.ListImages, {
        filter: { image: { image: found?.id ?? '' } },
      });
      expect(same.map(({ id }) => id)).toEqual([found?.id]);
      const absent = { image: { image: 'registry.invalid/none:1' } };
      expect((await client.call(images.ImageStatus, absent)).image).toBeNull();
      await client.call(images.RemoveImage, absent);
      const { image_filesystems: filesystems } = await client.call(images.ImageFsInfo, {});
      expect(filesystems[0]?.fs_id?.mountpoint).toMatch(/^\//);
    });

    it('takes a container from creation to removal, and each step again', async () => {
      const { client, runtime, image } = under;
      const sandbox = await run();
      const { status } = await client.call(runtime.PodSandboxStatus, { pod_sandbox_id: sandbox.id });
      expect(status).toMatchObject({ id: sandbox.id, state: 'SANDBOX_READY', ...pick(sandbox.config) });
      const request = {
        pod_sandbox_id: sandbox.id,
        config: shellContainer(image),
        sandbox_config: sandbox.config,
      };
      const { container_id: id } = await client.call(runtime.CreateContainer, request);
      expect(await statusOf(id)).toMatchObject({
        state: 'CONTAINER_CREATED',
        started_at: 0,
        labels: { tier: 'x' },
      });
      await client.call(runtime.StartContainer, { container_id: id });
      const running = await statusOf(id);
      expect(running).toMatchObject({
        id,
        state: 'CONTAINER_RUNNING',
        exit_code: 0,
        metadata: { name: 'main' },
      });
      expect(running.started_at).toBeGreaterThanOrEqual(running.created_at);
      const filter = { pod_sandbox_id: sandbox.id, state: { state: 'CONTAINER_RUNNING' as const } };
      const { containers } = await client.call(runtime.ListContainers, { filter });
      expect(containers.map((each) => [each.id, each.pod_sandbox_id])).toEqual([[id, sandbox.id]]);
      await expect(client.call(runtime.StartContainer, { container_id: id })).rejects.toThrow();

      for (const _again of [1, 2]) await client.call(runtime.StopContainer, { container_id: id, timeout: 1 });
      const ended = await statusOf(id);
      expect(ended).toMatchObject({ state: 'CONTAINER_EXITED' });
      expect(ended.finished_at).toBeGreaterThanOrEqual(ended.started_at);
      for (const _again of [1, 2]) await client.call(runtime.RemoveContainer, { container_id: id });
      await expect(statusOf(id)).rejects.toMatchObject({ detail: { status: 'NOT_FOUND' } });
      // containerd 1.6 refuses to stop what is gone; later ones do not.
      for (const _again of under.isOurs ? [1, 2] : [1]) await end(sandbox.id);
      const gone = client.call(runtime.PodSandboxStatus, { pod_sandbox_id: sandbox.id });
      await expect(gone).rejects.toMatchObject({ detail: { status: 'NOT_FOUND' } });
    });

    it('finds sandboxes by the beginning of an id, state and labels', async () => {
      const { client, runtime } = under;
      const [one, other] = [await run(), await run()];
      await client.call(runtime.StopPodSandbox, { pod_sandbox_id: other.id });
      const list = async (filter: object): Promise<readonly string[]> =>
        (await client.call(runtime.ListPodSandbox, { filter })).items.map(({ id }) => id);
      expect(await list({ id: one.id.slice(0, 13) })).toEqual([one.id]);
      expect(await list({ state: { state: 'SANDBOX_NOTREADY' } })).toContain(other.id);
      expect(await list({ label_selector: { run: one.config.labels?.['run'] } })).toEqual([one.id]);
      expect(await list({ label_selector: { app: 'db' } })).toEqual([]);
      await end(one.id);
      await end(other.id);
    });

    it('runs commands for their output, and ends those that take too long', async () => {
      const { client, runtime } = under;
      const sandbox = await run();
      const id = await start(sandbox);
      const script = (text: string): readonly string[] => ['/bin/sh', '-c', text];
      const cmd = script('echo out; echo err >&2; exit 3');
      const done = await client.call(runtime.ExecSync, { container_id: id, cmd, timeout: 60 });
      expect([done.exit_code, String(done.stdout), String(done.stderr)]).toEqual([3, 'out\n', 'err\n']);
      if (under.isReal) {
        if (under.isOurs) {
          // What it leaves behind holds its streams.
          const cmdLeaving = script('sleep 600 & echo left');
          const left = await client.call(runtime.ExecSync, {
            container_id: id,
            cmd: cmdLeaving,
            timeout: 60,
          });
          expect([left.exit_code, String(left.stdout)]).toEqual([0, 'left\n']);
        }
        const late = client.call(runtime.ExecSync, {
          container_id: id,
          cmd: script('sleep 600'),
          timeout: 1,
        });
        await expect(late).rejects.toMatchObject({ detail: { status: 'DEADLINE_EXCEEDED' } });
      }
      await client.call(runtime.StopContainer, { container_id: id, timeout: 0 });
      await expect(client.call(runtime.ExecSync, { container_id: id, cmd })).rejects.toThrow();
      await end(sandbox.id);
    });

    it('writes logs in the form of CRI, and to a new file when it is asked to', async () => {
      const { client, runtime, isReal } = under;
      if (!isReal) return;
      const sandbox = await run();
      const id = await start(sandbox, {
        command: ['/bin/sh', '-c', 'while true; do echo line; sleep 0.05; done'],
      });
      const log = (await statusOf(id)).log_path;
      expect(log).toBe(`${sandbox.config.log_directory}/main/0.log`);
      await expect.poll(() => readFileSync(log, 'utf8')).toMatch(/^\S+T\S+ stdout F line\n/);
      renameSync(log, `${log}.1`);
      await client.call(runtime.ReopenContainerLog, { container_id: id });
      await expect.poll(() => readFileSync(log, 'utf8')).toMatch(/ stdout F line\n/);
      await end(sandbox.id);
    });

    it('tells ends by exit code and reason, and kills what runs with its sandbox', async () => {
      const { client, runtime } = under;
      const sandbox = await run();
      const failed = await start(sandbox, {
        command: ['/bin/sh', '-c', 'exit 7'],
        metadata: { name: 'failed' },
      });
      const running = await start(sandbox);
      await untilState(failed, 'CONTAINER_EXITED');
      expect(await statusOf(failed)).toMatchObject({ exit_code: 7, reason: 'Error' });
      const stop = { pod_sandbox_id: sandbox.id };
      await Promise.all([1, 2].map(() => client.call(runtime.StopPodSandbox, stop)));
      expect(await statusOf(running)).toMatchObject({ state: 'CONTAINER_EXITED', exit_code: 137 });
      const { status } = await client.call(runtime.PodSandboxStatus, { pod_sandbox_id: sandbox.id });
      expect(status?.state).toBe('SANDBOX_NOTREADY');
      // containerd refuses the second of two removals at once.
      const removals = under.isOurs ? [1, 2] : [1];
      await Promise.all(removals.map(() => client.call(runtime.RemoveContainer, { container_id: failed })));
      await Promise.all(removals.map(() => client.call(runtime.RemovePodSandbox, stop)));
    });

    it('lets a container have its grace though the client that stops it goes', async () => {
      const { client, runtime } = under;
      const sandbox = await run();
      const id = await start(sandbox, {
        command: ['/bin/sh', '-c', 'trap "" TERM; while true; do sleep 0.05; done'],
      });
      const stop = { container_id: id, timeout: 600 };
      const stopping = client.call(runtime.StopContainer, stop, { timeoutMs: 1000 });
      await expect(stopping).rejects.toMatchObject({ detail: { status: 'DEADLINE_EXCEEDED' } });
      expect((await statusOf(id)).state).toBe('CONTAINER_RUNNING');
      await client.call(runtime.StopContainer, { container_id: id, timeout: 0 });
      expect(await statusOf(id)).toMatchObject({ state: 'CONTAINER_EXITED', exit_code: 137 });
      await end(sandbox.id);
    });

    it('changes resources of a container, and says what they are', async () => {
      const { client, runtime } = under;
      const sandbox = await run();
      const id = await start(sandbox);
      const update = { container_id: id, linux: { cpu_shares: 512 } };
      // runc fails without the controller; ours says once that it is missing.
      if (under.isOurs) await client.call(runtime.UpdateContainerResources, update);
      if (under.isOurs) expect((await statusOf(id)).resources?.linux).toMatchObject({ cpu_shares: 512 });
      const { stats } = await client.call(runtime.ContainerStats, { container_id: id });
      expect(stats?.attributes).toMatchObject({ id, metadata: { name: 'main' }, labels: { tier: 'x' } });
      const { stats: all } = await client.call(runtime.ListContainerStats, {
        filter: { pod_sandbox_id: sandbox.id },
      });
      expect(all.map(({ attributes }) => attributes?.id)).toEqual([id]);
      // containerd's counts by cgroups, which it was told not to make.
      if (!under.isOurs) return end(sandbox.id);
      const pod = await client.call(runtime.PodSandboxStats, { pod_sandbox_id: sandbox.id });
      expect(pod.stats?.linux?.containers.map(({ attributes }) => attributes?.id)).toEqual([id]);
      await end(sandbox.id);
    });

    it('gives URLs for streams, once, where commands are run', async () => {
      const { client, runtime } = under;
      const sandbox = await run();
      const id = await start(sandbox);
      const cmd = ['/bin/sh', '-c', 'echo out; echo err >&2; exit 3'];
      const { url } = await client.call(runtime.Exec, { container_id: id, cmd, stdout: true, stderr: true });
      expect(url).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/exec\//);
      // In its own network.
      if (!under.isOurs) return end(sandbox.id);
      const taken = await takeStream(url);
      expect([taken[1], taken[2]]).toEqual(['out\n', 'err\n']);
      expect(JSON.parse(taken[3] ?? '{}')).toMatchObject({ reason: 'NonZeroExitCode' });
      await expect(takeStream(url)).rejects.toThrow('404');
      const neither = client.call(runtime.Exec, { container_id: id, cmd });
      await expect(neither).rejects.toMatchObject({ detail: { status: 'INVALID_ARGUMENT' } });
      const forward = await client.call(runtime.PortForward, { pod_sandbox_id: sandbox.id, port: [80] });
      const attach = await client.call(runtime.Attach, { container_id: id, stdout: true });
      for (const each of [forward, attach]) expect(each.url).toMatch(/^http:\/\/127\.0\.0\.1:\d+\//);
      await end(sandbox.id);
    });

    it('tells what happens, as it does', async () => {
      const { client, runtime, isOurs } = under;
      if (!isOurs) return;
      const stop = new AbortController();
      const events: ContainerEventResponse[] = [];
      const following = (async () => {
        for await (const event of client.stream(runtime.GetContainerEvents, {}, stop.signal))
          events.push(event);
      })().catch(() => undefined);
      // Who follows is told of what comes after: of the first that is seen on, all is.
      await expect
        .poll(async () => {
          await end((await run()).id);
          return events.length;
        })
        .toBeGreaterThan(0);
      const sandbox = await run();
      const id = await start(sandbox);
      // It may not have its trap yet.
      await client.call(runtime.StopContainer, { container_id: id, timeout: 1 });
      await client.call(runtime.RemoveContainer, { container_id: id });
      await end(sandbox.id);
      const typesOf = (of: string): readonly string[] =>
        events.filter((event) => event.container_id === of).map((event) => event.container_event_type);
      const life = ['CREATED', 'STARTED', 'STOPPED', 'DELETED'].map((step) => `CONTAINER_${step}_EVENT`);
      await expect.poll(() => typesOf(sandbox.id)).toEqual(life);
      expect(typesOf(id)).toEqual(life);
      const started = events.find(
        (event) => event.container_id === id && event.container_event_type === life[1],
      );
      expect(started?.pod_sandbox_status?.id).toBe(sandbox.id);
      expect(started?.containers_statuses[0]).toMatchObject({ id, state: 'CONTAINER_RUNNING' });
      stop.abort();
      await following;
    });
  });
}

function pick({ metadata, labels, annotations }: Outgoing<PodSandboxConfig>): object {
  return { metadata, labels, annotations };
}

/** What each channel of a remote command carried, by the protocol of kubelets. @throws the HTTP status of a refusal */
export function takeStream(url: string): Promise<Readonly<Record<number, string>>> {
  const { promise, resolve, reject } = Promise.withResolvers<Readonly<Record<number, string>>>();
  const taken: Record<number, string> = {};
  const socket = new WebSocket(url.replace(/^http/, 'ws'), ['v4.channel.k8s.io']);
  socket.on('message', (data: Buffer) => {
    const [channel = 0] = data;
    taken[channel] = (taken[channel] ?? '') + data.subarray(1).toString();
  });
  socket.on('unexpected-response', (_request, response) => reject(new Error(String(response.statusCode))));
  socket.on('error', reject);
  socket.on('close', () => resolve(taken));
  return promise;
}
