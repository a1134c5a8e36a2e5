import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { silentLogger } from '#base/log.ts';
import { createAppArmor, isAppArmorEnabled, parseProfiles, renderDefaultProfile } from './apparmor.ts';

let root: string;
beforeEach(() => (root = mkdtempSync(path.join(tmpdir(), 'apparmor-'))));
afterEach(() => rmSync(root, { recursive: true, force: true }));
test('parseProfiles() takes names with blanks, and no line that is none', () => {
  const text = 'docker-default (enforce)\n/usr/bin/man (complain)\na name (kill)\nnot a line\n';
  expect([...parseProfiles(text)]).toEqual(['docker-default', '/usr/bin/man', 'a name']);
});

test('isAppArmorEnabled() is what the kernel says', () => {
  const file = path.join(root, 'enabled');
  expect(isAppArmorEnabled(file)).toBe(false);
  writeFileSync(file, 'N\n');
  expect(isAppArmorEnabled(file)).toBe(false);
  writeFileSync(file, 'Y\n');
  expect(isAppArmorEnabled(file)).toBe(true);
});

test('the default profile is loaded when it is wanted, once', async () => {
  const [profiles, parser, asked] = ['profiles', 'parser', 'asked'].map((name) => path.join(root, name));
  if (profiles === undefined || parser === undefined || asked === undefined) return;
  writeFileSync(profiles, 'other (enforce)\n');
  const program = `#!/bin/sh\necho "$@" >> ${asked}\ncat >> ${asked}\necho 'podwright-default (enforce)' >> ${profiles}\n`;
  writeFileSync(parser, program);
  chmodSync(parser, 0o755);
  const appArmor = createAppArmor(silentLogger, { profiles, parsers: [path.join(root, 'none'), parser] });
  expect((await appArmor.profiles(false)).has('podwright-default')).toBe(false);
  const [one, two] = await Promise.all([appArmor.profiles(true), appArmor.profiles(true)]);
  expect([one.has('podwright-default'), two.has('podwright-default'), one.has('other')]).toEqual([
    true,
    true,
    true,
  ]);
  expect(readFileSync(asked, 'utf8')).toBe(`-Kr\n${renderDefaultProfile('podwright-default')}`);
});

test('without a program there is no default profile, and nothing fails', async () => {
  const appArmor = createAppArmor(silentLogger, { profiles: path.join(root, 'none'), parsers: [] });
  expect((await appArmor.profiles(true)).has('podwright-default')).toBe(false);
});
