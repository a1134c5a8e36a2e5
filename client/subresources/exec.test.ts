import { once } from 'node:events';
import { createServer } from 'node:https';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { WebSocketServer, type WebSocket } from 'ws';
import { systemClock } from '#base/clock.ts';
import { isForbidden } from '#client/api-error.ts';
import { openExec, type ExecOptions } from './exec.ts';
import { selfSigned } from '#client/self-signed.fixture.ts';

const { certPem, keyPem } = await selfSigned();
const server = createServer({ cert: certPem, key: keyPem });
const sockets = new WebSocketServer({ noServer: true });
const asked: string[] = [];
let serve: (socket: WebSocket) => void = () => {};
let refusal: string | undefined;
server.on('upgrade', (request, socket, head) => {
  asked.push(
    `${request.headers.authorization} ${String(request.headers['impersonate-group'])} ${request.url}`,
  );
  if (refusal === undefined) sockets.handleUpgrade(request, socket, head, (open) => serve(open));
  else socket.end(refusal);
});
beforeAll(async () => void (await once(server.listen(0, '127.0.0.1'), 'listening')));
afterAll(() => {
  sockets.close();
  server.close();
});

function open(options: Partial<ExecOptions> = {}) {
  const address = server.address();
  const port = typeof address === 'object' ? address?.port : 0;
  const reach = {
    server: `https://127.0.0.1:${port}/behind`,
    caPem: certPem,
    token: 'secret',
    clock: systemClock,
    userAgent: 'tester',
    impersonate: { user: 'jane', groups: ['a', 'b'] },
  };
  return openExec(
    reach,
    { namespace: 'n', name: 'p' },
    { command: ['sh', '-c', 'a b'], container: 'c', ...options },
  );
}

const message = (channel: number, text: string): Buffer =>
  Buffer.concat([Buffer.of(channel), Buffer.from(text)]);

it('runs a command: streams, exit code', async () => {
  const said: string[] = [];
  serve = (socket) => {
    socket.on('message', (data: Buffer) => {
      if (data[0] === 0) socket.send(message(1, data.subarray(1).toString().toUpperCase()));
      if (data[0] === 4) socket.send(message(2, data.subarray(1).toString()));
      if (data[0] !== 255) return;
      const causes = [{ reason: 'ExitCode', message: '3' }];
      socket.send(
        message(3, JSON.stringify({ status: 'Failure', reason: 'NonZeroExitCode', details: { causes } })),
      );
      socket.close();
    });
  };
  const note = (bytes: Uint8Array): void => void said.push(new TextDecoder().decode(bytes));
  const session = await open({ stdin: true, onStdout: note, onStderr: note });
  session.write('hello');
  session.resize(80, 24);
  session.closeStdin();
  expect(await session.ended).toEqual({ exitCode: 3 });
  expect(said).toEqual(['HELLO', '{"Width":80,"Height":24}']);
  const query = 'command=sh&command=-c&command=a+b&container=c&stdin=true&stdout=true&stderr=true&tty=false';
  expect(asked).toEqual([`Bearer secret a, b /behind/api/v1/namespaces/n/pods/p/exec?${query}`]);
});

it('ends well, breaks, or is ended', async () => {
  serve = (socket) => socket.send(message(3, '{"status":"Success"}'));
  expect(await (await open()).ended).toEqual({ exitCode: 0 });
  serve = (socket) => socket.terminate();
  await expect((await open()).ended).rejects.toThrow(/connection closed/);
  serve = () => {};
  const stop = new AbortController();
  const session = await open({ signal: stop.signal });
  stop.abort();
  await expect(session.ended).rejects.toThrow(/abort/);
});

it('is refused with what the server says', async () => {
  const status = JSON.stringify({
    kind: 'Status',
    reason: 'Forbidden',
    message: 'pods/exec is forbidden',
    code: 403,
  });
  refusal = `HTTP/1.1 403 Forbidden\r\ncontent-length: ${status.length}\r\nconnection: close\r\n\r\n${status}`;
  const error: unknown = await open().catch((thrown: unknown) => thrown);
  expect([isForbidden(error), String(error)]).toEqual([
    true,
    expect.stringContaining('pods/exec is forbidden'),
  ]);
  refusal = undefined;
});
