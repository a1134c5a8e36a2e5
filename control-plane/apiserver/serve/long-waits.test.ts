import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { podNamed, startTestServer, type TestServer } from '#control-plane/apiserver/test-server.fixture.ts';

/** Seconds and milliseconds beyond 31 and 53 bits, in every place of the API that says how long. */
const pods = '/api/v1/namespaces/default/pods';

describe('durations beyond 2^31 ms', () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await startTestServer();
    await server.make('/api/v1/namespaces/default/serviceaccounts', { metadata: { name: 'default' } });
    await server.make('/api/v1/nodes', { metadata: { name: 'n' } });
  });
  afterAll(() => server[Symbol.asyncDispose]());

  it.each(['2147484', '3000000', '9007199254740993', '9223372036854775807'])(
    'a watch of timeoutSeconds=%s is open after others have ended',
    async (timeoutSeconds) => {
      const stop = new AbortController();
      const watch = server.watch(`${pods}?watch=true&timeoutSeconds=${timeoutSeconds}`, stop.signal);
      const first = watch.next();
      // As long as a wait that is over after a millisecond would take, and more.
      const short = server.watch(`${pods}?watch=true&timeoutSeconds=1`, stop.signal);
      for await (const _event of short);
      const name = `w${timeoutSeconds}`;
      await server.make(pods, podNamed(name));
      for (let event = await first; ; event = await watch.next()) {
        expect(event.done).toBe(false);
        if (event.value?.['object']?.['metadata']?.['name'] === (name as unknown)) break;
      }
      stop.abort();
    },
  );

  it.each([2 ** 31, 2 ** 40, 2 ** 53 - 1])('a grace of %d s is written down as it is', async (seconds) => {
    const name = `g${seconds}`;
    const spec = { nodeName: 'n', containers: [{ name: 'c', image: 'i' }] };
    await server.make(pods, {
      metadata: { name },
      spec: { ...spec, terminationGracePeriodSeconds: seconds },
    });
    const deleted = await server.call('DELETE', `${pods}/${name}`);
    expect(deleted.status).toBe(200);
    expect(deleted.json['metadata']?.['deletionGracePeriodSeconds']).toBe(seconds);
    expect(String(deleted.json['metadata']?.['deletionTimestamp'])).toMatch(/^\d{4}-\d\d-\d\dT[\d:]{8}Z$/);
  });

  it.each(['-9007199254740993', 'NaN', '1e3', '9007199254740992'])(
    'gracePeriodSeconds=%s is answered without an internal error',
    async (grace) => {
      const name = `x${grace.toLowerCase()}`;
      await server.make(pods, {
        ...podNamed(name),
        spec: { nodeName: 'n', containers: [{ name: 'c', image: 'i' }] },
      });
      const { status } = await server.call('DELETE', `${pods}/${name}?gracePeriodSeconds=${grace}`);
      expect(status).toBeLessThan(500);
    },
  );
});
