import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '#base/clock.ts';
import { createRecordedLog } from '#base/recorded-log.fixture.ts';
import { scratchDirectory } from '#base/scratch-directory.fixture.ts';
import type { PluginInfo } from '#proto/pluginregistration/api.ts';
import { startTestDriver } from './driver.fixture.ts';
import { findSockets } from './find-sockets.ts';
import { chooseVersion, type Plugin, type PluginHandlers } from './plugin.ts';
import { startPluginWatcher, type PluginWatcher } from './plugin-watcher.ts';

const root = scratchDirectory('plug-');
let directory: string;
let count = 0;
let calls: string[];
let problems: string[];
/** Thrown by the handler's register, one after the other. */
let failures: string[];

beforeEach(() => {
  directory = join(root, String(count++));
  [calls, problems, failures] = [[], [], []];
});

const handlers: PluginHandlers = {
  CSIPlugin: {
    validate: ({ versions }) => {
      if (chooseVersion(['1.0.0'], versions) === undefined) throw new Error('no version that we know');
    },
    register: async ({ name }) => {
      calls.push(`+${name}`);
      const failure = failures.shift();
      if (failure !== undefined) throw new Error(failure);
    },
    deregister: ({ name }) => void calls.push(`-${name}`),
  },
};

function watchPlugins(timeoutMs = 30_000): Promise<PluginWatcher> {
  const { log: logger, lines } = createRecordedLog();
  const told = lines.push.bind(lines);
  lines.push = (...added) => {
    for (const { level, error } of added) if (level !== 'info') problems.push(String(error));
    return told(...added);
  };
  return startPluginWatcher({ directory, handlers, clock: systemClock, logger, timeoutMs });
}

const csi: Partial<PluginInfo> = { type: 'CSIPlugin', name: 'disk', supported_versions: ['1.0.0'] };
const namesOf = (watcher: PluginWatcher): readonly string[] =>
  watcher.registered().map(({ name }: Plugin) => name);

describe('a plugin', () => {
  it('is registered when its socket comes, and deregistered when that goes', async () => {
    await using watcher = await watchPlugins();
    mkdirSync(join(directory, 'sub'));
    const path = join(directory, 'sub', 'd.sock');
    {
      await using driver = await startTestDriver(path, { info: csi });
      await expect.poll(() => namesOf(watcher)).toEqual(['disk']);
      expect(driver.told).toEqual([{ plugin_registered: true, error: '' }]);
      expect(watcher.registered()).toMatchObject([{ endpoint: path, versions: ['1.0.0'], socket: path }]);
    }
    await expect.poll(() => calls).toEqual(['+disk', '-disk']);
    expect(watcher.registered()).toEqual([]);
  });

  it('that was there before is registered, and again after the kubelet restarted', async () => {
    mkdirSync(directory);
    await using driver = await startTestDriver(join(directory, 'd.sock'), { info: csi });
    for (const told of [1, 2]) {
      await using watcher = await watchPlugins();
      await expect.poll(() => namesOf(watcher)).toEqual(['disk']);
      expect(driver.told.length).toBe(told);
    }
    expect(calls).toEqual(['+disk', '+disk']);
  });

  it('whose socket another has taken is deregistered before the other is registered', async () => {
    await using watcher = await watchPlugins();
    const path = join(directory, 'd.sock');
    await using _first = await startTestDriver(path, { info: csi });
    await expect.poll(() => namesOf(watcher)).toEqual(['disk']);
    const aside = join(root, 'aside.sock');
    await using _second = await startTestDriver(aside, { info: { ...csi, name: 'other' } });
    renameSync(aside, path);
    await expect.poll(() => namesOf(watcher)).toEqual(['other']);
    expect(calls).toEqual(['+disk', '-disk', '+other']);
  });

  it.each([
    [{ type: 'Odd', name: 'x' }, 'no handler registered for plugin type: Odd at socket PATH'],
    [{ type: 'toString', name: 'x' }, 'no handler registered for plugin type: toString at socket PATH'],
    [{ ...csi, name: '' }, 'plugin validation failed with err: it has no name'],
    [{ ...csi, endpoint: 'a/b' }, 'plugin validation failed with err: endpoint a/b is no absolute path'],
    [{ ...csi, supported_versions: ['2'] }, 'plugin validation failed with err: no version that we know'],
  ] satisfies [Partial<PluginInfo>, string][])('%j is told why it is refused', async (info, why) => {
    await using watcher = await watchPlugins();
    const path = join(directory, 'd.sock');
    await using driver = await startTestDriver(path, { info });
    const error = why.replace('PATH', path);
    await expect.poll(() => driver.told[0]).toEqual({ plugin_registered: false, error });
    expect(watcher.registered()).toEqual([]);
    expect(calls).toEqual([]);
  });

  it('that its handler refuses for now is asked again', async () => {
    failures.push('not yet');
    await using watcher = await watchPlugins();
    await using driver = await startTestDriver(join(directory, 'd.sock'), { info: csi });
    await expect.poll(() => namesOf(watcher)).toEqual(['disk']);
    expect(driver.told).toEqual([
      { plugin_registered: false, error: 'plugin registration failed with err: not yet' },
      { plugin_registered: true, error: '' },
    ]);
    expect(calls).toEqual(['+disk', '-disk', '+disk']);
  });

  it('that hangs, fails, or talks rubbish holds up no other', async () => {
    await using watcher = await watchPlugins(300);
    const never = async (): Promise<Partial<PluginInfo>> => Promise.withResolvers<never>().promise;
    await using _hung = await startTestDriver(join(directory, 'a.sock'), { info: never });
    await using failing = await startTestDriver(join(directory, 'b.sock'), {
      info: async () => Promise.reject(new Error('oh')),
    });
    await using _rubbish = createServer((socket) => {
      socket.on('error', () => undefined).resume();
      socket.end('HTTP/1.1 200 OK\r\n\r\nrubbish');
    }).listen(join(directory, 'c.sock'));
    writeFileSync(join(directory, 'file'), '');
    await using _good = await startTestDriver(join(directory, 'd.sock'), { info: csi });
    await expect.poll(() => namesOf(watcher)).toEqual(['disk']);
    await expect.poll(() => failing.asked).toBeGreaterThan(1);
    await expect.poll(() => problems.some((text) => text.includes('DEADLINE_EXCEEDED'))).toBe(true);
    await expect.poll(() => problems.some((text) => text.includes('oh'))).toBe(true);
  });
});

it('findSockets() has bounds, passes over names with a dot, and finds nothing where nothing is', async () => {
  expect((await findSockets(directory)).directories).toEqual([]);
  mkdirSync(directory);
  await using _hidden = createServer().listen(join(directory, '.s'));
  await using _seen = createServer().listen(join(directory, 's'));
  expect([...(await findSockets(directory)).identities.keys()]).toEqual([join(directory, 's')]);
  mkdirSync(join(directory, 'd/'.repeat(10)), { recursive: true });
  await expect(findSockets(directory)).rejects.toMatchObject({ code: 'E_LIMIT' });
});
