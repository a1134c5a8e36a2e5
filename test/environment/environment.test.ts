import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { dirname } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { configMaps, deployments, namespaces, pods } from '#api/schema/kind-ref.ts';
import { connect } from '#client/access/connect.ts';
import { isForbidden } from '#client/api-error.ts';
import { evict } from '#client/subresources/evict.ts';
import { readScale, writeScale } from '#client/subresources/scale.ts';
import { withController } from '#client/operator/owned.ts';
import { podLogs } from '#client/subresources/logs.ts';
import { repositoryRoot } from '#bin/paths.ts';
import { startCluster, type TestCluster } from './start-cluster.ts';

const namespace = 'default';

describe('clusters side by side', () => {
  let own: TestCluster;
  let other: TestCluster;
  const stack = new AsyncDisposableStack();
  beforeAll(async () => {
    own = stack.use(await startCluster());
    other = stack.use(await startCluster({ controllers: false }));
  });
  afterAll(() => stack.disposeAsync());

  it('know nothing of each other', async () => {
    await own.client.create(configMaps, { metadata: { namespace, name: 'only-here' } });
    const names = async ({ client }: TestCluster): Promise<readonly (string | undefined)[]> =>
      (await client.list(configMaps, { namespace })).items.map(({ metadata }) => metadata?.name);
    expect([await names(own), await names(other)]).toEqual([
      expect.arrayContaining(['only-here']),
      expect.not.arrayContaining(['only-here']),
    ]);
  });

  it('controllers run: pods are made and placed nowhere, what is owned goes with its owner, namespaces go', async () => {
    const { client } = own;
    const labels = { app: 'a' };
    const template = { metadata: { labels }, spec: { containers: [{ name: 'c', image: 'i' }] } };
    await client.create(deployments, {
      metadata: { namespace, name: 'd' },
      spec: { replicas: 1, selector: { matchLabels: labels }, template },
    });
    await expect
      .poll(async () => (await client.list(pods, { namespace })).items[0]?.status?.phase, { timeout: 60_000 })
      .toBe('Pending');
    expect((await writeScale(client, deployments, { namespace, name: 'd' }, 2)).spec?.replicas).toBe(2);
    expect((await readScale(client, deployments, { namespace, name: 'd' })).spec?.replicas).toBe(2);
    const [pod] = (await client.list(pods, { namespace })).items;
    await evict(client, { namespace, name: pod?.metadata?.name ?? '' });
    const owner = await client.create(configMaps, { metadata: { namespace, name: 'owner' } });
    await client.create(configMaps, withController({ metadata: { name: 'child' } }, owner, configMaps), {
      namespace,
    });
    await client.delete(configMaps, { namespace, name: 'owner' });
    const names = async () =>
      (await client.list(configMaps, { namespace })).items.map(({ metadata }) => metadata?.name);
    await expect.poll(names, { timeout: 60_000 }).not.toContain('child');
    await client.create(namespaces, { metadata: { name: 'short' } });
    await client.delete(namespaces, { name: 'short' });
    const all = async () => (await client.list(namespaces)).items.map(({ metadata }) => metadata?.name);
    await expect.poll(all, { timeout: 60_000 }).not.toContain('short');
  });

  it('a role is tested by asking as its user; warnings are told', async () => {
    const warnings: string[] = [];
    await using jane = connect({
      kubeconfigText: other.kubeconfig,
      impersonate: { user: 'jane', groups: ['developers', 'testers'] },
      onWarning: (text) => warnings.push(text),
    });
    await expect(jane.list(configMaps, { namespace })).rejects.toSatisfy(isForbidden);
    const { body } = await jane.raw('POST', '/apis/authentication.k8s.io/v1/selfsubjectreviews', {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'SelfSubjectReview',
    });
    expect(JSON.parse(body).status.userInfo).toMatchObject({
      username: 'jane',
      groups: ['developers', 'testers', 'system:authenticated'],
    });
    await using admin = connect({
      kubeconfig: other.kubeconfigPath,
      onWarning: (text) => warnings.push(text),
    });
    const odd = { metadata: { namespace, name: 'odd' }, surprise: 1 };
    await admin.create(configMaps, odd, { fieldValidation: 'Warn' });
    expect(warnings).toEqual(['unknown field "surprise"']);
  });

  it('leave nothing', async () => {
    await stack.disposeAsync();
    expect([own, other].map(({ kubeconfigPath }) => existsSync(dirname(kubeconfigPath)))).toEqual([
      false,
      false,
    ]);
  });
});

it('leaves nothing when the process of the test is killed', async () => {
  const script = `
    import { startCluster } from '#test/environment/start-cluster.ts';
    const cluster = await startCluster({ controllers: false });
    console.log(cluster.kubeconfigPath);
    setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ['--input-type=module-typescript', '-e', script], {
    cwd: repositoryRoot,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [path] = (await once(createInterface({ input: child.stdout }), 'line')) as [string];
  expect(existsSync(path)).toBe(true);
  child.kill('SIGKILL');
  await once(child, 'exit');
  await expect.poll(() => existsSync(dirname(path)), { timeout: 60_000 }).toBe(false);
});

it('refuses what is no number of nodes', async () => {
  await expect(startCluster({ nodes: 1.5 })).rejects.toThrow(/none of 0 to 64/);
});

it.skipIf(process.getuid?.() !== 0)('with nodes runs pods: logs and exec', async () => {
  let directory = '';
  {
    await using cluster = await startCluster({ nodes: 1 });
    directory = dirname(dirname(cluster.kubeconfigPath));
    const { client } = cluster;
    const where = { namespace, name: 'p' };
    await expect
      .poll(
        () =>
          client
            .create(pods, {
              metadata: where,
              spec: {
                containers: [
                  { name: 'c', image: 'podwright/demo:1', command: ['sh', '-c', 'echo begun; sleep 60'] },
                ],
              },
            })
            .then(
              () => true,
              () => false,
            ),
        { timeout: 60_000 },
      )
      .toBe(true);
    await expect
      .poll(async () => (await client.get(pods, where)).status?.phase, { timeout: 60_000 })
      .toBe('Running');
    const lines = podLogs(client, where, { follow: true }, AbortSignal.timeout(150_000));
    expect((await lines.next()).value).toBe('begun');
    await lines.return();
    const said: string[] = [];
    const onStdout = (bytes: Uint8Array): void => void said.push(new TextDecoder().decode(bytes));
    const session = await client.exec(where, {
      command: ['sh', '-c', 'read a; echo $a; exit 4'],
      stdin: true,
      onStdout,
    });
    session.write('hello\n');
    expect([await session.ended, said.join('')]).toEqual([{ exitCode: 4 }, 'hello\n']);
    await expect(client.exec(where, { command: ['x'], container: 'none' })).rejects.toThrow(
      /container none|not valid/,
    );
  }
  expect(existsSync(directory)).toBe(false);
});
