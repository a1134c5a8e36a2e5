/** What the node's port answers, in the words of pkg/kubelet/server and apiserver/pkg/server/healthz. */
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import https from 'node:https';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { startTestServer, type TestServer } from './test-server.fixture.ts';

function hasOpenssl(): boolean {
  try {
    execFileSync('openssl', ['version'], { stdio: 'pipe' });
    return true;
  } catch {
    return false;
  }
}

interface Row {
  /** `METHOD PATH`, as it is asked. */
  readonly ask: string;
  readonly status: number;
  readonly body?: string | RegExp;
  readonly allow?: string;
}

const undecodable = '{"message": "Unable to decode query."}';
const invalid = '{"message": "Invalid request."}';
const none = 'pod does not exist\n';
const log = '/containerLogs/default/web/main';
const checks = (exclude = ''): string =>
  ['ping', 'log', 'syncloop']
    .map((name) => `[+]${name} ${name === exclude ? 'excluded: ok' : 'ok'}\n`)
    .join('');

const rows: readonly Row[] = [
  { ask: 'GET /healthz', status: 200, body: 'ok' },
  { ask: 'GET /healthz?verbose', status: 200, body: `${checks()}healthz check passed\n` },
  { ask: 'GET /healthz?verbose&exclude=log', status: 200, body: `${checks('log')}healthz check passed\n` },
  {
    ask: 'GET /healthz?verbose&exclude=x',
    status: 200,
    body: `${checks()}warn: some health checks cannot be excluded: no matches for "x"\nhealthz check passed\n`,
  },
  { ask: 'GET /healthz/syncloop', status: 200, body: 'ok' },
  { ask: 'GET /healthz/other', status: 404, body: '404 page not found\n' },
  { ask: 'GET /healthz/ping/more', status: 404 },
  {
    ask: 'GET /metrics/slis',
    status: 200,
    body: /^kubernetes_healthchecks_total\{name="log",status="success",type="healthz"\} [1-9]/m,
  },
  { ask: 'POST /pods', status: 405, allow: 'GET' },
  { ask: 'DELETE /runningpods/', status: 405, allow: 'GET' },
  { ask: 'POST /stats/summary', status: 405, allow: 'GET' },
  { ask: `POST ${log}`, status: 405, allow: 'GET' },
  { ask: 'PUT /logs/', status: 405, allow: 'GET' },
  { ask: 'PUT /exec/default/web/main', status: 405, allow: 'GET, POST' },
  { ask: 'GET /run/default/web/main', status: 405, allow: 'POST' },
  { ask: 'GET /checkpoint/default/web/main', status: 405, allow: 'POST' },
  { ask: 'POST /healthz', status: 200 },
  {
    ask: 'GET /runningpods',
    status: 200,
    body: /"items":\[\{"metadata":\{"name":"web","namespace":"default","uid":"u1"\},"spec":\{"containers":\[\{"name":"main","image":"busybox","resources":\{\}\}\]\},"status":\{\}\}\]/,
  },
  { ask: `GET ${log}?tail=1`, status: 200, body: 'two\n' },
  { ask: `GET ${log}?tail=all&tailLines=1`, status: 200, body: 'one\ntwo\n' },
  { ask: `GET ${log}?stream=Stderr`, status: 200, body: 'two\n' },
  { ask: `GET ${log}?tailLines=x`, status: 400, body: undecodable },
  { ask: `GET ${log}?sinceTime=yesterday`, status: 400, body: undecodable },
  { ask: `GET ${log}?tailLines=-1`, status: 422, body: invalid },
  { ask: `GET ${log}?limitBytes=0`, status: 422, body: invalid },
  { ask: `GET ${log}?sinceSeconds=0`, status: 422, body: invalid },
  { ask: `GET ${log}?sinceSeconds=9&sinceTime=2026-01-01T00:00:00Z`, status: 422, body: invalid },
  { ask: `GET ${log}?stream=Foo`, status: 422, body: invalid },
  { ask: `GET ${log}?stream=Stdout&tailLines=1`, status: 422, body: invalid },
  { ask: 'GET /containerLogs/default/no/main?tailLines=-1', status: 422, body: invalid },
  { ask: 'GET /containerLogs/default/no/main', status: 404, body: 'pod "no" does not exist\n' },
  { ask: 'GET /containerLogs/default/web/no', status: 404, body: 'container "no" not found in pod "web"\n' },
  {
    ask: 'GET /exec/default/no/main?command=true',
    status: 400,
    body: 'you must specify at least 1 of stdin, stdout, stderr\n',
  },
  { ask: 'GET /exec/default/no/main?command=true&output=1', status: 404, body: none },
  { ask: 'POST /attach/default/no/main?output=1', status: 404, body: none },
  { ask: 'POST /portForward/default/no', status: 404, body: none },
  { ask: 'POST /portForward/default/web/u2', status: 404, body: 'pod not found\n' },
  {
    ask: 'GET /exec/default/web/u2/main?command=true&output=1',
    status: 500,
    body: 'container not found ("main")\n',
  },
  {
    ask: 'GET /exec/default/web/main?command=true&output=1',
    status: 500,
    body: 'Upgrade request required\n',
  },
  { ask: 'POST /run/default/web/main?cmd=echo+out', status: 200, body: 'out\n' },
  { ask: 'POST /run/default/web/u1/main?cmd=echo+out', status: 200, body: 'out\n' },
  { ask: 'POST /run/default/no/main?cmd=true', status: 404, body: none },
  { ask: 'POST /run/default/web/no?cmd=true', status: 500, body: 'container not found ("no")\n' },
  { ask: 'POST /run/default/web/main?cmd=false', status: 500, body: "command 'false' exited with 1: \n" },
  { ask: 'POST /checkpoint/default/no/main', status: 404, body: none },
  { ask: 'POST /checkpoint/default/web/no', status: 404, body: 'container no does not exist\n' },
  {
    ask: 'POST /checkpoint/default/web/main',
    status: 500,
    body: 'checkpointing of default/web/main failed (this runtime makes no checkpoints)\n',
  },
];

describe.skipIf(!hasOpenssl())('answers of the node (needs openssl for its certificates)', () => {
  let node: TestServer;
  beforeAll(async () => {
    node = await startTestServer();
  });
  afterAll(async () => node[Symbol.asyncDispose]());

  it.each(rows)('$ask: $status', async ({ ask, status, body, allow }) => {
    const [method = '', path = ''] = ask.split(' ', 2);
    const { ca, admin } = node.pki;
    const request = https.request({
      ...{ host: '127.0.0.1', port: node.server.port, ca, ...admin, agent: false, method, path },
    });
    request.end();
    const [response] = await once(request, 'response');
    let said = '';
    for await (const chunk of response) said += String(chunk);
    expect([response.statusCode, said]).toEqual([status, expect.any(String)]);
    if (typeof body === 'string') expect(said).toBe(body);
    else if (body !== undefined) expect(said).toMatch(body);
    expect(response.headers['allow']).toBe(allow);
  });

  it.each([
    ['', 'query parameter "port" is required'],
    ['port=', 'query parameter "port" cannot be empty'],
    ['port=x', 'unable to parse "x" as a port: strconv.ParseUint: parsing "x": invalid syntax'],
    [
      'port=80,70000',
      'unable to parse "80,70000" as a port: strconv.ParseUint: parsing "70000": value out of range',
    ],
    ['port=0', 'port "0" must be > 0'],
  ])('takes no ports of a WebSocket that are none: %j', async (query, message) => {
    const url = `wss://127.0.0.1:${node.server.port}/portForward/default/web?${query}`;
    const socket = new WebSocket(url, ['v4.channel.k8s.io'], { ca: node.pki.ca, ...node.pki.admin });
    socket.on('error', () => undefined);
    const [, response] = await once(socket, 'unexpected-response');
    let said = '';
    for await (const chunk of response) said += String(chunk);
    expect([response.statusCode, said]).toEqual([400, `${message}\n`]);
  });
});
