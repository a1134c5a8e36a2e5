import { connectControl } from '#bin/control.ts';
import { agentPaths } from '#bin/paths.ts';
import type { HostPlan } from './plan.ts';
import { shellWord } from '#base/shell-word.ts';

const image = 'podwright/demo:1'; // As a person writes it.

export interface MissingDemoImage {
  readonly node: string;
  readonly why: string;
}

/** Asks the agents. One that does not answer is not named: its keeper says what became of it. */
export async function findMissingDemoImages(
  nodes: readonly HostPlan[],
): Promise<readonly MissingDemoImage[]> {
  const asked = await Promise.allSettled(
    nodes.map(async ({ name, dataDir, runDir }) => {
      const { demoImageProblem } = await connectControl(agentPaths(dataDir, runDir).controlSocket).status();
      return demoImageProblem === undefined ? [] : [{ node: name, why: demoImageProblem }];
    }),
  );
  return asked.flatMap((answer) => (answer.status === 'fulfilled' ? answer.value : []));
}

/** One line, with the first node's reason: the others have the same disk. Pure. */
export function renderMissing(missing: readonly MissingDemoImage[]): string {
  return `no image ${image} on ${missing.map(({ node }) => node).join(', ')}: ${missing[0]?.why ?? ''}`;
}

/** What can be typed next; nothing that needs an image which is not there. Pure. */
export function renderReady(ready: {
  readonly seconds: string;
  readonly kubeconfig: string;
  readonly hasDemoImage: boolean;
}): string {
  const next = [`export KUBECONFIG=${shellWord(ready.kubeconfig)}`];
  if (ready.hasDemoImage) next.push(`kubectl create deployment web --image=${image} --replicas=2`);
  return `ready in ${ready.seconds} s\n\n${next.map((line) => `  ${line}\n`).join('')}`;
}
