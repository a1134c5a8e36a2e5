import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { deviceAt, listHostDevices } from './host-devices.ts';

it.skipIf(process.getuid?.() !== 0)(
  'lists nodes with number, mode and owner, but no links, terminals and defaults (needs root)',
  async () => {
    const directory = mkdtempSync('/tmp/podwright-host-devices-');
    using _ = { [Symbol.dispose]: () => rmSync(directory, { recursive: true }) };

    for (const name of ['pts', 'net', 'block']) mkdirSync(join(directory, name));
    const make = (path: string, ...node: readonly string[]): void =>
      void execFileSync('mknod', [join(directory, path), ...node]);
    make('net/tun', 'c', '10', '200');
    make('block/sda300', 'b', '259', '300');
    make('pts/0', 'c', '136', '0');
    make('null', 'c', '1', '3');
    make('console', 'c', '5', '1');
    execFileSync('chown', ['3:6', join(directory, 'block/sda300')]);
    execFileSync('chmod', ['0640', join(directory, 'block/sda300')]);
    execFileSync('chmod', ['0666', join(directory, 'net/tun')]);
    symlinkSync('net/tun', join(directory, 'link'));
    writeFileSync(join(directory, 'file'), '');
    expect(await listHostDevices(directory)).toEqual([
      { path: '/dev/block/sda300', type: 'b', major: 259, minor: 300, mode: 0o640, uid: 3, gid: 6 },
      { path: '/dev/net/tun', type: 'c', major: 10, minor: 200, mode: 0o666, uid: 0, gid: 0 },
    ]);
    // One that is named by a link is what that leads to.
    expect(await deviceAt(join(directory, 'link'), '/dev/own')).toMatchObject({ major: 10, minor: 200 });
    symlinkSync('block/sda300', join(directory, '259:300'));
    expect(await deviceAt(join(directory, '259:300'), '/dev/own')).toMatchObject({ type: 'b', minor: 300 });
  },
);
