/** Pods that each say whom they could reach with their first packets: a new one begins as soon as one has ended. */
import type { Pod } from '#api/generated/objects.ts';
import { pods } from '#api/schema/kind-ref.ts';
import { systemClock } from '#base/clock.ts';
import { createApiClient } from '#client/api-client.ts';
import type { ApiClient } from '#client/client.ts';
import { createHttpTransport } from '#client/http-transport.ts';
import { createInformers } from '#client/informers.ts';
import { loadKubeconfig } from '#client/kubeconfig.ts';

export interface FirstPackets {
  readonly kubeconfig: string;
  /** The `role` of clients, by whom nothing else goes. */
  readonly role: string;
  readonly make: (name: string) => Pod;
  readonly count: number;
  readonly atOnce: number;
  /** After that none begins. */
  readonly ms: number;
}

/**
 * How many said what, which is the message that their container ended with. By one connection and one watch: kubectl, which applies, asks,
 * reads logs and deletes one after the other while no pod runs, is most of what a thousand take.
 */
export async function saidByClients(options: FirstPackets): Promise<ReadonlyMap<string, number>> {
  await using transport = createHttpTransport(loadKubeconfig(options.kubeconfig, systemClock));
  const client = createApiClient({ transport, userAgent: 'podwright-test' });
  await using informers = createInformers({ client, clock: systemClock });

  const informer = informers.for(pods, { namespace: 'default', labelSelector: `role=${options.role}` });
  await informers.synced();
  const said = new Map<string, number>();
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const [ended, untilMs] = [new Set<string>(), systemClock.monotonic() + options.ms];
  let begun = 0;
  const begin = async (): Promise<void> => {
    if (begun >= options.count || systemClock.monotonic() >= untilMs) {
      if (ended.size === begun) resolve();
      return;
    }
    await client.create(pods, options.make(`${options.role}-${begun++}`), { namespace: 'default' });
  };
  using _ = informer.onChange(({ key, current }) => {
    const message = messageOf(current);
    if (message === undefined || ended.has(key)) return;
    ended.add(key);
    said.set(message, (said.get(message) ?? 0) + 1);
    remove(client, current).then(begin).catch(reject);
  });

  await Promise.all(Array.from({ length: Math.min(options.atOnce, options.count) }, begin));
  await promise;
  return said;
}

/** Undefined while it runs. */
function messageOf(pod: Pod | undefined): string | undefined {
  const phase = pod?.status?.phase;
  if (phase !== 'Succeeded' && phase !== 'Failed') return undefined;
  return pod?.status?.containerStatuses?.[0]?.state?.terminated?.message?.trim() ?? phase;
}

async function remove(client: ApiClient, pod: Pod | undefined): Promise<void> {
  const name = pod?.metadata?.name ?? '';
  await client.delete(pods, { namespace: 'default', name }, { gracePeriodSeconds: 0 });
}
