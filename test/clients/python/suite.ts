/** Debian's python3-kubernetes. */
import { join } from 'node:path';

import { runGuest } from '#test/clients/guest.ts';
import { shellIn } from '#test/clients/kubectl/suites.ts';
import type { Programs } from '#test/clients/programs.ts';
import type { Suite } from '#test/clients/suite.ts';

const expected = {};

export function pythonSuite({ python, kubectls }: Programs): Suite {
  const suite = 'python';
  return {
    name: suite,
    run: async (context) => {
      const { environment } = await shellIn(suite, kubectls.at(-1)?.directory ?? '', context);
      const program = join(import.meta.dirname, 'examples.py');
      const command = [python, program, context.kubeconfig, suite, context.manifests];
      await runGuest({ suite, command, directory: context.scratch, environment, expected }, context.tally);
    },
  };
}
