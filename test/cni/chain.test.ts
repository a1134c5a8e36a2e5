/** Chains of plugins as the agent calls them: programs that hang, crash or print rubbish, files that add plugins, one that takes over. */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createPodNetwork } from '#agent/network/cni-pod-network.ts';
import { renderDefaultConflist } from '#agent/network/conflist-dir.ts';
import { createCniNetwork } from '#agent/network/cni-network.ts';
import type { PodNetworkRequest } from '#agent/network/pod-network.ts';
import { cniCodeOf } from '#api/cni/cni-error.ts';
import { parseNetworkConfigList } from '#api/cni/network-config.ts';
import { createInvoker } from '#cni-plugins/registry.ts';
import { createFakeNetlink } from '#native/netlink/netlink.fake.ts';
import { createFakeNft } from '#native/nft/nft.fake.ts';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'podwright-chain-'));
  for (const name of ['bin', 'net.d', 'cache']) mkdirSync(join(dir, name));
});
afterEach(() => rmSync(dir, { recursive: true }));

/** A program that notes its calls, then does what the shell is told. */
function plugin(name: string, script: string): void {
  const text = `#!/bin/sh\nread -r input\necho "$CNI_COMMAND ${name}" >> ${dir}/calls\n${script}\n`;
  writeFileSync(join(dir, 'bin', name), text, { mode: 0o755 });
}
const calls = (): readonly string[] =>
  existsSync(join(dir, 'calls')) ? readFileSync(join(dir, 'calls'), 'utf8').trim().split('\n') : [];

/** 0: it has not noted it yet. */
const notedPid = (): number =>
  existsSync(join(dir, 'pid')) ? Number(readFileSync(join(dir, 'pid'), 'utf8')) : 0;

const good = `[ $CNI_COMMAND != ADD ] || echo '{"cniVersion":"1.1.0","ips":[{"address":"10.9.0.7/24"}]}'`;
const onlyAdd = (what: string): string => `[ $CNI_COMMAND != ADD ] || { ${what}; }`;
const attachment = {
  containerId: 'c1',
  netns: '/run/netns/c1',
  ifname: 'eth0',
  args: {},
  capabilityArgs: {},
};

describe('a chain whose second plugin fails', () => {
  const rows: readonly (readonly [name: string, script: string, code: number, message: string | RegExp])[] = [
    ['crashes', onlyAdd('kill -SEGV $$'), 999, 'bad ADD'],
    ['says nothing and fails', onlyAdd('exit 3'), 999, 'exit code 3: nothing printed'],
    ['prints rubbish and succeeds', onlyAdd('echo "<html>"'), 6, 'parse bad ADD output: not JSON'],
    ['prints rubbish and fails', onlyAdd('echo oops; exit 1'), 999, 'exit code 1: oops'],
    ['prints another type', onlyAdd('echo "[1]"'), 6, 'not a JSON object'],
    ['prints a result that is none', onlyAdd(`echo '{"ips":[{"address":"x"}]}'`), 6, 'not a CIDR'],
    ['prints a version from the future', onlyAdd(`echo '{"cniVersion":"9.0.0"}'`), 1, '9.0.0'],
    [
      'fails as the specification says',
      onlyAdd(`echo '{"code":11,"msg":"later"}'; exit 1`),
      11,
      'bad ADD: later',
    ],
    ['prints without end', onlyAdd('yes'), 999, 'printed more than 4194304 bytes'],
  ];
  test.each(rows)('%s: its code, and all are taken down', async (_name, script, code, message) => {
    plugin('good', good);
    plugin('bad', script);
    const list = parseNetworkConfigList(
      '{"cniVersion":"1.1.0","name":"net","plugins":[{"type":"good"},{"type":"bad"}]}',
    );
    const cni = createCniNetwork(createInvoker({ netlink: createFakeNetlink(), nft: createFakeNft() }), [
      join(dir, 'bin'),
    ]);
    const error: unknown = await cni
      .add(list, attachment, AbortSignal.timeout(50_000))
      .catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ message: expect.stringMatching(message) });
    expect(cniCodeOf(error)).toBe(code);
    expect(calls()).toEqual(['ADD good', 'ADD bad', 'DEL bad', 'DEL good']);
  });

  test('hangs: it is ended, though it is deaf, when the caller gives up', async () => {
    plugin('good', good);
    plugin('bad', onlyAdd(`trap '' TERM; echo $$ > ${dir}/pid; while :; do sleep 0.05; done`));
    const list = parseNetworkConfigList(
      '{"cniVersion":"1.1.0","name":"net","plugins":[{"type":"good"},{"type":"bad"}]}',
    );
    const cni = createCniNetwork(createInvoker({ netlink: createFakeNetlink(), nft: createFakeNft() }), [
      join(dir, 'bin'),
    ]);
    const caller = new AbortController();
    const adding = cni.add(list, attachment, caller.signal);
    while (notedPid() === 0) await new Promise(setImmediate);
    caller.abort(new Error('the caller gave up'));
    await expect(adding).rejects.toThrow('the caller gave up');
    expect(calls()).toEqual(['ADD good', 'ADD bad', 'DEL bad', 'DEL good']);
    await expect.poll(() => existsSync(`/proc/${notedPid()}`)).toBe(false);
  });

  test('leaves something running that holds its output: that is not waited for', async () => {
    plugin('good', `sleep 600 & echo $! > ${dir}/pid\n${good}`);
    const list = parseNetworkConfigList('{"cniVersion":"1.1.0","name":"net","plugins":[{"type":"good"}]}');
    const cni = createCniNetwork(createInvoker({ netlink: createFakeNetlink(), nft: createFakeNft() }), [
      join(dir, 'bin'),
    ]);
    const { ips } = await cni.add(list, attachment, AbortSignal.timeout(50_000));
    expect(ips).toEqual([{ address: '10.9.0.7/24' }]);
    process.kill(Number(readFileSync(join(dir, 'pid'), 'utf8')));
  });

  test('is not there: the code says so', async () => {
    plugin('good', good);
    const list = parseNetworkConfigList(
      '{"cniVersion":"1.1.0","name":"net","plugins":[{"type":"good"},{"type":"none"}]}',
    );
    const cni = createCniNetwork(createInvoker({ netlink: createFakeNetlink(), nft: createFakeNft() }), [
      join(dir, 'bin'),
    ]);
    await expect(cni.add(list, attachment, AbortSignal.timeout(50_000))).rejects.toThrow(
      'find CNI plugin none',
    );
    expect(calls()).toEqual(['ADD good', 'DEL good']);
  });
});

describe('the directory of configurations', () => {
  const request = (id: string): PodNetworkRequest => ({
    sandboxId: id,
    netnsPath: `/run/netns/${id}`,
    podUid: id,
    podNamespace: 'default',
    podName: id,
    portMappings: [],
  });
  const open = async () => {
    const netlink = createFakeNetlink();
    for (const id of ['one', 'two']) await netlink.createNetns(`/run/netns/${id}`);
    return createPodNetwork({
      invoke: createInvoker({ netlink, nft: createFakeNft() }),
      conflistDir: join(dir, 'net.d'),
      binDirs: [join(dir, 'bin')],
      cacheDir: join(dir, 'cache'),
    });
  };
  const ours = (): string =>
    renderDefaultConflist({ podCidrs: ['10.244.1.0/24'], leaseDir: join(dir, 'leases') });
  const { signal } = new AbortController();

  test("a third party's plugin takes over with the next pod, and what ours made is taken down by ours", async () => {
    writeFileSync(join(dir, 'net.d', '90-podwright.conflist'), ours());
    const network = await open();
    expect((await network.add(request('one'), signal)).ips).toEqual(['10.244.1.2']);
    // What the pod of a DaemonSet does: first the program, then the configuration, whole.
    plugin('theirs', good);
    writeFileSync(
      join(dir, 'net.d', '10-theirs.conflist'),
      '{"cniVersion":"1.1.0","name":"theirs","plugins":[{"type":"theirs"}]}',
    );
    expect(await network.status()).toEqual({ isReady: true, reason: '' });
    expect((await network.add(request('two'), signal)).ips).toEqual(['10.9.0.7']);
    await network.del(request('one'), signal);
    expect(calls()).toEqual(['STATUS theirs', 'ADD theirs']);
    rmSync(join(dir, 'net.d', '10-theirs.conflist'));
    await network.del(request('two'), signal);
    expect(calls().at(-1)).toBe('DEL theirs');
  });

  test("a third party's plugin that is not ready says so in the node's condition", async () => {
    plugin('theirs', `[ $CNI_COMMAND != STATUS ] || { echo '{"code":50,"msg":"no address pool"}'; exit 1; }`);
    writeFileSync(
      join(dir, 'net.d', '10-theirs.conflist'),
      '{"cniVersion":"1.1.0","name":"theirs","plugins":[{"type":"theirs"}]}',
    );
    const { isReady, reason } = await (await open()).status();
    expect([isReady, reason]).toEqual([false, expect.stringContaining('no address pool')]);
  });

  test('files of a directory with the name of the network add plugins, unless the list has all', async () => {
    plugin('first', good);
    plugin('added', good);
    mkdirSync(join(dir, 'net.d', 'net'));
    writeFileSync(join(dir, 'net.d', 'net', '20-added.conf'), '{"type":"added"}');
    const write = (fields: object): void =>
      writeFileSync(
        join(dir, 'net.d', '10-net.conflist'),
        JSON.stringify({ cniVersion: '1.1.0', name: 'net', ...fields }),
      );
    const network = await open();
    write({ plugins: [{ type: 'first' }] });
    await network.add(request('one'), signal);
    write({ plugins: [{ type: 'first' }], loadOnlyInlinedPlugins: true });
    await network.add(request('two'), signal);
    expect(calls()).toEqual(['ADD first', 'ADD added', 'ADD first']);
    write({});
    await network.del(request('one'), signal); // By what it was made with.
    expect(calls().slice(3)).toEqual(['DEL added', 'DEL first']);
  });
});

describe('CHECK of a chain', () => {
  test.each([
    ['goes through all plugins', {}, ['CHECK good', 'CHECK good']],
    ['is left out with disableCheck', { disableCheck: true }, []],
    ['is left out before 0.4.0', { cniVersion: '0.3.1' }, []],
  ])('%s', async (_name, fields, want) => {
    plugin('good', good);
    const list = {
      cniVersion: '1.1.0',
      name: 'net',
      plugins: [{ type: 'good' }, { type: 'good' }],
      ...fields,
    };
    const cni = createCniNetwork(createInvoker({ netlink: createFakeNetlink(), nft: createFakeNft() }), [
      join(dir, 'bin'),
    ]);
    const previous = { interfaces: [], ips: [], routes: [], dns: {} };
    await cni.check(
      parseNetworkConfigList(JSON.stringify(list)),
      attachment,
      previous,
      AbortSignal.timeout(50_000),
    );
    expect(calls()).toEqual(want);
  });
});
