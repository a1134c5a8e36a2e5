import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { systemClock } from '#base/clock.ts';
import { PodwrightError } from '#base/errors.ts';
import { containerConfig, sandboxConfig } from '#agent/runtime/runtime.conformance.ts';
import { createFakeRuntime, type FakeRuntime } from '#agent/runtime/runtime.fake.ts';
import { criConformance, shellContainer, uniqueSandbox } from './cri.conformance.ts';
import { serveCri, type CriServerUnderTest } from './cri.fixture.ts';

const image = 'registry.example.com/app:1';

function fakeRuntime(): FakeRuntime {
  const runtime = createFakeRuntime({
    clock: systemClock,
    onExec: async (_uid, _name, args) =>
      args.at(-1) === 'echo out; echo err >&2; exit 3'
        ? { exitCode: 3, stdout: 'out\n', stderr: 'err\n' }
        : { exitCode: 0 },
    behave: ({ command: [, , script = ''] }) =>
      script.startsWith('trap "" TERM')
        ? { onTerm: 'ignore' }
        : script.startsWith('trap')
          ? { onTerm: 0 }
          : undefined,
  });
  runtime.images.add(image);
  return runtime;
}

const make = (runtime: FakeRuntime): Promise<CriServerUnderTest> =>
  serveCri(runtime, { image, isReal: false });

criConformance('over a fake runtime', () => make(fakeRuntime()));

describe('startCriServer()', () => {
  it('serves v1alpha2 by the same table', async () => {
    await using under = await make(fakeRuntime());

    const { Version } = under.runtime;
    const older = { ...Version, path: Version.path.replace('.v1.', '.v1alpha2.') };
    expect(await under.client.call(older, {})).toMatchObject({ runtime_api_version: 'v1alpha2' });
  });

  it('knows after a kill what clients said, and undoes what no client heard of', async () => {
    const runtime = fakeRuntime();
    await using under = await make(runtime);

    const config = uniqueSandbox(under, 'web');
    const { client } = under;
    const { pod_sandbox_id: id } = await client.call(under.runtime.RunPodSandbox, { config });
    const created = { pod_sandbox_id: id, config: shellContainer(image) };
    const { container_id: container } = await client.call(under.runtime.CreateContainer, created);
    await under.restart();
    const { items } = await client.call(under.runtime.ListPodSandbox, {});
    expect(items).toMatchObject([{ id, metadata: config.metadata, labels: config.labels }]);
    await client.call(under.runtime.StartContainer, { container_id: container });
    const { status } = await client.call(under.runtime.ContainerStatus, { container_id: container });
    expect(status?.state).toBe('CONTAINER_RUNNING');
  });

  it('shows of a container that was made of an id the name of its image', async () => {
    const runtime = fakeRuntime();
    await using under = await make(runtime);

    const { client } = under;
    const { image: found } = await client.call(under.images.ImageStatus, { image: { image } });
    const config = uniqueSandbox(under, 'web');
    const { pod_sandbox_id: sandbox } = await client.call(under.runtime.RunPodSandbox, { config });
    const spec = { image: found?.id ?? '', user_specified_image: image };
    const request = { pod_sandbox_id: sandbox, config: shellContainer(image, { image: spec }) };
    const { container_id: id } = await client.call(under.runtime.CreateContainer, request);
    const { status } = await client.call(under.runtime.ContainerStatus, { container_id: id });
    expect(status).toMatchObject({ image: { image }, image_id: found?.id });
  });

  it('of a client that gave up leaves nothing, and the next may say the same name', async () => {
    const runtime = fakeRuntime();
    await using under = await make(runtime);

    const config = uniqueSandbox(under, 'web');
    runtime.failNext.set('runSandbox', new PodwrightError('E_NO_SPACE', 'mount: ENOSPC'));
    const first = under.client.call(under.runtime.RunPodSandbox, { config });
    await expect(first).rejects.toMatchObject({ detail: { status: 'RESOURCE_EXHAUSTED' } });
    expect((await under.client.call(under.runtime.ListPodSandbox, {})).items).toEqual([]);
    const { pod_sandbox_id: id } = await under.client.call(under.runtime.RunPodSandbox, { config });
    const again = under.client.call(under.runtime.RunPodSandbox, { config });
    await expect(again).rejects.toMatchObject({
      detail: { status: 'ALREADY_EXISTS', details: expect.stringContaining(id) },
    });
  });

  it('shows the pods of the kubelet, and changes none of them', async () => {
    const runtime = fakeRuntime();
    await using under = await make(runtime);

    const signal = new AbortController().signal;
    await runtime.runSandbox(sandboxConfig('u1'), signal);
    const imageId = runtime.images.resolve(image)?.id ?? '';
    const config = containerConfig({ imageId, directory: '/logs' });
    await runtime.startContainer('u1', config, signal);
    const { items } = await under.client.call(under.runtime.ListPodSandbox, {});
    expect(items).toMatchObject([{ metadata: { name: 'pod-u1', uid: 'u1' }, state: 'SANDBOX_READY' }]);
    const { status } = await under.client.call(under.runtime.ContainerStatus, { container_id: config.id });
    expect(status).toMatchObject({ state: 'CONTAINER_RUNNING', log_path: `/logs/${config.id}.log` });
    const stop = under.client.call(under.runtime.StopPodSandbox, { pod_sandbox_id: items[0]?.id ?? '' });
    await expect(stop).rejects.toMatchObject({ detail: { status: 'FAILED_PRECONDITION' } });
    const remove = under.client.call(under.runtime.RemoveContainer, { container_id: config.id });
    await expect(remove).rejects.toMatchObject({ detail: { status: 'FAILED_PRECONDITION' } });
  });

  it('tells of a sandbox that died, and lets a new attempt of it begin', async () => {
    const runtime = fakeRuntime();
    await using under = await make(runtime);

    const config = uniqueSandbox(under, 'web');
    const { pod_sandbox_id: id } = await under.client.call(under.runtime.RunPodSandbox, { config });
    runtime.killSandbox(runtime.observeAll()[0]?.uid ?? '');
    const { status } = await under.client.call(under.runtime.PodSandboxStatus, { pod_sandbox_id: id });
    expect(status?.state).toBe('SANDBOX_NOTREADY');
    const container = { pod_sandbox_id: id, config: shellContainer(image) };
    const late = under.client.call(under.runtime.CreateContainer, container);
    await expect(late).rejects.toMatchObject({ detail: { status: 'FAILED_PRECONDITION' } });
    await under.client.call(under.runtime.StopPodSandbox, { pod_sandbox_id: id });
    const next = { ...config, metadata: { ...config.metadata, attempt: 1 } };
    const { pod_sandbox_id: other } = await under.client.call(under.runtime.RunPodSandbox, { config: next });
    const { items } = await under.client.call(under.runtime.ListPodSandbox, {});
    expect(items.map((each) => [each.id, each.state])).toEqual([
      [id, 'SANDBOX_NOTREADY'],
      [other, 'SANDBOX_READY'],
    ]);
  });

  describe('refuses a container', () => {
    let under: CriServerUnderTest;
    let id: string;
    beforeAll(async () => {
      under = await make(fakeRuntime());
      const config = uniqueSandbox(under, 'web');
      id = (await under.client.call(under.runtime.RunPodSandbox, { config })).pod_sandbox_id;
    });
    afterAll(() => under[Symbol.asyncDispose]());

    it.each([
      { name: 'without an image', change: { image: { image: 'none:1' } }, status: 'NOT_FOUND' },
      { name: 'without a name', change: { metadata: { name: '' } }, status: 'INVALID_ARGUMENT' },
      {
        name: 'with a device of CDI that no file has',
        change: { CDI_devices: [{ name: 'a/b=c' }] },
        status: 'NOT_FOUND',
      },
      {
        name: 'with a profile of AppArmor on a kernel without',
        change: {
          linux: {
            security_context: {
              namespace_options: { pid: 'CONTAINER' as const },
              apparmor: { profile_type: 'Localhost' as const, localhost_ref: 'web' },
            },
          },
        },
        status: 'UNIMPLEMENTED',
      },
      {
        name: 'with a device that is none',
        change: { devices: [{ host_path: '/etc/passwd' }] },
        status: 'INVALID_ARGUMENT',
      },
      { name: 'with a log elsewhere', change: { log_path: '../x' }, status: 'INVALID_ARGUMENT' },
    ])('$name: $status', async ({ change, status }) => {
      const request = { pod_sandbox_id: id, config: shellContainer(image, change) };
      const create = under.client.call(under.runtime.CreateContainer, request);
      await expect(create).rejects.toMatchObject({ detail: { status } });
      expect((await under.client.call(under.runtime.ListContainers, {})).containers).toEqual([]);
    });
  });
});
