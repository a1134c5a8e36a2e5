import { defineConfig, type ViteUserConfig } from 'vitest/config';
import { filesOfOtherDays } from './test/days-turn.ts';
import { LongestFirst } from './test/longest-first.ts';

/**
 * Files that share a process, one after the other: half of the processor time of such a file is the loading of modules that the one
 * before has loaded. They leave nothing in their process that a next one would see (docs/decisions/0058-test-files-share-a-process.md).
 */
const shared = [
  '{api,base,client}/**',
  'control-plane/{apiserver,controllers,scheduler}/**',
  'agent/{dns,kubelet,network,node,proxy,volume}/**',
].map((folder) => `${folder}/!(*.kernel|*.linux|clock).test.ts`); // Who plays with the timers of a process has one of his own.

const nobodys = [
  ...['node_modules/**', 'node_modules.new-*/**', 'build/**'],
  ...filesOfOtherDays(Date.now(), process.argv.slice(2), process.env),
];

const config: ViteUserConfig = defineConfig({
  test: {
    pool: 'forks',
    // Deadlines are for what never comes: on a machine that is busy with other things all takes twenty times as long.
    testTimeout: 180_000,
    hookTimeout: 180_000,
    expect: { poll: { timeout: 60_000 } },
    maxWorkers: 3, // Of two cores, as files that wait for clusters leave one idle.
    sequence: { sequencer: LongestFirst },
    projects: [
      {
        extends: true,
        test: { name: 'shared', include: shared, exclude: nobodys, isolate: false },
      },
      {
        extends: true,
        test: { name: 'alone', include: ['**/*.test.ts'], exclude: [...nobodys, ...shared], isolate: true },
      },
    ],
  },
});
export default config;
