import { systemClock } from '#base/clock.ts';
import { nodes } from '#api/schema/kind-ref.ts';
import { createApiClient } from '#client/api-client.ts';
import { isNotFound } from '#client/api-error.ts';
import { createHttpTransport } from '#client/http-transport.ts';
import { loadKubeconfig } from '#client/kubeconfig.ts';
import type { Progress } from '#bin/terminal/progress.ts';
import { version } from '#bin/version.ts';
import type { UpPlan } from './plan.ts';

/**
 * Takes the nodes that an earlier `up` on the same data had, and this one has not, out of the cluster, which would wait for
 * them for ever. Their files stay until `down --purge`: an `up` with as many nodes as before has them back.
 */
export async function forgetNodes(plan: UpPlan, earlierCount: number, progress: Progress): Promise<void> {
  const gone: string[] = [];
  for (let number = plan.nodes.length + 1; number <= earlierCount; number++) gone.push(`node-${number}`);
  if (gone.length === 0) return;
  await using transport = createHttpTransport(loadKubeconfig(plan.kubeconfig, systemClock));

  const client = createApiClient({ transport, userAgent: `podwright-up/${version()}` });
  for (const name of gone) {
    try {
      await client.delete(nodes, { name }, {});
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
  }
  const files =
    gone.length === 1
      ? `its files stay in ${plan.dataDir}/${gone[0]}`
      : `their files stay in ${plan.dataDir}`;
  progress.say(`${gone.join(', ')} taken out of the cluster; ${files}`, { nodesGone: gone });
}
