/** Pods in other runtimes, asked by CRI: in ours over the kernel, and in Debian's containerd. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { containerdLacks, startContainerd, type Containerd } from '#agent/runtime/cri/containerd.fixture.ts';
import {
  containerConfig,
  runtimeConformance,
  sandboxConfig,
  waitForState,
} from '#agent/runtime/runtime.conformance.ts';
import type { ContainerConfig } from '#agent/runtime/runtime.ts';
import { unshare } from '#native/sys/libc.ts';
import { connectForTest } from './cri-client.fixture.ts';
import type { CriRuntime } from './cri-runtime.ts';

const CLONE_NEWNET = 0x4000_0000;
const signal = new AbortController().signal;

describe.skipIf(containerdLacks !== undefined)(
  `pods in containerd (${containerdLacks ?? 'it is there'})`,
  () => {
    let containerd: Containerd;
    let runtime: CriRuntime;
    beforeAll(async () => {
      expect(unshare(CLONE_NEWNET)).toBe(0);
      containerd = await startContainerd('here');
      runtime = await connectForTest(containerd.endpoint);
    });
    afterAll(async () => {
      await runtime[Symbol.asyncDispose]();
      await containerd[Symbol.asyncDispose]();
    });
    const under = (): { readonly imageId: string; readonly directory: string } => ({
      imageId: runtime.images.resolve(containerd.image)?.id ?? '',
      directory: `${containerd.directory}/logs`,
    });

    runtimeConformance("Debian's containerd by CRI", async () => ({
      runtime,
      ...under(),
      mountsNoImages: true,
      [Symbol.asyncDispose]: async () => undefined,
    }));

    const begin = async (uid: string, change: Partial<ContainerConfig>): Promise<ContainerConfig> => {
      const { directory } = under();
      await runtime.runSandbox(sandboxConfig(uid, { logDirectory: directory }), signal);
      const config = containerConfig(under(), change);
      await runtime.startContainer(uid, config, signal);
      return config;
    };
    const end = async (uid: string): Promise<void> => {
      await runtime.stopSandbox(uid, signal);
      await runtime.removePod(uid, signal);
    };

    it('streams: exec with input, attach, a port, and what comes of a port that nobody listens at', async () => {
      const serve = 'httpd -p 127.0.0.1:8090 -h /etc; while read line; do echo got $line; done';
      const stdio = { logPath: `${under().directory}/s.log`, stdin: true, stdinOnce: false, tty: false };
      const { id } = await begin('streams', { command: ['/bin/sh', '-c', serve], stdio });
      const exec = await runtime.exec('streams', id, { args: ['cat'], stdin: true, tty: false }, signal);
      exec.streams.stdin?.end('echoed');
      expect(await text(exec.streams.stdout)).toBe('echoed');
      expect(await exec.exitCode).toBe(0);
      await exec.streams[Symbol.asyncDispose]();
      const attached = await runtime.attach('streams', id);
      attached.stdin?.write('hello\n');
      for await (const chunk of attached.stdout) {
        expect(String(chunk)).toBe('got hello\n');
        break;
      }
      await attached[Symbol.asyncDispose]();
      const socket = await runtime.connectPort('streams', 8090);
      socket.end('GET /hostname HTTP/1.0\r\n\r\n');
      expect(await text(socket)).toMatch(/^HTTP\/1\.. 200 /);
      const refused = await runtime.connectPort('streams', 81);
      await expect(text(refused)).rejects.toThrow(/refused/);
      await end('streams');
    });

    it('a probe that is given up ends its command', async () => {
      const { id } = await begin('probe', {});
      const request = {
        args: ['sleep', '777'],
        stdin: false,
        tty: false,
        isCollected: true,
        timeoutSeconds: 1,
      };
      const session = await runtime.exec('probe', id, request, signal);
      await expect(session.exitCode).rejects.toThrow(/DeadlineExceeded/);
      const list = { args: ['sh', '-c', 'ps | grep -c "[s]leep 777"'], stdin: false, tty: false };
      await expect
        .poll(async () => {
          const ps = await runtime.exec('probe', id, list, signal);
          const said = await text(ps.streams.stdout);
          await ps.streams[Symbol.asyncDispose]();
          return said;
        })
        .toBe('0\n');
      await end('probe');
    });

    it('an agent that comes anew, and a containerd that is killed, keep what runs', async () => {
      const message = `${containerd.directory}/message`;
      writeFileSync(message, 'last words');
      const termination = { path: message, fallbackToLogsOnError: false };
      const { id } = await begin('again', {
        command: ['/bin/sh', '-c', 'trap "exit 4" TERM; while true; do sleep 0.05; done'],
        termination,
      });
      const before = runtime.observe('again');
      await runtime[Symbol.asyncDispose]();
      runtime = await connectForTest(containerd.endpoint);
      expect(runtime.observe('again')).toEqual(before);
      await containerd.restart();
      await expect.poll(() => runtime.problem()).toBeUndefined();
      expect(runtime.observe('again')).toEqual(before);
      await runtime.stopContainer('again', id, 20, signal);
      const at = { uid: 'again', id };
      expect(await waitForState(runtime, at, 'exited')).toMatchObject({ exitCode: 4, message: 'last words' });
      expect(runtime.observe('again')?.containers[0]?.shownId).toMatch(/^containerd:\/\/[0-9a-f]{64}$/);
      await end('again');
    });

    it('writes logs where the kubelet looks, says what is used, and leaves alone what is not this node’s', async () => {
      const logPath = `${under().directory}/l.log`;
      const stdio = { logPath, stdin: false, stdinOnce: false, tty: false };
      const { id } = await begin('logs', {
        command: ['/bin/sh', '-c', 'echo said; dd if=/dev/zero of=/file bs=1k count=100; sleep 1000'],
        stdio,
      });
      await expect.poll(() => readFileSync(logPath, 'utf8')).toMatch(/stdout F said\n/);
      await runtime.reopenLog('logs', id);
      const stats = await runtime.stats('logs');
      expect(stats?.containers.map((each) => each.id)).toEqual([id]);
      await using other = await connectForTest(containerd.endpoint, { nodeName: 'node-b' });
      expect(other.observeAll()).toEqual([]);
      await end('logs');
      expect(runtime.observe('logs')).toBeUndefined();
    });

    it('undoes what was created and never started', async () => {
      const ctr = (...args: readonly string[]): string =>
        execFileSync('ctr', ['-a', `${containerd.directory}/sock`, '-n', 'k8s.io', ...args], {
          encoding: 'utf8',
        });
      const lines = (): number =>
        ctr('containers', 'ls', '-q')
          .split('\n')
          .filter((line) => line !== '').length;
      await begin('half', {});
      const config = containerConfig(under(), { name: 'other', command: ['/nonexistent/program'] });
      await expect(runtime.startContainer('half', config, signal)).rejects.toMatchObject({
        code: 'E_LAUNCH',
      });
      const found = runtime.observe('half')?.containers.find(({ id }) => id === config.id);
      expect(found?.state).toMatchObject({ state: 'exited', reason: 'StartError', exitCode: 128 });
      await end('half');
      expect(lines()).toBe(0);
      mkdirSync(under().directory, { recursive: true });
      rmSync(under().directory, { recursive: true });
    });
  },
);
