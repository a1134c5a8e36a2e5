import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { systemClock } from '#base/clock.ts';
import type { Node, Pod } from '#api/generated/objects.ts';
import { decideWith } from './decide-with.ts';
import { nodeInfo, type Snapshot } from '#control-plane/scheduler/snapshot.ts';
import { createPluginHost, listPlugins } from './plugin-host.ts';

const node = (name: string): Node => ({
  metadata: { name },
  status: { allocatable: { cpu: '2', memory: '4Gi', pods: '110' } },
});
const pod = (name: string): Pod => ({
  metadata: { name, namespace: 'default', uid: name },
  spec: { containers: [{ name: 'c', image: 'i' }] },
});
const snapshot: Snapshot = {
  nodes: ['a', 'b', 'c'].map((name) => nodeInfo(node(name), new Map())),
  services: () => [],
  namespaceLabels: () => ({}),
};

function withPlugins(sources: Readonly<Record<string, string>>) {
  const directory = mkdtempSync(join(tmpdir(), 'scheduler-plugins-'));
  for (const [name, source] of Object.entries(sources)) writeFileSync(join(directory, name), source);
  const host = createPluginHost(listPlugins(directory), systemClock);
  return {
    place: async (name: string): Promise<string> => {
      const asked = { outsiders: [host], onError: () => {} };
      const decision = await decideWith({ pod: pod(name), snapshot }, 0, asked);
      return decision.kind === 'node' ? decision.nodeName : decision.message;
    },
    [Symbol.dispose]: () => {
      host[Symbol.dispose]();
      rmSync(directory, { recursive: true });
    },
  };
}

it('plugins in TypeScript refuse nodes and prefer some', async () => {
  using plugins = withPlugins({
    '1-not-a.ts': `
      export const plugin = {
        name: 'NotA',
        preFilter: (pod: { metadata: { name: string } }): string | undefined =>
          pod.metadata.name === 'never' ? 'never is never scheduled' : undefined,
        filter: (_pod: unknown, on: { node: { metadata: { name: string } } }): string | undefined =>
          on.node.metadata.name === 'a' ? 'node(s) were a' : undefined,
      };`,
    '2-likes-c.ts': `
      export const plugin = {
        name: 'LikesC',
        weight: 9,
        score: (_pod: unknown, on: { node: { metadata: { name: string } } }) => on.node.metadata.name === 'c' ? 100 : 0,
      };`,
  });
  expect(await plugins.place('p')).toBe('c');
  expect(await plugins.place('never')).toBe('0/3 nodes are available: 3 never is never scheduled.');
});

it('what a plugin throws, or never ends, fails the try of its pod alone', async () => {
  using plugins = withPlugins({
    'bad.ts': `
      export const plugin = {
        name: 'Bad',
        filter: (pod: { metadata: { name: string } }): undefined => {
          if (pod.metadata.name === 'throws') throw new Error('no idea');
          if (pod.metadata.name === 'exits') process.exit(1);
          while (pod.metadata.name === 'hangs');
        },
        score: (pod: { metadata: { name: string } }) => (pod.metadata.name === 'scores' ? 1000 : 1),
      };`,
  });
  expect(await plugins.place('p')).toBe('a');
  await expect(plugins.place('throws')).rejects.toThrow('plugin Bad: no idea');
  await expect(plugins.place('hangs')).rejects.toThrow('no answer in 1 s');
  await expect(plugins.place('exits')).rejects.toThrow('the thread ended');
  expect(await plugins.place('p')).toBe('a');
});

it('the example is one', async () => {
  using host = createPluginHost(listPlugins('examples/scheduler-plugin'), systemClock);
  const quiet = { ...pod('q'), metadata: { ...pod('q').metadata, labels: { 'example.com/quiet': 'true' } } };
  const busy = new Map(Array.from({ length: 20 }, (_, index) => [`default/r${index}`, pod(`r${index}`)]));
  const nodes = [nodeInfo(node('a'), busy), nodeInfo(node('b'), new Map())];
  const decision = await decideWith({ pod: quiet, snapshot: { ...snapshot, nodes } }, 0, {
    outsiders: [host],
    onError: () => {},
  });
  expect(decision).toMatchObject({ kind: 'node', nodeName: 'b' });
});

it('a module that is no plugin is said', async () => {
  using plugins = withPlugins({ 'none.ts': 'export const plugin = 7;' });
  await expect(plugins.place('p')).rejects.toThrow(
    /none\.ts: export a SchedulerPlugin with a name as plugin/,
  );
});

it('takes no more than 64', () => {
  const directory = mkdtempSync(join(tmpdir(), 'scheduler-plugins-'));
  try {
    expect(() => listPlugins(directory)).toThrow(/no plugins: put NAME.ts there/);
    mkdirSync(join(directory, 'sub'));
    for (let index = 0; index < 65; index++) writeFileSync(join(directory, `p${index}.ts`), '');
    expect(() => listPlugins(directory)).toThrow(/65 plugins, more than 64/);
  } finally {
    rmSync(directory, { recursive: true });
  }
});
