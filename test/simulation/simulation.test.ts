/** Worlds of a few minutes; the long forms are run by hand (docs/hacking.md). Each in a process of its own: it replaces that one's time. */
import { execFile } from 'node:child_process';
import path from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { objectOf } from '#api/wire/json.ts';
import { createRandom } from '#base/random.fixture.ts';
import { ofToday } from '#test/days-turn.ts';
import { plantSeeds } from './faults/plant-seeds.ts';
import { wentBack } from './judge/forward.ts';
import { Ledger, type Held } from './judge/ledger.ts';
import { sharedWith } from './judge/shared.ts';
import { shrink, untilEnd } from './shrink.ts';
import { scriptOf, type Script } from './simulate.ts';
import { VirtualTime } from './world/virtual-time.ts';

async function run(
  program: string,
  ...args: readonly string[]
): Promise<{ readonly code: number; readonly text: string }> {
  try {
    const { stdout } = await promisify(execFile)(
      process.execPath,
      [path.join(import.meta.dirname, program), ...args],
      {
        maxBuffer: 2 ** 28,
      },
    );
    return { code: 0, text: stdout };
  } catch (error) {
    const { code, stdout = '', stderr = '' } = error as { code?: number; stdout?: string; stderr?: string };
    return { code: code ?? 1, text: `${stdout}${stderr}` };
  }
}

// Others by hand: `npm run simulate -- --hours N`.
it('a world of a seed is well, and the same each time, byte for byte, whichever worlds were before it', async () => {
  const args = ['--each', '0.1', '--tries', '0', '--trace'];
  const [alone, after] = await Promise.all([
    run('run.ts', ...args, '--hours', '0.1', '--seed', '4'),
    run('run.ts', ...args, '--hours', '0.9', '--seed', '2'),
  ]);
  expect(alone.code, alone.text).toBe(0);
  const trace = ({ text }: { readonly text: string }): readonly string[] => {
    const lines = text.split('\n').filter((line) => /^\d+\.\d{3} |^seed/.test(line));
    return lines.slice(lines.findIndex((line) => line.startsWith('seed 3')) + 1);
  };
  const [own, other] = [trace(alone), trace(after)];
  expect(own.length).toBeGreaterThan(500);
  expect(other.slice(0, own.length)).toEqual(own);
});

it('what was planted is found, each by its seed: a third of it each day', async () => {
  const today = ofToday(plantSeeds, 3);
  const { code, text } = await run('find-plants.ts', '--known', ...today.map(({ plant }) => plant));
  expect(code, text).toBe(0);
  for (const { plant, seed, found } of today)
    expect(text).toMatch(new RegExp(`^${plant}: seed ${seed}: .*${found}`, 'm'));
});

it('a world that is wrong is shrunk to the few steps that matter', async () => {
  const args = ['--plant', 'delete-without-precondition', '--seed', '2', '--each', '0.1', '--hours', '0.1'];
  const { code, text } = await run('run.ts', ...args, '--tries', '25');
  expect(code, text).toBe(1);
  expect(text).toContain('least of 25 tries: 0 faults, 3 steps of users');
  expect(text).toMatch(/it ends: .* is gone, and still runs on node/);
});

it('suspend() moves the clock of the wall, and no timer', async () => {
  const time = new VirtualTime(1000);
  const fired: number[] = [];
  time.after(50, () => fired.push(time.sinceMs));
  time.suspend(5000);
  expect([time.nowMs, time.wallMs, time.sinceMs]).toEqual([1000, 6000, 0]);
  await time.run(1050, async () => undefined);
  expect([fired, time.wallMs]).toEqual([[50], 6050]);
});

describe('shrink()', () => {
  const whole = scriptOf(7, 1);
  const ids = ({ faults, steps }: Script): readonly (readonly number[])[] =>
    [faults, steps].map((all) => all.map(({ id }) => id).toSorted((one, other) => one - other));
  const sampled = (ids: readonly number[], count: number): readonly number[] => {
    const random = createRandom(count);
    return ids.toSorted(() => random() - 0.5).slice(0, count);
  };

  it.each([0, 1, 2, 3])(
    'leaves what a fault takes, of %d faults and steps, and nothing else',
    async (count) => {
      const [faults = [], steps = []] = ids(whole).map((all) => sampled(all, count));
      const isStillWrong = async (script: Script): Promise<boolean> => {
        const [left = [], done = []] = ids(script);
        return faults.every((id) => left.includes(id)) && steps.every((id) => done.includes(id));
      };
      const { script, tries } = await shrink(whole, { isStillWrong, triesMax: 1000 });
      expect(ids(script)).toEqual([faults, steps].map((all) => all.toSorted((one, other) => one - other)));
      expect(tries).toBeLessThan(30 * (count + 1));
    },
  );

  it('has no more tries than it is given', async () => {
    let asked = 0;
    const isStillWrong = async (): Promise<boolean> => (asked++, true);
    const { tries } = await shrink(whole, { isStillWrong, triesMax: 2 });
    expect([tries, asked]).toEqual([2, 2]);
  });

  it('begins without what was to come later', () => {
    const { steps, faults } = untilEnd(whole, { virtualMs: 60_000 });
    expect([...steps, ...faults].every(({ atMs }) => atMs <= 60_000)).toBe(true);
    expect(steps.length).toBeLessThan(whole.steps.length);
  });
});

const held = (object: Readonly<Record<string, unknown>>, resource = 'deployments'): Held => ({
  ...{ key: '/registry/one', resource, revision: 1, object },
  metadata: { uid: 'u', ...objectOf(object['metadata']) },
});

it.each([
  { name: 'a generation', before: { metadata: { generation: 2 } }, after: { metadata: { generation: 1 } } },
  { name: 'what was observed', before: { status: { observedGeneration: 2 } }, after: { status: {} } },
  { name: 'a deletion', before: { metadata: { deletionTimestamp: 'now' } }, after: {} },
  {
    name: 'a revision, by its number',
    before: { metadata: { annotations: { 'deployment.kubernetes.io/revision': '10' } } },
    after: { metadata: { annotations: { 'deployment.kubernetes.io/revision': '9' } } },
  },
])('wentBack() finds that $name does', ({ before, after }) => {
  expect(wentBack(held(before), held(after))).toContain('/registry/one');
  expect(wentBack(held(after), held(before))).toBeUndefined();
  expect(wentBack(held(before), held({ ...after, metadata: { uid: 'another' } }))).toBeUndefined();
});

it('sharedWith() finds two Services with one address, and not two without', () => {
  const ledger = new Ledger();
  const put = (name: string, clusterIPs: readonly string[]): string | undefined => {
    const value = Buffer.from(JSON.stringify({ metadata: { name }, spec: { clusterIPs } }));
    const row = { key: `/registry/services/specs/n/${name}`, revision: 1, deleted: false };
    const change = ledger.apply({ row: { ...row, row: 1 }, value } as never);
    return change?.after && sharedWith(change.after, ledger);
  };
  expect([put('a', ['10.0.0.1']), put('b', ['None']), put('c', ['None'])]).toEqual(Array(3).fill(undefined));
  expect(put('d', ['10.0.0.2', '10.0.0.1'])).toContain('as /registry/services/specs/n/a has');
});
