/** The campaign on a shared store with few writes: its long forms are run by hand (docs/hacking.md). */
import { describe, expect, it } from 'vitest';

import { noEtcd } from '#control-plane/store/etcd/etcd-server.fixture.ts';
import { runSharedCampaign, type SharedCampaignReport } from './shared-campaign.ts';
import { noEtcdctl } from './shared/etcdctl.ts';
import type { Engine } from './shared/place.ts';
import { noCompiler } from './shared/servers.ts';

const seed = 7;
const timeoutMs = 600_000;

async function campaign(engine: Engine): Promise<SharedCampaignReport> {
  const lines: string[] = [`seed ${seed}`];
  const report = await runSharedCampaign({
    engine,
    writes: 600,
    seed,
    clients: 16,
    paceMs: 300,
    killMs: 2500,
    judgesTime: false, // client/lease.test.ts does, by a clock of its own.
    say: (line) => lines.push(line),
  });
  const { kills, writes, takeovers, seconds } = report;
  console.log(JSON.stringify({ engine, seed, seconds, kills, writes, takeovers }));
  expect(report.faults, `${lines.join('\n')}\n${JSON.stringify(report, undefined, 2)}`).toEqual([]);
  return report;
}

const lacks = [noEtcd, noEtcdctl, noCompiler].filter((what) => what !== '').join(', ');

describe.skipIf(lacks !== '')(`a campaign on a shared store ${lacks}`, () => {
  it(
    'loses nothing that was acknowledged, over kills of members and servers and with a wrong clock',
    async () => {
      const { takeovers, kills, writes } = await campaign('etcd');
      expect(takeovers.length).toBeGreaterThan(0);
      expect(kills['member']).toBeGreaterThan(0);
      expect(writes.done).toBeGreaterThan(0);
    },
    timeoutMs,
  );

  it(
    'loses nothing of the embedded engine',
    async () => {
      const { kills, writes } = await campaign('embedded');
      expect(kills['leader']).toBeGreaterThan(0);
      expect(writes.done).toBeGreaterThan(0);
    },
    timeoutMs,
  );
});
