import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { widgets } from '#api/schema/widget.fixture.ts';
import { systemClock } from '#base/clock.ts';
import { createEtcdClient } from '#control-plane/store/etcd/client.ts';
import { noEtcd, startEtcd, type EtcdServers } from '#control-plane/store/etcd/etcd-server.fixture.ts';
import { createAuthority, issueCertificate } from './pki/certificate.ts';
import type { ApiServerOptions } from './server.ts';
import { podNamed, startTestServer, type Json, type TestServer } from './test-server.fixture.ts';

const configMaps = '/api/v1/namespaces/default/configmaps';

const patience = { timeout: 60_000 };

let directory = '';
let etcd: EtcdServers;
let options: NonNullable<ApiServerOptions['etcd']>;

/** An etcd that speaks TLS only, to those whom its authority knows. */
beforeAll(async () => {
  if (noEtcd !== '') return;
  directory = mkdtempSync(join(tmpdir(), 'podwright-shared-'));
  const nowMs = Date.now();
  const authority = await createAuthority('etcd-ca', nowMs);
  const issue = (commonName: string, usages: readonly ('server' | 'client')[]) =>
    issueCertificate(authority, { commonName, hosts: ['127.0.0.1'], usages, nowMs });
  const [serving, client] = [await issue('etcd', ['server', 'client']), await issue('podwright', ['client'])];
  const save = (name: string, text: string): string => {
    writeFileSync(join(directory, name), text, { mode: 0o600 });
    return join(directory, name);
  };
  const tls = {
    cert: save('etcd.crt', serving.certPem),
    key: save('etcd.key', serving.keyPem),
    ca: save('ca.crt', authority.certPem),
  };
  etcd = await startEtcd({ tls });
  const pem = (text: string): Uint8Array => Buffer.from(text);
  options = {
    endpoints: etcd.urls,
    tls: { ca: pem(authority.certPem), cert: pem(client.certPem), key: pem(client.keyPem) },
  };
});
afterAll(async () => {
  await etcd?.[Symbol.asyncDispose]();
  rmSync(directory, { recursive: true, force: true });
});

const start = (more: Partial<ApiServerOptions> = {}): Promise<TestServer> =>
  startTestServer({ etcd: options, ...more });

describe.skipIf(noEtcd !== '')(`two API servers on one etcd ${noEtcd}`, () => {
  it('are one API: what is written by one is read, listed and watched by the other', async () => {
    await using one = await start();
    await using other = await start();

    const stop = new AbortController();
    const lines = other.watch(`${configMaps}?watch=1&resourceVersion=0`, stop.signal);
    const seen: string[] = [];
    const watching = (async () => {
      for await (const line of lines) seen.push(`${String(line['type'])} ${String(nameOf(line['object']))}`);
    })();
    const made = await one.make(configMaps, { metadata: { name: 'a' }, data: { by: 'one' } });
    const got = await other.call('GET', `${configMaps}/a`);
    expect(got.json).toEqual(made);
    const revision = String(made['metadata']?.['resourceVersion']);
    const patched = await other.call('PATCH', `${configMaps}/a`, {
      body: JSON.stringify({ data: { by: 'other' } }),
      headers: { 'content-type': 'application/merge-patch+json' },
    });
    expect(patched.status).toBe(200);
    const stale = await one.call('PUT', `${configMaps}/a`, { body: made });
    expect(stale.status).toBe(409);
    const newest = String(patched.json['metadata']?.['resourceVersion']);
    const list = await one.call('GET', `${configMaps}?resourceVersion=${newest}`);
    expect(list.json['items']).toMatchObject([{ data: { by: 'other' } }]);
    const past = await other.call(
      'GET',
      `${configMaps}?resourceVersion=${revision}&resourceVersionMatch=Exact`,
    );
    expect(past.json['items']).toMatchObject([{ data: { by: 'one' } }]);
    await one.call('DELETE', `${configMaps}/a`);
    expect((await other.call('GET', `${configMaps}/a`)).status).toBe(404);
    await expect.poll(() => seen).toEqual(['ADDED a', 'MODIFIED a', 'DELETED a']);
    stop.abort();
    await expect(watching).rejects.toThrow('aborted');
  });

  it('let one of many that create a name win', async () => {
    await using one = await start();
    await using other = await start();

    const body = { metadata: { name: 'raced' } };
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, at) => (at % 2 === 0 ? one : other).call('POST', configMaps, { body })),
    );
    expect(answers.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([
      201,
      ...Array.from({ length: 19 }, () => 409),
    ]);
  });

  it('give no address and no port to two Services', async () => {
    await using one = await start();
    await using other = await start();

    const services = '/api/v1/namespaces/default/services';
    const spec = { type: 'NodePort', ports: [{ port: 80 }] };
    const made = await Promise.all(
      Array.from({ length: 30 }, (_, at) =>
        (at % 2 === 0 ? one : other).make(services, { metadata: { name: `s${at}` }, spec }),
      ),
    );
    expect(new Set(made.map((service) => service['spec']?.['clusterIP'])).size).toBe(30);
    expect(new Set(made.map((service) => service['spec']?.['ports']?.['0']?.['nodePort'])).size).toBe(30);
    const taken = { clusterIP: made[0]?.['spec']?.['clusterIP'], ports: [{ port: 80 }] };
    const refused = await other.call('POST', services, { body: { metadata: { name: 'x' }, spec: taken } });
    expect(refused.status).toBe(422);
    await one.call('DELETE', `${services}/s0`);
    await other.make(services, { metadata: { name: 'x' }, spec: taken });
  });

  it('are both behind the kubernetes Service, and one that closes is not any more', async () => {
    await using one = await start({ advertiseAddress: '192.0.2.1' });
    const addresses = async (): Promise<unknown> => {
      const { json } = await one.call('GET', '/api/v1/namespaces/default/endpoints/kubernetes');
      const { json: slice } = await one.call(
        'GET',
        '/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/kubernetes',
      );
      return [json['subsets']?.['0']?.['addresses'], slice['endpoints']];
    };
    const want = (...ips: readonly string[]): unknown => [
      ips.map((ip) => ({ ip })),
      ips.map((ip) => ({ addresses: [ip], conditions: { ready: true } })),
    ];
    const other = await start({ advertiseAddress: '192.0.2.2' });
    await expect.poll(addresses, patience).toEqual(want('192.0.2.1', '192.0.2.2'));
    await other[Symbol.asyncDispose]();
    await expect.poll(addresses, patience).toEqual(want('192.0.2.1'));
  });

  it('knows a revision that the other has just given', async () => {
    await using one = await start();
    await using other = await start();

    for (let count = 0; count < 20; count++) {
      const made = await one.make(configMaps, { metadata: { name: `known-${count}` } });
      const revision = String(made['metadata']?.['resourceVersion']);
      const { status } = await other.call('GET', `${configMaps}?resourceVersion=${revision}`);
      expect(status).toBe(200);
    }
  });

  it('keeps keys as those of a real cluster, and answers /readyz by etcd', async () => {
    await using one = await start();

    await one.make('/api/v1/namespaces/default/serviceaccounts', { metadata: { name: 'default' } });
    await one.make('/api/v1/namespaces/default/pods', podNamed('p'));
    using client = await createEtcdClient({ ...options, clock: systemClock });
    const { Range } = client.services['etcdserverpb.KV'];
    const [key, end] = ['/registry/pods/', '/registry/pods0'].map((text) => Buffer.from(text));
    const { response } = await client.ask('read', Range, {
      key: key ?? Buffer.of(),
      range_end: end ?? Buffer.of(),
      keys_only: true,
    });
    expect(response.kvs.map((found) => Buffer.from(found.key).toString())).toEqual([
      '/registry/pods/default/p',
    ]);
    expect((await one.call('GET', '/readyz')).status).toBe(200);
    await etcd.kill(0);
    await expect.poll(async () => (await one.call('GET', '/readyz/etcd')).status, patience).toBe(500);
    const told = async (method: string, path: string, body?: object): Promise<unknown> => {
      const { status, headers, json } = await one.call(method, path, body && { body });
      return [status, json['reason'], headers['retry-after']];
    };
    const silent = await Promise.all([
      told('GET', configMaps),
      told('POST', configMaps, { metadata: { name: 'unseen' } }),
      told('DELETE', `${configMaps}/raced`),
    ]);
    // What only asked may be sent again by any library; of what may have been done somebody has to think.
    expect(silent).toEqual([
      [500, 'ServerTimeout', '2'],
      [500, 'ServerTimeout', '2'],
      [504, 'Timeout', undefined],
    ]);
    await etcd.start(0);
    await expect.poll(async () => (await one.call('GET', '/readyz/etcd')).status, patience).toBe(200);
  });

  it('let no more in than a quota has room for, and say so in it at once', async () => {
    await using one = await start();
    await using other = await start();

    const path = '/api/v1/namespaces/quota';
    await one.make('/api/v1/namespaces', { metadata: { name: 'quota' } });
    await one.make(`${path}/serviceaccounts`, { metadata: { name: 'default' } });
    const hard = { configmaps: '50', 'limits.memory': '5Gi', 'count/widgets.example.com': '20' };
    await one.make(`${path}/resourcequotas`, { metadata: { name: 'q' }, spec: { hard } });
    for (const { server } of [one, other]) server.kinds.change({ added: [widgets] });
    const race = async (at: string, count: number, body: (name: string) => object): Promise<unknown> => {
      const answers = await Promise.all(
        Array.from({ length: count }, (_, index) =>
          (index % 2 === 0 ? one : other).call('POST', at, { body: body(`o-${index}`) }),
        ),
      );
      return answers.reduce<Record<number, number>>(
        (counts, { status }) => ({ ...counts, [status]: (counts[status] ?? 0) + 1 }),
        {},
      );
    };
    const named = (name: string): object => ({ metadata: { name } });
    const resources = { limits: { memory: '512Mi' } };
    const pod = (name: string): object =>
      podNamed(name, { spec: { containers: [{ name: 'c', image: 'i', resources }] } });
    expect(await race(`${path}/configmaps`, 200, named)).toEqual({ 201: 50, 403: 150 });
    expect(await race(`${path}/pods`, 40, pod)).toEqual({ 201: 10, 403: 30 });
    const ofWidgets = '/apis/example.com/v1/namespaces/quota/widgets';
    const widget = (name: string): object => ({ ...named(name), spec: { color: 'red' } });
    expect(await race(ofWidgets, 60, widget)).toEqual({ 201: 20, 403: 40 });
    const { json: quota } = await other.call('GET', `${path}/resourcequotas/q`);
    expect(quota['status']).toEqual({ hard, used: hard });
  });
});

function nameOf(object: Json | undefined): unknown {
  return object?.['metadata']?.['name'];
}

describe('an API server on the store of another, served as etcd', () => {
  it('is one API with it', async () => {
    await using one = await startTestServer({
      etcdListen: { listeners: [{ host: '127.0.0.1', port: 0 }] },
    });
    const kubeconfig = one.server.adminKubeconfig('https://x');
    const pem = (field: string): Uint8Array =>
      Buffer.from(new RegExp(`${field}: (\\S+)`).exec(kubeconfig)?.[1] ?? '', 'base64');
    const tls = {
      ca: pem('certificate-authority-data'),
      cert: pem('client-certificate-data'),
      key: pem('client-key-data'),
    };
    await using other = await startTestServer({ etcd: { endpoints: one.server.etcdUrls, tls } });

    const made = await other.make(configMaps, { metadata: { name: 'a' }, data: { by: 'other' } });
    expect((await one.call('GET', `${configMaps}/a`)).json).toEqual(made);
    await one.call('DELETE', `${configMaps}/a`);
    expect((await other.call('GET', `${configMaps}/a`)).status).toBe(404);
  });
});
