/** The campaign of volumes with few kills: more are run by hand (docs/hacking.md). */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { repositoryRoot } from '#bin/paths.ts';
import type { CampaignReport } from './volume-campaign.ts';

describe.skipIf(process.getuid?.() !== 0)('a campaign of volumes (needs root: unshare, mount)', () => {
  it('loses nothing and leaves nothing, wherever it is killed', async () => {
    const program = join(repositoryRoot, 'test/attack/volumes/volume-campaign.ts');
    const args = [program, '--kills', '2', '--seed', '7'];
    const { stdout } = await promisify(execFile)(process.execPath, args).catch((error: unknown) => {
      throw new Error(JSON.stringify(error, ['stdout', 'stderr', 'code']));
    });
    const report = JSON.parse(stdout) as CampaignReport;
    expect(report.faults).toEqual([]);
    expect(Object.keys(report.kills).length).toBeGreaterThan(0);
  });
});
