import { existsSync } from 'node:fs';

import type { Clock } from '#base/clock.ts';
import { PodwrightError } from '#base/errors.ts';
import { connectControl } from '#bin/control.ts';
import { agentPaths } from '#bin/paths.ts';
import type { HostPlan } from './plan.ts';

const askMs = 300;

/**
 * Rejects when a node with an earlier life says that the server is another cluster's, which it would wait out for ever; else
 * resolves never, or with the signal.
 * @throws E_CONFLICT with the node's words
 */
export async function waitForRefusal(
  nodes: readonly HostPlan[],
  clock: Clock,
  signal: AbortSignal,
): Promise<void> {
  const known = nodes.filter(({ dataDir, runDir }) => existsSync(agentPaths(dataDir, runDir).clusterFile));
  if (known.length === 0) return new Promise(() => undefined);
  while (!signal.aborted) {
    for (const { name, dataDir, runDir } of known) {
      const asked = connectControl(agentPaths(dataDir, runDir).controlSocket).status();
      const problem = await asked.then(
        ({ clusterProblem }) => clusterProblem,
        () => undefined,
      ); // Not up yet.
      if (problem !== undefined) throw new PodwrightError('E_CONFLICT', `start ${name}: ${problem}`);
    }
    await clock.sleep(askMs, signal).catch(() => undefined);
  }
}
