import { describe, expect, test } from 'vitest';
import { PodwrightError } from '#base/errors.ts';
import { renderCniError } from './cni-error.ts';
import { parseArgs, parseReply, renderEnvironment } from './invocation.ts';
import { parseNetworkConfigList, renderPluginInput } from './network-config.ts';
import { parseResult, renderResult, type CniResult } from './result.ts';
import { cniVersions, type CniVersion } from './version.ts';

const result: CniResult = {
  interfaces: [{ name: 'eth0', mac: '0a:58:00:00:00:01', mtu: 1400, sandbox: '/run/netns/x' }],
  ips: [
    { address: '10.1.0.2/24', gateway: '10.1.0.1', interface: 0 },
    { address: 'fd00::2/64', interface: 0 },
  ],
  routes: [{ dst: '0.0.0.0/0', gw: '10.1.0.1', mtu: 1300, priority: 7, table: 9 }],
  dns: { nameservers: ['10.1.0.1'], search: ['example.com'] },
};

describe('renderResult()', () => {
  test.each(['0.1.0', '0.2.0'] as const)('%s has an address of each family, and no interfaces', (version) => {
    const document = renderResult(result, version);
    expect(document['ip4']).toEqual({
      ip: '10.1.0.2/24',
      gateway: '10.1.0.1',
      routes: [{ dst: '0.0.0.0/0', gw: '10.1.0.1' }],
    });
    expect(parseResult(structuredClone(document))).toEqual({
      ...result,
      interfaces: [],
      ips: result.ips.map(({ interface: _interface, ...ip }) => ip),
      routes: [{ dst: '0.0.0.0/0', gw: '10.1.0.1' }],
    });
  });

  test.each(cniVersions.slice(2))('%s round trips but for what the version lacks', (version) => {
    const hasMtu = version.startsWith('1.');
    const document = renderResult(result, version);
    expect(document['cniVersion']).toBe(version);
    expect(parseResult(structuredClone(document))).toEqual({
      ...result,
      interfaces: [
        hasMtu ? result.interfaces[0] : { name: 'eth0', mac: '0a:58:00:00:00:01', sandbox: '/run/netns/x' },
      ],
    });
  });

  test.each<[CniVersion, unknown]>([
    ['0.4.0', ['4', '6']],
    ['1.0.0', [undefined, undefined]],
  ])('%s has ips[].version %j', (version, want) => {
    const ips = renderResult(result, version)['ips'] as { version?: string }[];
    expect(ips.map((ip) => ip.version)).toEqual(want);
  });
});

describe('parseResult() refuses', () => {
  test.each([
    ['an unknown version', { cniVersion: '9.0.0' }, 'version'],
    ['an address without a prefix', { ips: [{ address: '10.0.0.1' }] }, 'not a CIDR'],
    ['a list that is not one', { ips: {} }, 'not an array'],
  ])('%s', (_name, document, message) => expect(() => parseResult(document)).toThrow(message));
});

describe('parseNetworkConfigList()', () => {
  const parse = (document: unknown): ReturnType<typeof parseNetworkConfigList> =>
    parseNetworkConfigList(JSON.stringify(document));

  test('takes the highest version that both know', () => {
    const plugins = [{ type: 'x' }];
    expect(
      parse({ name: 'n', cniVersion: '0.4.0', cniVersions: ['1.0.0', '1.1.0', '2.0.0'], plugins }).cniVersion,
    ).toBe('1.1.0');
  });

  test('reads a file of one plugin as a list', () => {
    expect(parse({ name: 'n', cniVersion: '1.0.0', type: 'bridge' }).plugins).toHaveLength(1);
  });

  test.each([
    ['no name', { plugins: [{ type: 'x' }] }, 'network name ""'],
    ['a type that is a path', { name: 'n', plugins: [{ type: '../sh' }] }, 'type "../sh"'],
    ['no plugins', { name: 'n', plugins: [] }, 'no plugins'],
    ['an unknown version', { name: 'n', cniVersion: '3.0.0', plugins: [{ type: 'x' }] }, '3.0.0'],
  ])('refuses %s', (_name, document, message) => expect(() => parse(document)).toThrow(message));
});

test('renderPluginInput() gives a plugin the capabilities that it declares, and prevResult in its version', () => {
  const list = { name: 'n', cniVersion: '0.4.0' } as const;
  const plugin = { type: 'portmap', capabilities: { portMappings: true, mac: false }, snat: true };
  const capabilityArgs = { portMappings: [{ hostPort: 1 }], mac: 'x', ips: [] };
  const input = renderPluginInput(list, plugin, { prevResult: result, capabilityArgs });
  expect(input).toMatchObject({ type: 'portmap', name: 'n', cniVersion: '0.4.0', snat: true });
  expect(input['runtimeConfig']).toEqual({ portMappings: [{ hostPort: 1 }] });
  expect(input['prevResult']).toMatchObject({ cniVersion: '0.4.0' });
  expect(input['capabilities']).toBeUndefined();
});

describe('parseReply()', () => {
  test.each([
    ['an error document', '{"code":11,"msg":"later"}', { message: 'p ADD: later', code: 'E_BUSY' }],
    ['text', 'Segmentation fault', { message: 'p ADD: exit code 1: Segmentation fault', code: 'E_INTERNAL' }],
    ['nothing', '', { message: 'p ADD: exit code 1: nothing printed', code: 'E_INTERNAL' }],
  ])('turns %s into an error', (_name, stdout, want) => {
    expect(() => parseReply('p', 'ADD', { exitCode: 1, stdout, stderr: '' })).toThrow(
      expect.objectContaining(want),
    );
  });
});

test('renderCniError() keeps a CNI code and finds one for ours', () => {
  const code = (error: unknown): number => renderCniError(error, '1.0.0').code;
  expect(code(new PodwrightError('E_INVALID', 'x', { detail: { cniCode: 100 } }))).toBe(100);
  expect(code(new PodwrightError('E_PERMISSION', 'x'))).toBe(5);
  expect(code(new Error('x'))).toBe(999);
});

test('CNI_ARGS round trip', () => {
  const config = { type: 'x' };
  const env = renderEnvironment({
    command: 'ADD',
    containerId: 'c',
    netns: '/n',
    ifname: 'eth0',
    args: { K: 'v=w', L: '' },
    path: ['/a', '/b'],
    config,
  });
  expect(env).toMatchObject({ CNI_PATH: '/a:/b', CNI_ARGS: 'K=v=w;L=' });
  expect(parseArgs(env['CNI_ARGS'] ?? '')).toEqual({ K: 'v=w', L: '' });
  expect(() => parseArgs('novalue')).toThrow('KEY=VALUE');
});
