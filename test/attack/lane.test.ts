/** The attack lane in a short form; `npm run test:attack` is the long one. */
import { existsSync } from 'node:fs';
import { describe, expect, it } from 'vitest';

import { canTestClusters } from '#test/cluster/cluster.ts';
import { runLane } from './lane.ts';
import { profiles } from './profiles.ts';

const seconds = Number(process.env['ATTACK_SECONDS'] ?? 5);
const canRun = canTestClusters() && existsSync('/usr/bin/gcc');

describe.skipIf(!canRun)('the attack lane (needs root, kubectl and gcc)', () => {
  it(
    'no pod, whatever it may do, reads or changes what it was not given',
    { timeout: 600_000 + seconds * 2000 },
    async () => {
      const report = await runLane({ seconds, profiles, say: () => undefined });
      expect(report.hits).toEqual([]);
      for (const { name } of profiles) {
        expect(report.tried[name]?.['process'], name).toBeGreaterThan(0);
        expect(report.tried[name]?.['path'], name).toBeGreaterThan(10);
      }
    },
  );
});
