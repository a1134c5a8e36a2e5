import { expect, it } from 'vitest';
import { runCampaign } from './kill-campaign.ts';

it('an operator that is killed a dozen times while its objects churn converges, and makes nothing twice', async () => {
  const seed = Number(process.env['PODWRIGHT_FUZZ_SEED'] ?? Date.now() % 1_000_000);
  const result = await runCampaign({ kills: 12, seed });
  expect(result, `seed ${seed}`).toMatchObject({ problems: [], kills: expect.any(Number) });
  expect(result.kills).toBeGreaterThanOrEqual(12);
  expect(result.partsMade, `seed ${seed}`).toBeGreaterThan(0);
}, 900_000); // Twelve lives of half a second to three, on a machine that others use, too.
