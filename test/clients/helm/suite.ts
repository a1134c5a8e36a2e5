/** Helm 3, and Helm 4. */
import { shellIn } from '#test/clients/kubectl/suites.ts';
import type { Programs } from '#test/clients/programs.ts';
import type { Row } from '#test/clients/rows.ts';
import { runRows, type Suite } from '#test/clients/suite.ts';
import { helm4Rows, kindsRows } from './kinds-rows.ts';
import { helmRows } from './rows.ts';

export function helmSuites({ helm, helm4, kubectls }: Programs): readonly Suite[] {
  const suite = (name: string, directory: string, rows: readonly Row[]): Suite => ({
    name,
    run: async (context) => {
      const shell = await shellIn(name, `${directory}:${kubectls.at(-1)?.directory}`, context);
      await runRows(name, rows, shell, context.tally);
    },
  });
  return [suite('helm', helm, [...helmRows, ...kindsRows]), suite('helm-4', helm4, helm4Rows)];
}
