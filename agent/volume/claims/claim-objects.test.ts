/** What a node asks the API about the claims of its pods, and what it knows. */
import { expect, it } from 'vitest';
import { createFakeClock } from '#base/clock.ts';
import { nodes, persistentVolumes } from '#api/schema/kind-ref.ts';
import type { PersistentVolume } from '#api/generated/objects.ts';
import { createFakeApiClient } from '#client/client.fake.ts';
import { createClaimObjects } from './claim-objects.ts';
import { createLocalVolumes } from './local-volumes.ts';

const volume = (claimUid: string, size: string): PersistentVolume => ({
  metadata: { name: 'v' },
  spec: { claimRef: { uid: claimUid }, capacity: { storage: size } },
});

it.each([
  { name: 'one that the node makes, for the claim', known: volume('u', '1Gi'), size: '1Gi', asked: 0 },
  { name: 'one that was another claim’s when it was seen', known: volume('w', '1Gi'), size: '2Gi', asked: 1 },
  { name: 'one of others', known: undefined, size: '2Gi', asked: 1 },
])('$name', async ({ known, size, asked }) => {
  const client = createFakeApiClient(createFakeClock());
  client.seed(persistentVolumes, volume('u', '2Gi'));
  client.seed(nodes, { metadata: { name: 'n' } });
  const calls: string[] = [];
  client.intercept = ({ verb, resource }) => {
    calls.push(`${verb} ${resource}`);
    return undefined;
  };
  const objects = createClaimObjects({
    ...{ client, nodeName: 'n', podsDirectory: '/nonexistent', madeHere: () => known },
    localVolumes: createLocalVolumes({ directory: '/nonexistent', nodeName: 'n' }),
    seen: () => ({ metadata: { name: 'n', uid: 'seen' } }),
  });
  expect((await objects.persistentVolume('v', 'u'))?.spec?.capacity).toEqual({ storage: size });
  expect(objects.seenNode?.()?.metadata?.uid).toBe('seen');
  expect(calls).toEqual(Array.from({ length: asked }, () => 'get persistentvolumes'));
});
