/** The port of a node's kubelet, asked by what asks nodes: monitoring with its account's token, and the API server. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { canTestClusters, run, startCluster, type TestCluster } from './cluster.ts';

const node = 'https://172.31.255.11:10250';

describe.skipIf(!canTestClusters())("a node's port (needs root, kubectl)", () => {
  let cluster: TestCluster;
  let token = '';
  beforeAll(async () => {
    cluster = await startCluster();
    for (const command of [
      'create namespace monitoring',
      'create serviceaccount prometheus -n monitoring',
      // As Prometheus' charts have it.
      'create clusterrole prometheus --verb=get --resource=nodes/metrics',
      'create clusterrolebinding prometheus --clusterrole=prometheus --serviceaccount=monitoring:prometheus',
    ])
      await cluster.must(command);
    token = (await cluster.must('create token prometheus -n monitoring')).trim();
  });
  afterAll(() => cluster?.[Symbol.asyncDispose]());

  const ask = async (path: string, bearer?: string): Promise<{ status: string; body: string }> => {
    const header = bearer === undefined ? [] : ['-H', `Authorization: Bearer ${bearer}`];
    const command = ['curl', '-sk', '-w', '\n%{http_code}', ...header, `${node}${path}`];
    const { stdout } = await cluster.inHost('server', command);
    const end = stdout.lastIndexOf('\n');
    return { status: stdout.slice(end + 1), body: stdout.slice(0, end) };
  };

  it.each([
    ['/metrics', 'kubelet_running_pods'],
    ['/metrics/cadvisor', 'machine_memory_bytes'],
    ['/metrics/resource', 'node_memory_working_set_bytes'],
    ['/metrics/probes', 'prober_probe_total'],
  ])('%s is read with the token of an account that may', async (path, metric) => {
    const { status, body } = await ask(path, token);
    expect([status, body]).toEqual(['200', expect.stringContaining(metric)]);
  });

  it('nothing else is, nor anything without a token', async () => {
    expect(await ask('/pods', token)).toEqual({
      status: '403',
      body: 'Forbidden (user=system:serviceaccount:monitoring:prometheus, verb=get, resource=nodes, subresource(s)=[pods proxy])\n',
    });
    expect(await ask('/metrics')).toEqual({ status: '401', body: 'Unauthorized' });
    expect(await ask('/metrics', `${token}x`)).toEqual({ status: '401', body: 'Unauthorized' });
  });

  it('the API server is let in as itself, and is no administrator', async () => {
    const certificate = join(cluster.dataDir, 'server/pki/apiserver-kubelet-client.crt');
    const { stdout } = await run(['openssl', 'x509', '-noout', '-subject'], {
      input: readFileSync(certificate, 'utf8'),
    });
    expect(stdout).toMatch(/CN ?= ?kube-apiserver-kubelet-client/);
    expect(stdout).not.toContain('system:masters');
    expect(await cluster.must('get --raw /api/v1/nodes/node-1/proxy/healthz')).toBe('ok');
    await cluster.must('run p --image=podwright/demo:1 --restart=Never');
    await cluster.must('wait --for=condition=Ready pod/p --timeout=120s');
    expect(await cluster.must('exec p -- echo hello')).toBe('hello\n');
  });

  it('scheduler and controllers were refused nothing', () => {
    const log = readFileSync(join(cluster.dataDir, 'server/server.log'), 'utf8');
    expect(log.split('\n').filter((line) => line.includes('is forbidden'))).toEqual([]);
  });
});
