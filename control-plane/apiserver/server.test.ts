import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:http2';
import { createServer } from 'node:net';
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { createInterface } from 'node:readline';
import { join } from 'node:path';
import { X509Certificate } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { systemClock } from '#base/clock.ts';
import { parseKubeconfig } from '#client/kubeconfig.ts';
import { startApiServer, type ApiServer, type ApiServerOptions } from './server.ts';
import { startTestServer, type Json } from './test-server.fixture.ts';

const cms = '/api/v1/namespaces/default/configmaps';

function startOn(dataDir: string, options: Partial<ApiServerOptions> = {}): Promise<ApiServer> {
  const listeners = [{ host: '127.0.0.1', port: 0 }];
  return startApiServer({
    dataDir,
    listeners,
    advertiseAddress: '127.0.0.1',
    clock: systemClock,
    ...options,
  });
}

describe('startApiServer()', () => {
  it('finds its objects, addresses and certificates again', async () => {
    await using first = await startTestServer();
    await first.make(cms, { metadata: { name: 'kept' } });
    const service = { metadata: { name: 's' }, spec: { clusterIP: '10.96.3.3', ports: [{ port: 80 }] } };
    await first.make('/api/v1/namespaces/default/services', service);
    const ca = first.server.caCertPem;
    const kubeconfig = first.server.adminKubeconfig('https://x');
    await first.server.close();
    await using again = await startOn(first.directory);

    expect(again.caCertPem).toBe(ca);
    expect(again.adminKubeconfig('https://x')).toBe(kubeconfig);
    const transport = again.transport();
    const kept = await transport.request({ method: 'GET', path: `${cms}/kept`, headers: {} });
    expect(kept.status).toBe(200);
    const taken = await transport.request({
      method: 'POST',
      path: '/api/v1/namespaces/default/services',
      headers: {},
      body: Buffer.from(JSON.stringify({ ...service, metadata: { name: 'other' } })),
    });
    expect(taken.status).toBe(422);
  });

  it('keeps keys from other users of the machine', async () => {
    await using test = await startTestServer();

    const directory = join(test.directory, 'pki');
    const modes = readdirSync(directory).map((name) => statSync(join(directory, name)).mode & 0o777);
    expect(new Set(modes)).toEqual(new Set([0o600]));
  });

  it('refuses a data directory that is in use, in one line', async () => {
    await using test = await startTestServer();

    await expect(startOn(test.directory)).rejects.toMatchObject({
      code: 'E_BUSY',
      message: expect.stringMatching(/^open store .*: process \d+ has it open$/),
    });
  });

  it('refuses a port that is in use, and leaves nothing open', async () => {
    await using test = await startTestServer();
    const [port = 0] = test.server.ports;
    await test.server.close();
    const squatter = createServer().listen(port, '127.0.0.1');
    await once(squatter, 'listening');

    await expect(startOn(test.directory, { listeners: [{ host: '127.0.0.1', port }] })).rejects.toMatchObject(
      {
        code: 'E_BUSY',
        message: `listen on 127.0.0.1:${port}: the port is in use`,
      },
    );
    squatter.close();
    await (await startOn(test.directory)).close();
  });

  it('listens on a socket that its parent opened, beside one of its own', async () => {
    const opened = createServer().listen(0, '127.0.0.1');
    await once(opened, 'listening');
    const address = opened.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    const fd = Number(Reflect.get(Object(Reflect.get(opened, '_handle')), 'fd'));
    const directory = mkdtempSync(join(tmpdir(), 'podwright-inherit-'));
    const program = `
      import { startApiServer } from '#control-plane/apiserver/server.ts';
      import { systemClock } from '#base/clock.ts';
      const server = await startApiServer({
        dataDir: process.argv[1], listeners: [{ fd: 3 }, { host: '127.0.0.1', port: 0 }],
        advertiseAddress: '127.0.0.1', clock: systemClock });
      console.log(JSON.stringify({ ports: server.ports, ca: server.caCertPem }));
      process.stdin.resume().on('end', () => server.close().then(() => process.exit(0)));`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', program, directory], {
      cwd: join(import.meta.dirname, '../..'),
      stdio: ['pipe', 'pipe', 'inherit', fd],
    });
    const [line] = await once(createInterface({ input: child.stdio[1] ?? process.stdin }), 'line');
    opened.close();
    const { ports, ca } = JSON.parse(String(line));
    expect(ports).toEqual([port, expect.any(Number)]);
    for (const each of ports) {
      const session = connect(`https://127.0.0.1:${each}`, { ca });
      const stream = session.request({ ':path': '/healthz' });
      const [headers] = await once(stream, 'response');
      expect(headers[':status']).toBe(200);
      session.destroy();
    }
    child.stdio[0]?.end();
    expect(await once(child, 'exit')).toEqual([0, null]);
    rmSync(directory, { recursive: true });
  });

  it('ends watches cleanly when it closes', async () => {
    await using test = await startTestServer();

    const session = connect(`https://127.0.0.1:${test.server.ports[0]}`, clientTls(test.server));
    const stream = session.request({ ':path': '/api/v1/namespaces?watch=true' });
    await once(stream, 'data');
    const ended = once(stream, 'end');
    const events: Json[] = [];
    const inProcess = (async () => {
      for await (const event of test.watch('/api/v1/namespaces?watch=true', new AbortController().signal))
        events.push(event);
    })();
    await expect.poll(() => events.length).toBe(4);
    await test.server.close();
    await ended;
    await inProcess;
    expect(stream.rstCode).toBe(0);
  });

  it('gives a node credentials that name it', async () => {
    await using test = await startTestServer();

    const serverUrl = 'https://10.0.0.1:6443';
    const credentials = await test.server.issueNodeCredentials('n1', { serverUrl, hosts: ['10.0.0.2'] });
    const serving = new X509Certificate(credentials.serving.certPem);
    expect(serving.checkIP('10.0.0.2')).toBe('10.0.0.2');
    expect(serving.checkHost('n1')).toBe('n1');
    const access = parseKubeconfig(credentials.kubeconfig, { directory: '/' });
    expect(access.server).toBe(serverUrl);
    const client =
      access.clientCert.kind === 'inline' ? new X509Certificate(access.clientCert.text) : undefined;
    expect(client?.subject.split('\n')).toEqual(['O=system:nodes', 'CN=system:node:n1']);
  });

  it('counts its requests', async () => {
    await using test = await startTestServer();

    await test.call('GET', '/metrics');
    await test.call('GET', `${cms}/nope`);
    const { text } = await test.call('GET', '/metrics');
    expect(text).toContain(
      'apiserver_request_total{verb="GET",group="",version="v1",resource="configmaps",subresource="",scope="resource",' +
        'component="apiserver",dry_run="",system_client="",code="404"} 1',
    );
    expect(text).toContain('apiserver_current_inflight_requests{request_kind="readOnly"} 1');
    expect(text).toMatch(/podwright_store_revision \d+/);
    expect(text).not.toMatch(/^# TYPE \S+_total gauge$/m);
  });
});

function clientTls(server: ApiServer): { readonly ca: string; readonly cert: string; readonly key: string } {
  const access = parseKubeconfig(server.adminKubeconfig('https://x'), { directory: '/' });
  const inline = (source: typeof access.ca): string => (source.kind === 'inline' ? source.text : '');
  return { ca: inline(access.ca), cert: inline(access.clientCert), key: inline(access.clientKey) };
}
