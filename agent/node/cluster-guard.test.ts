import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { createFakeClock, type FakeClock } from '#base/clock.ts';
import { untilQuiet } from '#base/quiet.fixture.ts';
import { silentLogger, type Logger } from '#base/log.ts';
import type { AskPath } from '#client/http-transport.ts';
import { createClusterGuard, judgeCluster, type ClusterGuard } from './cluster-guard.ts';

let directory = '';
let clock: FakeClock;
let lines: string[] = [];
let answer: { status: number; body: string };
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'podwright-guard-'));
  clock = createFakeClock();
  lines = [];
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const file = (): string => join(directory, 'cluster.json');
const note = (_fields: object, text: string): void => void lines.push(text);
const logger: Logger = { ...silentLogger, info: note, warn: note, error: note };
const ask: AskPath = async () => answer;
const of = (uid: string): typeof answer => ({ status: 200, body: JSON.stringify({ metadata: { uid } }) });
const guard = (): ClusterGuard => createClusterGuard({ file: file(), server: 'https://s', clock, logger });

describe('judgeCluster()', () => {
  it.each([
    { kept: undefined, answer: { kind: 'uid', uid: 'a' }, want: 'first contact' },
    { kept: 'a', answer: { kind: 'uid', uid: 'a' }, want: 'same' },
    { kept: 'a', answer: { kind: 'uid', uid: 'b' }, want: 'foreign' },
    { kept: 'a', answer: { kind: 'none' }, want: 'wait' },
    { kept: undefined, answer: { kind: 'none' }, want: 'wait' },
    { kept: 'a', answer: { kind: 'later' }, want: 'wait' },
    { kept: 'a', answer: { kind: 'untold' }, want: 'unknown' },
  ] as const)('$kept and $answer: $want', ({ kept, answer: given, want }) => {
    expect(judgeCluster(kept, given)).toBe(want);
  });
});

describe('admit()', () => {
  it('keeps the identity at first contact, and knows it again', async () => {
    answer = of('a');
    await guard().admit(ask);
    expect(readFileSync(file(), 'utf8')).toBe('{"kubeSystemUid":"a"}\n');
    const later = guard();
    await later.admit(ask);
    expect([later.problem, lines]).toEqual([undefined, []]);
  });

  it.each(['', '{"kubeSystemUid":', '\u0000\u0000', '[]'])(
    'takes over where the file says %j, with a word',
    async (text) => {
      writeFileSync(file(), text);
      answer = of('a');
      await guard().admit(ask);
      expect(readFileSync(file(), 'utf8')).toBe('{"kubeSystemUid":"a"}\n');
      expect(lines).toHaveLength(1);
    },
  );

  it('waits before another cluster, says so once with what to do, and goes on when the right one is back', async () => {
    answer = of('a');
    await guard().admit(ask);
    answer = of('b');
    const later = guard();
    let isAdmitted = false;
    const admission = later.admit(ask).then(() => (isAdmitted = true));
    await expect
      .poll(() => later.problem)
      .toMatch(/another cluster \(kube-system b\).*\(a\).*untouched.*remove .*cluster.json/);
    for (let round = 0; round < 3; round++) {
      clock.advance(2000);
      await untilQuiet();
    }
    expect([isAdmitted, lines.length]).toEqual([false, 1]);
    answer = of('a');
    await expect.poll(() => (clock.advance(2000), isAdmitted)).toBe(true);
    await admission;
    expect(later.problem).toBeUndefined();
  });

  it('waits while there is no kube-system: an empty server is not taken for one without pods', async () => {
    writeFileSync(file(), '{"kubeSystemUid":"a"}\n');
    answer = { status: 404, body: '{}' };
    const later = guard();
    let isAdmitted = false;
    void later.admit(ask).then(() => (isAdmitted = true));
    await expect.poll(() => later.problem).toMatch(/no namespace kube-system/);
    expect(isAdmitted).toBe(false);
    rmSync(file()); // A person gives the node away.
    answer = of('b');
    await expect.poll(() => (clock.advance(2000), isAdmitted)).toBe(true);
  });
});
