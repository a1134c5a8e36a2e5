/** What one client does with the cluster, in namespaces of its own. */
import { judge, type Tally } from './tally.ts';
import { runRow, type Row, type Shell } from './rows.ts';

export interface SuiteContext {
  readonly kubeconfig: string;
  /** The directory of `test/clients/manifests`, or a copy. */
  readonly manifests: string;
  /** Of the suite alone; removed after all. */
  readonly scratch: string;
  readonly tally: Tally;
}

export interface Suite {
  readonly name: string;
  readonly run: (context: SuiteContext) => Promise<void>;
}

/** Rows one after the other; a later one may need what an earlier one made, and is tried nevertheless. */
export async function runRows(
  suite: string,
  rows: readonly Row[],
  shell: Shell,
  tally: Tally,
): Promise<void> {
  for (const row of rows) tally.add(suite, row.sh, judge(await runRow(row, shell), row.expected));
}
