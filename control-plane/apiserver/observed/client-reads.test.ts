/** What clients and components were recorded to read, asked of a fresh server: each finds what it takes. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { devsRequest } from '#control-plane/apiserver/chain/admission/certificates/certificates.fixture.ts';
import {
  deploymentNamed,
  podNamed,
  startTestServer,
  wholeBody,
  type TestServer,
} from '#control-plane/apiserver/test-server.fixture.ts';
import { acceptOf, clientReads, faultOf, urlOf, type ClientRead } from './client-reads.fixture.ts';

let test: TestServer;
beforeAll(async () => {
  test = await startTestServer();
  const core = '/api/v1/namespaces/default';
  for (const name of ['n1', 'hn1']) await test.make('/api/v1/nodes', { metadata: { name } });
  for (const namespace of ['default', 'kube-system', 'kube-node-lease']) {
    await test.make(`/api/v1/namespaces/${namespace}/serviceaccounts`, { metadata: { name: 'default' } });
  }
  await test.make('/api/v1/namespaces', { metadata: { name: 'ns1' } });
  for (const name of ['p1', 'r1', 'rr']) await test.make(`${core}/pods`, podNamed(name));
  for (const name of ['cm1', 'ncm']) await test.make(`${core}/configmaps`, { metadata: { name } });
  await test.make(`${core}/services`, { metadata: { name: 'websvc' }, spec: { ports: [{ port: 80 }] } });
  const deployments = '/apis/apps/v1/namespaces/default/deployments';
  for (const name of ['d1', 'd2']) await test.make(deployments, deploymentNamed(name));
  await test.make('/apis/batch/v1/namespaces/default/cronjobs', cronJob);
  await test.make('/apis/certificates.k8s.io/v1/certificatesigningrequests', signingRequest);
  await test
    .make('/api/v1/namespaces/kube-system/configmaps', {
      metadata: { name: 'extension-apiserver-authentication' },
    })
    .catch(() => undefined); // A server has made it by itself.
});
afterAll(() => test[Symbol.asyncDispose]());

it('client reads are answered as clients take them', async () => {
  const { json } = await test.call('GET', '/api/v1/namespaces');
  const version = String(json['metadata']?.['resourceVersion']);
  const reads = clientReads();
  expect(reads.length).toBeGreaterThan(400);
  const faults: string[] = [];
  for (const read of reads) {
    const url = urlOf(read, version);
    const fault = await ask(read, url);
    if (fault !== undefined) faults.push(`${read.accept} ${url}: ${fault}`);
  }
  expect(faults).toEqual([]);
});

/** What is wrong with the answer; a watch is left once it has said what it must. */
async function ask(read: ClientRead, path: string): Promise<string | undefined> {
  const leave = new AbortController();
  const transport = test.server.transport({ name: 'tester', groups: ['system:masters'] });
  const { status, headers, body } = await transport.request({
    method: 'GET',
    path,
    headers: { accept: acceptOf(read) },
    signal: leave.signal,
    stream: true,
  });
  if (status !== 200 || read.form === 'read') {
    return faultOf(read, { status, headers, text: Buffer.from(await wholeBody(body)).toString('latin1') });
  }
  let text = '';
  if (read.form === 'watch-list' && !(body instanceof Uint8Array)) {
    for await (const chunk of body) {
      text += Buffer.from(chunk).toString('latin1');
      if (text.includes('k8s.io/initial-events-end')) break;
    }
  }
  leave.abort();
  return faultOf(read, { status, headers, text });
}

const cronJob = {
  metadata: { name: 'cj1' },
  spec: {
    schedule: '0 0 * * *',
    jobTemplate: {
      spec: {
        template: { spec: { restartPolicy: 'Never', containers: [{ name: 'c', image: 'i' }] } },
      },
    },
  },
};

const signingRequest = {
  metadata: { name: 'csr1' },
  spec: { request: devsRequest, signerName: 'kubernetes.io/kube-apiserver-client', usages: ['client auth'] },
};
