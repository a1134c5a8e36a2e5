import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { describe, expect, it } from 'vitest';
import { systemClock } from '#base/clock.ts';
import { createWebhook, type Webhook } from './webhook.ts';

type Answer = (request: IncomingMessage, response: ServerResponse, count: number) => void;

/** A webhook, and who answers it. */
async function start(
  answer: Answer,
  options: { readonly timeoutMs?: number; readonly tries?: number } = {},
): Promise<{ readonly webhook: Webhook; readonly count: () => number } & AsyncDisposable> {
  let count = 0;
  const server = createServer((request, response) => {
    request.resume();
    request.once('end', () => answer(request, response, ++count));
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const clock = { ...systemClock, sleep: () => Promise.resolve() };
  const webhook = createWebhook({
    access: { server: `http://127.0.0.1:${port}/ask?x=1`, token: () => 'secret', clock },
    timeoutMs: 5000,
    ...options,
  });
  return {
    webhook,
    count: () => count,
    [Symbol.asyncDispose]: async () => {
      webhook[Symbol.dispose]();
      server.closeAllConnections();
      await once(server.close(), 'close');
    },
  };
}

describe('createWebhook()', () => {
  it('asks by POST where the kubeconfig says, with its token', async () => {
    await using asked = await start((request, response) => {
      const { method, url, headers } = request;
      response.end(JSON.stringify({ method, url, token: headers.authorization }));
    });
    expect(await asked.webhook.call({ kind: 'X' })).toEqual({
      method: 'POST',
      url: '/ask?x=1',
      token: 'Bearer secret',
    });
  });

  it('asks again where the answer may be another one', async () => {
    await using asked = await start((_, response, count) => {
      response.statusCode = [500, 429, 200][count - 1] ?? 200;
      response.end('{"ok":true}');
    });
    expect(await asked.webhook.call({})).toEqual({ ok: true });
    expect(asked.count()).toBe(3);
  });

  it.each([
    ['a refusal', 403, 'no', /the server answered 403: no$/],
    ['no JSON', 200, '<html>', /the answer is no JSON/],
    ['a list', 200, '[]', /the answer is no JSON object/],
    ['too much', 200, JSON.stringify('x'.repeat(4 << 20)), /longer than/],
  ])('does not ask again after %s', async (_, status, body, message) => {
    await using asked = await start((__, response) => {
      response.statusCode = status;
      response.end(body);
    });
    await expect(asked.webhook.call({})).rejects.toThrow(message);
    expect(asked.count()).toBe(1);
  });

  it('gives up after its tries, and after its time', async () => {
    await using broken = await start((request) => request.socket.destroy(), { tries: 2 });
    await expect(broken.webhook.call({})).rejects.toMatchObject({ code: 'E_CONNECTION' });
    expect(broken.count()).toBe(2);
    await using silent = await start(() => undefined, { tries: 1, timeoutMs: 50 });
    await expect(silent.webhook.call({})).rejects.toThrow(/timeout/);
  });

  it('leaves who waits for an answer unanswered when it ends', async () => {
    await using silent = await start(() => undefined);
    const asked = silent.webhook.call({});
    const refused = expect(asked).rejects.toMatchObject({ code: 'E_CONNECTION' });
    await expect.poll(silent.count).toBe(1);
    silent.webhook[Symbol.dispose]();
    await refused;
    expect(silent.count()).toBe(1);
  });
});
