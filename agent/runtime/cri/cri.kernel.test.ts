/** CRI over the real runtime: supervisors, namespaces, overlay roots. The pod network is a loopback. */
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { release } from 'node:os';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { readUserNamespaceFacts, userNamespaceProblem } from '#agent/node/user-namespaces.ts';
import { defaultIdSpace } from '#agent/runtime/id-ranges.ts';
import type { Outgoing } from '#proto/contract.ts';
import type { ContainerConfig, PodSandboxConfig } from '#proto/cri/api.ts';
import { connectForTest } from '#agent/runtime/cri-client/cri-client.fixture.ts';
import { runtimeConformance } from '#agent/runtime/runtime.conformance.ts';
import { criConformance, shellContainer, uniqueSandbox } from './cri.conformance.ts';
import { isRoot } from '#agent/runtime/local-runtime.fixture.ts';
import { makeNode, type KernelCri } from './kernel-node.fixture.ts';

describe.skipIf(!isRoot)('CRI on the kernel (needs root)', () => {
  let node: KernelCri;
  beforeAll(async () => {
    node = await makeNode();
  });
  afterAll(() => node[Symbol.asyncDispose]());

  criConformance('over the kernel', async () => ({ ...node, [Symbol.asyncDispose]: async () => undefined }));

  // The port through the socket, and again the port: as a node has it whose runtime is `podwright cri`.
  describe.skipIf(process.env['PODWRIGHT_CRI_PEERS'] === undefined)('asked by our own client', () => {
    runtimeConformance('ours by CRI, on the kernel', async () => {
      const client = await connectForTest(node.endpoint);
      const imageId = client.images.resolve(node.image)?.id ?? '';
      return {
        runtime: client,
        imageId,
        directory: node.directory,
        [Symbol.asyncDispose]: () => client[Symbol.asyncDispose](),
      };
    });
  });

  const begin = async (
    change: Outgoing<ContainerConfig>,
    sandboxChange: Outgoing<PodSandboxConfig> = {},
  ): Promise<{ readonly id: string; readonly sandbox: string }> => {
    const config = { ...uniqueSandbox(node, 'web'), ...sandboxChange };
    const { pod_sandbox_id: sandbox } = await node.client.call(node.runtime.RunPodSandbox, { config });
    const request = {
      pod_sandbox_id: sandbox,
      config: shellContainer(node.image, change),
      sandbox_config: config,
    };
    const { container_id: id } = await node.client.call(node.runtime.CreateContainer, request);
    await node.client.call(node.runtime.StartContainer, { container_id: id });
    return { id, sandbox };
  };
  const output = async (id: string, script: string): Promise<string> => {
    const cmd = ['/bin/sh', '-c', script];
    const { stdout } = await node.client.call(node.runtime.ExecSync, { container_id: id, cmd, timeout: 100 });
    return String(stdout);
  };

  it('gives a container what its configuration says', async () => {
    const { id } = await begin({
      envs: [{ key: 'COLOUR', value: Buffer.from('blå') }],
      working_dir: '/srv',
      mounts: [
        { container_path: '/data', host_path: `${node.root}/made/anew` },
        { container_path: '/fixed', host_path: `${node.root}/made`, readonly: true },
      ],
      devices: [{ container_path: '/dev/nothing', host_path: '/dev/null', permissions: 'rw' }],
      linux: {
        resources: { oom_score_adj: 321 },
        security_context: {
          namespace_options: { pid: 'CONTAINER' },
          run_as_user: { value: 1234 },
          run_as_group: { value: 99 },
          supplemental_groups: [7],
          capabilities: { drop_capabilities: ['ALL'] },
          no_new_privs: true,
          masked_paths: ['/proc/kcore'],
        },
      },
    });
    const script = [
      'echo $COLOUR $(pwd) $(id -u) $(id -g) $(cat /proc/1/oom_score_adj)',
      'grep -E "CapEff|NoNewPrivs" /proc/1/status | tr -d "\\t\\n"; echo',
      'touch /fixed/x 2>/dev/null || echo fixed; ls -d /data; echo x > /dev/nothing && echo device',
      'cat /etc/resolv.conf /etc/hostname; readlink /proc/1/ns/pid',
    ].join('; ');
    const lines = (await output(id, script)).split('\n');
    expect(lines.slice(0, 7)).toEqual([
      'blå /srv 1234 99 321',
      'CapEff:0000000000000000NoNewPrivs:1',
      'fixed',
      '/data',
      'device',
      'nameserver 192.0.2.53',
      'web',
    ]);
    const { status } = await node.client.call(node.runtime.ContainerStatus, { container_id: id });
    expect(status?.user?.linux).toEqual({ uid: 1234, gid: 99, supplemental_groups: [7, 99] });
    expect(status?.mounts.map((mount) => mount.container_path)).toEqual(['/data', '/fixed']);
    expect(status?.stop_signal).toBe('SIGTERM');
  });

  it('gives a container what its CDI devices bring, over what it says itself', async () => {
    const directory = node.directory.replace(/logs$/, 'cdi');
    mkdirSync(directory, { recursive: true });
    const containerEdits = {
      env: ['GPU=zero'],
      deviceNodes: [{ path: '/dev/gpu0', hostPath: '/dev/null' }],
      mounts: [{ hostPath: directory, containerPath: '/cdi', options: ['ro'] }],
      additionalGids: [44],
    };
    const devices = [{ name: '0', containerEdits }];
    writeFileSync(
      `${directory}/gpu.json`,
      JSON.stringify({ cdiVersion: '0.7.0', kind: 'example.com/gpu', devices }),
    );
    const { id } = await begin({
      envs: [{ key: 'GPU', value: Buffer.from('own') }],
      CDI_devices: [{ name: 'example.com/gpu=0' }],
    });
    const script = 'echo $GPU; test -c /dev/gpu0 && echo device; ls /cdi; id -G | grep -ow 44';
    expect(await output(id, script)).toBe('zero\ndevice\ngpu.json\n44\n');
  });

  it('gives a container the profile of a file, and a sandbox ids of its own', async () => {
    const profile = `${node.root}/profile.json`;
    const rules = [{ names: ['mkdir', 'mkdirat'], action: 'SCMP_ACT_ERRNO', errnoRet: 95 }];
    writeFileSync(profile, JSON.stringify({ defaultAction: 'SCMP_ACT_ALLOW', syscalls: rules }));
    const seccomp = { profile_type: 'Localhost' as const, localhost_ref: profile };
    const range = [{ host_id: 1_000_000, container_id: 0, length: 65_536 }];
    const users = {
      pid: 'CONTAINER' as const,
      userns_options: { mode: 'POD' as const, uids: range, gids: range },
    };
    const linux = { security_context: { namespace_options: users } };
    const isPossible = userNamespaceProblem(readUserNamespaceFacts(release()), defaultIdSpace) === undefined;
    const { id } = await begin(
      {
        mounts: [
          { container_path: '/data', host_path: node.root, uidMappings: range, gidMappings: range },
        ].slice(isPossible ? 0 : 1),
        linux: {
          security_context: { namespace_options: isPossible ? users : { pid: 'CONTAINER' }, seccomp },
        },
      },
      isPossible ? { linux } : {},
    );
    const denied = 'mkdir /tmp/x 2>&1 | grep -c "not supported"';
    expect(await output(id, denied)).toBe('1\n');
    if (!isPossible) return;
    const map = 'cat /proc/self/uid_map | tr -s " "; stat -c %u /data';
    expect(await output(id, map)).toBe(' 0 1000000 65536\n0\n');
  });

  it('of an agent that is killed keeps what runs, what was created, and who asked for what', async () => {
    const { id, sandbox } = await begin({ labels: { a: 'b' } });
    const later = {
      pod_sandbox_id: sandbox,
      config: shellContainer(node.image, { metadata: { name: 'later' } }),
    };
    const { container_id: created } = await node.client.call(node.runtime.CreateContainer, later);
    const before = await node.client.call(node.runtime.ContainerStatus, { container_id: id });
    await node.kill();
    const after = await node.client.call(node.runtime.ContainerStatus, { container_id: id });
    expect(after).toEqual(before);
    await node.client.call(node.runtime.StartContainer, { container_id: created });
    expect(await output(created, 'echo here')).toBe('here\n');
    const target = shellContainer(node.image, {
      metadata: { name: 'debug' },
      linux: { security_context: { namespace_options: { pid: 'TARGET', target_id: id } } },
    });
    const request = { pod_sandbox_id: sandbox, config: target };
    const { container_id: debug } = await node.client.call(node.runtime.CreateContainer, request);
    await node.client.call(node.runtime.StartContainer, { container_id: debug });
    const namespace = 'readlink /proc/1/ns/pid';
    expect(await output(debug, namespace)).toBe(await output(id, namespace));
  });

  it('attaches to what runs, and forwards to a port of the pod', async () => {
    const serve = 'httpd -p 127.0.0.1:8080 -h /etc; while read line; do echo got $line; done';
    const { id, sandbox } = await begin({ command: ['/bin/sh', '-c', serve], stdin: true });
    const attach = await node.client.call(node.runtime.Attach, {
      container_id: id,
      stdin: true,
      stdout: true,
    });
    expect(await talk(attach.url, 'hello\n', 'got hello')).toContain('got hello');
    const forward = { pod_sandbox_id: sandbox, port: [8080] };
    const request = 'GET /hostname HTTP/1.0\r\n\r\n';
    await expect
      .poll(async () => {
        const { url } = await node.client.call(node.runtime.PortForward, forward);
        return talk(url, request, 'HTTP/1').catch(() => '');
      })
      .toMatch(/HTTP\/1\.. 200/);
  });
});

/** Sends on channel 0 and reads all channels until `wanted` was said. */
async function talk(url: string, text: string, wanted: string): Promise<string> {
  const socket = new WebSocket(url.replace(/^http/, 'ws'), ['v4.channel.k8s.io']);
  let said = '';
  const done = Promise.withResolvers<string>();
  socket.on('message', (data: Buffer) => {
    said += data.subarray(1).toString();
    if (said.includes(wanted)) done.resolve(said);
  });
  socket.on('close', () => done.resolve(said));
  socket.on('error', done.reject);
  await once(socket, 'open');
  socket.send(Buffer.concat([Buffer.of(0), Buffer.from(text)]));
  const all = await done.promise;
  socket.terminate();
  return all;
}
