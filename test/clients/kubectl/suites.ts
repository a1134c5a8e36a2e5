/** What users type at kubectl, by five versions of it. */
import { join } from 'node:path';

import { run } from '#test/cluster/cluster.ts';
import type { Kubectl, Programs } from '#test/clients/programs.ts';
import { rowsFor, type Row, type Shell } from '#test/clients/rows.ts';
import { runRows, type Suite, type SuiteContext } from '#test/clients/suite.ts';
import { askRows } from './ask-rows.ts';
import { customRows } from './custom-rows.ts';
import { endRows } from './end-rows.ts';
import { nodeRows } from './node-rows.ts';
import { runningRows } from './running-rows.ts';
import { writeRows } from './write-rows.ts';

/** A shell whose kubectl is that of `directory`, in a namespace that is made for it; $NS is its name. */
export async function shellIn(
  namespace: string,
  directory: string,
  { kubeconfig, manifests, scratch }: SuiteContext,
): Promise<Shell> {
  const own = join(scratch, 'kubeconfig');
  const environment = {
    PATH: `${directory}:${process.env['PATH'] ?? ''}`,
    HOME: scratch,
    KUBECONFIG: own,
    NS: namespace,
    FILES: manifests,
  };
  const script = `cp "$0" ${own}; kubectl create namespace ${namespace} && kubectl config set-context --current --namespace=${namespace}`;
  const made = await run(['sh', '-ec', script, kubeconfig], { environment });
  if (made.code !== 0) throw new Error(`make namespace ${namespace}: ${made.stderr}`);
  return { directory: scratch, environment };
}

function suiteOf(kubectl: Kubectl, rows: readonly Row[]): Suite {
  const name = `kubectl-${kubectl.version}`;
  return {
    name,
    run: async (context) => {
      const shell = await shellIn(name.replaceAll('.', '-'), kubectl.directory, context);
      await runRows(name, rowsFor(rows, kubectl.minor), shell, context.tally);
    },
  };
}

/** Nodes are everybody's: one version after the other tries what is done to them. */
function nodesSuite(kubectls: readonly Kubectl[]): Suite {
  return {
    name: 'kubectl-nodes',
    run: async (context) => {
      for (const kubectl of kubectls) {
        const name = `nodes-${kubectl.version}`;
        const shell = await shellIn(name.replaceAll('.', '-'), kubectl.directory, context);
        await runRows(name, rowsFor(nodeRows, kubectl.minor), shell, context.tally);
      }
    },
  };
}

export function kubectlSuites({ kubectls }: Programs): readonly Suite[] {
  const rows = [...writeRows, ...runningRows, ...askRows, ...customRows, ...endRows];
  return [...kubectls.map((kubectl) => suiteOf(kubectl, rows)), nodesSuite(kubectls)];
}
