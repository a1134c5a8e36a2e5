import { mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { createFakeClock } from '#base/clock.ts';
import { silentLogger } from '#base/log.ts';
import { followHostNames, type HostNameFiles } from './host-names.ts';
import { nameserversOf } from './resolv-conf.ts';

let directory = '';
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'podwright-names-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const at = (name: string): string => join(directory, name);
const files = (): HostNameFiles => ({
  hosts: at('hosts'),
  resolvConf: at('resolv.conf'),
  resolved: at('resolved.conf'),
});

const stub = 'nameserver 127.0.0.53\noptions edns0 trust-ad\n';

test.each([
  ['its own', 'nameserver 192.0.2.1\n', 'nameserver 192.0.2.9\n', ['192.0.2.1']],
  ["systemd-resolved's where it names the stub", stub, 'nameserver 192.0.2.9\n', ['192.0.2.9']],
  ['the stub where nothing else is known', stub, undefined, ['127.0.0.53']],
  ['the stub where resolved knows nobody', stub, '# none\n', ['127.0.0.53']],
  [
    'both where one is not the stub',
    `${stub}nameserver 192.0.2.1\n`,
    'nameserver 192.0.2.9\n',
    ['127.0.0.53', '192.0.2.1'],
  ],
  ['nobody', undefined, undefined, []],
])('the resolvers of a host: %s', async (_name, own, resolved, want) => {
  if (own !== undefined) writeFileSync(at('resolv.conf'), own);
  if (resolved !== undefined) writeFileSync(at('resolved.conf'), resolved);
  using names = await followHostNames({ files: files(), clock: createFakeClock(), log: silentLogger });

  expect(names.nameservers()).toEqual(want);
});

test('a file written anew, one renamed to its place, and a link turned are followed', async () => {
  const clock = createFakeClock();
  writeFileSync(at('resolv.conf'), 'nameserver 192.0.2.1\n');
  using names = await followHostNames({ files: files(), clock, log: silentLogger });

  const seen = (want: readonly string[]): Promise<void> =>
    vi.waitFor(
      () => {
        clock.advance(5_000);
        expect(names.nameservers()).toEqual(want);
      },
      { timeout: 60_000 },
    );
  writeFileSync(at('resolv.conf'), 'nameserver 192.0.2.2\n');
  await seen(['192.0.2.2']);
  writeFileSync(at('draft'), 'nameserver 192.0.2.3\n');
  renameSync(at('draft'), at('resolv.conf'));
  await seen(['192.0.2.3']);
  writeFileSync(at('other'), 'nameserver 192.0.2.4\n');
  rmSync(at('resolv.conf'));
  symlinkSync('other', at('resolv.conf'));
  await seen(['192.0.2.4']);
  rmSync(at('resolv.conf'));
  await seen([]);
  writeFileSync(at('hosts'), '192.0.2.7 seven\n');
  await vi.waitFor(
    () => {
      clock.advance(5_000);
      expect(names.hosts()).toBe('192.0.2.7 seven\n');
    },
    { timeout: 60_000 },
  );
});

test('nameserversOf() takes addresses, each once, as the kernel writes them', () => {
  const text =
    'nameserver FD00:0::1\nnameserver fe80::1%eth0\nnameserver x\nnameserver fd00::1\n# nameserver 1.1.1.1\n';
  expect(nameserversOf(text)).toEqual(['fd00::1', 'fe80::1%eth0']);
});
