import { describe, expect, test } from 'vitest';
import { cniError } from '#api/cni/cni-error.ts';
import { cniCommands } from '#api/cni/invocation.ts';
import { emptyResult } from '#api/cni/result.ts';
import { runPlugin, type PluginOutput } from './dispatch.ts';
import type { CniPlugin, PluginHost } from './plugin.ts';

const calls: string[] = [];
const plugin: CniPlugin = {
  name: 'noop',
  add: async (call) => {
    calls.push(`ADD ${call.containerId} ${call.ifname}`);
    return { ...emptyResult, ips: [{ address: '10.0.0.1/24' }] };
  },
  del: async (call) => void calls.push(`DEL ${call.netns}`),
  check: async () => void calls.push('CHECK'),
  gc: async (_call, valid) => void calls.push(`GC ${valid.map((item) => item.containerID).join(',')}`),
  status: async () => void calls.push('STATUS'),
};

const env = {
  CNI_COMMAND: 'ADD',
  CNI_CONTAINERID: 'c1',
  CNI_NETNS: '/n',
  CNI_IFNAME: 'eth0',
  CNI_PATH: '/bin',
};
const config = { cniVersion: '1.1.0', name: 'n', type: 'noop' };

function run(changes: Record<string, string | undefined>, input: unknown = config): Promise<PluginOutput> {
  calls.length = 0;
  const stdin = typeof input === 'string' ? input : JSON.stringify(input);
  const host = (): PluginHost => {
    return {} as PluginHost; // The plugin above touches nothing.
  };
  return runPlugin(plugin, { env: { ...env, ...changes }, stdin }, host, new AbortController().signal);
}

describe('runPlugin()', () => {
  test('ADD prints the result in the version of the configuration', async () => {
    const output = await run({}, { ...config, cniVersion: '0.4.0' });
    expect(output.exitCode).toBe(0);
    expect(JSON.parse(output.stdout)).toEqual({
      cniVersion: '0.4.0',
      ips: [{ version: '4', address: '10.0.0.1/24' }],
      dns: {},
    });
  });

  const withList = { ...config, 'cni.dev/valid-attachments': [{ containerID: 'k', ifname: 'eth0' }] };
  test.each([
    ['DEL', {}, config, 'DEL /n'],
    ['DEL', { CNI_NETNS: '' }, config, 'DEL '],
    ['CHECK', {}, config, 'CHECK'],
    ['GC', { CNI_CONTAINERID: '', CNI_NETNS: '', CNI_IFNAME: '' }, withList, 'GC k'],
    ['STATUS', { CNI_CONTAINERID: '', CNI_NETNS: '', CNI_IFNAME: '' }, config, 'STATUS'],
  ])('%s with %j', async (command, changes, input, want) => {
    const output = await run({ CNI_COMMAND: command, ...changes }, input);
    expect(output).toEqual({ exitCode: 0, stdout: '' });
    expect(calls).toEqual([want]);
  });

  test('an ADD that cannot be taken down either says both, by the code of the first', async () => {
    const add: CniPlugin['add'] = async () => {
      await using undo = new AsyncDisposableStack();
      for (const what of ['address', 'link']) undo.defer(() => Promise.reject(cniError(5, `remove ${what}`)));
      throw cniError(11, 'no answer');
    };
    const input = { env, stdin: JSON.stringify(config) };
    const host = (): PluginHost => {
      return {} as PluginHost; // It touches nothing.
    };
    const { stdout } = await runPlugin({ ...plugin, add }, input, host, new AbortController().signal);
    expect(JSON.parse(stdout)).toEqual({
      cniVersion: '1.1.0',
      code: 11,
      msg: 'no answer; and taking it down again: remove link; and taking it down again: remove address',
    });
  });

  test("the host's own namespace is no container's: ADD and CHECK refuse it, DEL goes without", async () => {
    const own = { CNI_NETNS: '/proc/thread-self/ns/net' };
    for (const command of ['ADD', 'CHECK']) {
      const { exitCode, stdout } = await run({ CNI_COMMAND: command, ...own });
      expect([exitCode, JSON.parse(stdout)]).toMatchObject([1, { code: 8 }]);
      expect(calls).toEqual([]);
    }
    await run({ CNI_COMMAND: 'DEL', ...own });
    expect(calls).toEqual(['DEL ']);
  });

  test('VERSION needs no host and answers in the asked version', async () => {
    const output = await run({ CNI_COMMAND: 'VERSION' }, { cniVersion: '0.3.1' });
    expect(JSON.parse(output.stdout)).toMatchObject({
      cniVersion: '0.3.1',
      supportedVersions: expect.arrayContaining(['1.1.0']),
    });
  });

  test.each([
    ['no command', { CNI_COMMAND: undefined }, config, 4, 'CNI_COMMAND is missing'],
    ['an unknown command', { CNI_COMMAND: 'UPDATE' }, config, 4, cniCommands.join(', ')],
    [
      'all that is missing',
      { CNI_NETNS: '', CNI_IFNAME: '' },
      config,
      4,
      'CNI_NETNS is missing; CNI_IFNAME is missing',
    ],
    ['no path', { CNI_PATH: undefined }, config, 4, 'CNI_PATH is missing'],
    ['an id that is a path', { CNI_CONTAINERID: '../x' }, config, 4, 'CNI_CONTAINERID'],
    ['an interface name too long', { CNI_IFNAME: 'a'.repeat(16) }, config, 4, 'longer than 15'],
    ['input that is not JSON', {}, '{', 6, 'not JSON'],
    ['input that is no object', {}, '[]', 6, 'not a JSON object'],
    ['a version from the future', {}, { ...config, cniVersion: '7.0.0' }, 1, '7.0.0'],
    ['no network name', {}, { ...config, name: undefined }, 7, 'network name'],
    ['GC without a list', { CNI_COMMAND: 'GC' }, config, 7, 'valid-attachments'],
    [
      'STATUS of an old configuration',
      { CNI_COMMAND: 'STATUS' },
      { ...config, cniVersion: '1.0.0' },
      1,
      'STATUS needs',
    ],
    ['CNI_ARGS without a value', { CNI_ARGS: 'x' }, config, 4, 'KEY=VALUE'],
  ])('says what is wrong: %s', async (_name, changes, input, code, message) => {
    const output = await run(changes, input);
    expect(output.exitCode).toBe(1);
    const document = JSON.parse(output.stdout) as { readonly code: number; readonly msg: string };
    expect(document.code).toBe(code);
    expect(document.msg).toContain(message);
    expect(calls).toEqual([]);
  });
});
