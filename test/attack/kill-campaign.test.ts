/** The kill campaign with few pods: its long forms are run by hand (docs/hacking.md). */
import { describe, expect, it } from 'vitest';
import { canTestClusters } from '#test/cluster/cluster.ts';
import { isClean, runCampaign } from './kill-campaign.ts';

const seed = 12;
const timeoutMs = 900_000;

describe.skipIf(!canTestClusters())('a kill campaign (needs root, kubectl, ip and nft)', () => {
  it(
    'loses nothing of pods with volumes, hooks, host ports and rotated logs, and leaves nothing',
    async () => {
      const lines: string[] = [`seed ${seed}`];
      const report = await runCampaign({
        pods: 10,
        seed,
        atOnce: 5,
        nodes: 2,
        paceMs: 2500,
        dwellMs: 2000,
        launchers: 1,
        say: (line) => lines.push(line),
      });
      const { kills, logs, hooks, hostPortsThatAnswered } = report;
      console.log(JSON.stringify({ seed, kills, logs, hooks, hostPortsThatAnswered }));
      expect(isClean(report), `${lines.join('\n')}\n${JSON.stringify(report, undefined, 2)}`).toBe(true);
      expect(report.acknowledged).toBe(30);
      expect(logs.rotated).toBeGreaterThan(0);
    },
    timeoutMs,
  );
});
