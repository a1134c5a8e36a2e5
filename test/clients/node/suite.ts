/** `@kubernetes/client-node`, from npm. */
import { cpSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';

import { runGuest } from '#test/clients/guest.ts';
import { shellIn } from '#test/clients/kubectl/suites.ts';
import type { Programs } from '#test/clients/programs.ts';
import type { Suite } from '#test/clients/suite.ts';

const expected = {};

export function nodeSuite({ nodeModules, kubectls }: Programs): Suite {
  const suite = 'client-node';
  return {
    name: suite,
    run: async (context) => {
      const { environment } = await shellIn(suite, kubectls.at(-1)?.directory ?? '', context);
      const directory = context.scratch;
      // A package is found from where the program really lies.
      for (const file of ['examples.mjs', 'inside.mjs'])
        cpSync(join(import.meta.dirname, file), join(directory, file));
      symlinkSync(nodeModules, join(directory, 'node_modules'));
      const command = [process.execPath, 'examples.mjs', context.kubeconfig, suite];
      const own = { ...environment, TMPDIR: directory };
      await runGuest({ suite, command, directory, environment: own, expected }, context.tally);
    },
  };
}
