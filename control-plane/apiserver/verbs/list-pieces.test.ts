import { once } from 'node:events';
import { connect, type ClientHttp2Session } from 'node:http2';
import { Agent, request as requestHttp1 } from 'node:https';
import type { AddressInfo } from 'node:net';
import { expect, test } from 'vitest';
import { silentLogger } from '#base/log.ts';
import { createAuthority } from '#control-plane/apiserver/pki/certificate.ts';
import { createHttpServer } from '#control-plane/apiserver/serve/http-server.ts';
import { pieceBytes, PiecePool } from '#control-plane/apiserver/serve/piece-pool.ts';
import { RequestTurns } from '#control-plane/apiserver/serve/request-turns.ts';
import { streamedResponse } from '#control-plane/apiserver/serve/respond.ts';
import { listOfRows, Row } from './list-body.ts';

test('memory of pieces is used again, and only what is of the pool', () => {
  const pool = new PiecePool();
  const piece = pool.take();
  pool.give(piece.subarray(0, 10));
  expect(pool.take().buffer).toBe(piece.buffer);
  const others = Buffer.allocUnsafeSlow(pieceBytes);
  pool.give(others);
  expect(pool.take().buffer).not.toBe(others.buffer);
});

const rowsOfEach = 1000;

/** What whoever asks for `/ID` gets: rows that say ID and nothing else. */
function rowsOf(id: string): readonly Row[] {
  return Array.from({ length: rowsOfEach }, (_none, i) => new Row({ id, i, filling: id.repeat(400) }));
}

test('each of many clients, of whom some leave in the middle, gets its own list', async () => {
  const serving = await createAuthority('test', Date.now());
  const server = createHttpServer({
    ...{ turns: new RequestTurns(), serving, caCertPem: serving.certPem, logger: silentLogger },
    handle: async ({ path }) =>
      streamedResponse(listOfRows('{"rows":[]}', rowsOf(path.slice(1))), { format: 'json', pretty: false }),
    upgrade: async () => {},
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const agent = new Agent({ rejectUnauthorized: false });
  const check = async (body: AsyncIterable<Buffer>, id: string): Promise<void> => {
    const { rows } = JSON.parse(Buffer.concat(await Array.fromAsync(body)).toString());
    expect(rows).toHaveLength(rowsOfEach);
    for (const [at, row] of rows.entries()) {
      if (row.id !== id || row.i !== at || row.filling !== id.repeat(400)) expect(row).toEqual({ id, i: at });
    }
  };
  const askHttp1 = async (id: string): Promise<void> => {
    const [answer] = await once(
      requestHttp1({ host: '127.0.0.1', port, agent, path: `/${id}` }).end(),
      'response',
    );
    await check(answer, id);
  };
  const leave = async (session: ClientHttp2Session): Promise<void> => {
    const stream = session.request({ ':path': '/zz' }).on('error', () => undefined);
    await once(stream, 'data');
    stream.destroy();
  };
  const sessions = Array.from({ length: 12 }, () =>
    connect(`https://127.0.0.1:${port}`, { rejectUnauthorized: false }),
  );
  for (let round = 0; round < 3; round++) {
    await Promise.all(
      sessions.flatMap((session, i) => [
        check(session.request({ ':path': `/${round}${i}` }), `${round}${i}`),
        leave(session),
        askHttp1(`${i}${round}`),
      ]),
    );
  }
  for (const session of sessions) session.destroy();
  agent.destroy();
  server.close();
});
