/** curl: the API as bytes. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { load } from 'js-yaml';

import { shellIn } from '#test/clients/kubectl/suites.ts';
import type { Programs } from '#test/clients/programs.ts';
import { runRows, type Suite } from '#test/clients/suite.ts';
import { curlRows } from './rows.ts';

interface Kubeconfig {
  readonly clusters: readonly [{ readonly cluster: Record<string, string> }];
  readonly users: readonly [{ readonly user: Record<string, string> }];
}

export function curlSuite({ kubectls }: Programs): Suite {
  const name = 'curl';
  return {
    name,
    run: async (context) => {
      const shell = await shellIn(name, kubectls.at(-1)?.directory ?? '', context);
      const config = load(readFileSync(context.kubeconfig, 'utf8')) as Kubeconfig;
      const file = (field: string, data: string | undefined): string => {
        const path = join(context.scratch, field);
        writeFileSync(path, Buffer.from(data ?? '', 'base64'), { mode: 0o600 });
        return path;
      };
      const [{ cluster }] = config.clusters;
      const [{ user }] = config.users;
      const environment = {
        ...shell.environment,
        API: cluster['server'] ?? '',
        MINE: `${cluster['server']}/api/v1/namespaces/${name}`,
        CA: file('ca.pem', cluster['certificate-authority-data']),
        CERT: file('cert.pem', user['client-certificate-data']),
        KEY: file('key.pem', user['client-key-data']),
      };
      const { CA, CERT, KEY } = environment;
      writeFileSync(
        join(context.scratch, '.curlrc'),
        `silent\nshow-error\ncacert=${CA}\ncert=${CERT}\nkey=${KEY}\n`,
      );
      await runRows(name, curlRows, { ...shell, environment }, context.tally);
    },
  };
}
