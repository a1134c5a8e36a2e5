import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { missingKube, startKube, startOurServer, type BenchServer } from '#test/bench/api-servers.ts';
import { openClient, type Access } from '#test/bench/h2-client.ts';
import type { Row } from '#test/bench/row.ts';
import { createBench, openTarget, rates, type Target } from './api.ts';

/** What row `api` begins with, of a service account that may by RBAC, with every request in the audit log at level Metadata. */
export const apiAccess: Row = {
  name: 'api-access',
  inNamespaces: true,
  run: async (scale) => {
    await using stack = new AsyncDisposableStack();

    const options = { isAudited: true };
    const open = async (server: BenchServer): Promise<Target> =>
      openTarget(stack, server, await accountOf(server));
    const ours = await open(await startOurServer(join(tmpdir(), 'ours'), options));
    const missing = missingKube();
    const peer = missing ?? (await open(await startKube(join(tmpdir(), 'kube'), options)));
    const measured = await rates(createBench(ours, peer, scale));
    return measured.map((each) => ({ ...each, what: `${each.what}, by RBAC, audited` }));
  },
};

/** A service account that may do all with ConfigMaps, and its token. */
async function accountOf({ access }: BenchServer): Promise<Access> {
  await using admin = await openClient(access);

  const post = (path: string, object: object): Promise<Buffer> =>
    admin.request('POST', path, JSON.stringify(object));
  const roles = '/apis/rbac.authorization.k8s.io/v1/namespaces/default';
  const accounts = '/api/v1/namespaces/default/serviceaccounts';
  const [apiGroup, name] = ['rbac.authorization.k8s.io', 'bench'];
  await post(accounts, { metadata: { name } });
  await post(`${roles}/roles`, {
    metadata: { name },
    rules: [{ apiGroups: [''], resources: ['configmaps'], verbs: ['*'] }],
  });
  await post(`${roles}/rolebindings`, {
    metadata: { name },
    roleRef: { apiGroup, kind: 'Role', name },
    subjects: [{ kind: 'ServiceAccount', namespace: 'default', name }],
  });
  const review = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: {} };
  const { status } = JSON.parse((await post(`${accounts}/${name}/token`, review)).toString());
  const { server, caPem } = access;
  return { server, caPem, token: status.token };
}
