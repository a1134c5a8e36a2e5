/** Helm 3. */
import { shellIn } from '#test/clients/kubectl/suites.ts';
import type { Programs } from '#test/clients/programs.ts';
import { runRows, type Suite } from '#test/clients/suite.ts';
import { helmRows } from './rows.ts';

export function helmSuite({ helm, kubectls }: Programs): Suite {
  const name = 'helm';
  return {
    name,
    run: async (context) => {
      const shell = await shellIn(name, `${helm}:${kubectls.at(-1)?.directory}`, context);
      await runRows(name, helmRows, shell, context.tally);
    },
  };
}
