import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { contextWith } from '#control-plane/apiserver/chain/admission/admission.fixture.ts';
import { createHookCaller, type Called } from './hook-caller.ts';
import { reviewOf, startHookServer, type HookServer } from './hook-server.fixture.ts';
import { redirectOf, type Redirecting } from './redirect.ts';

const url = new URL('https://hook.example.com:8443/a/b?timeout=10s');

describe('redirectOf()', () => {
  it.each<{ readonly given: Partial<Redirecting>; readonly want: string }>([
    { given: { code: 200 }, want: 'none' },
    { given: { code: 304 }, want: 'none' },
    { given: { code: 307, location: '/c' }, want: 'POST https://hook.example.com:8443/c' },
    { given: { code: 308, location: 'c?d=e' }, want: 'POST https://hook.example.com:8443/a/c?d=e' },
    { given: { code: 308, location: '/c', method: 'GET' }, want: 'GET https://hook.example.com:8443/c' },
    { given: { code: 301, location: 'https://other.example.com/' }, want: 'GET https://other.example.com/' },
    { given: { code: 302, location: '/c' }, want: 'GET https://hook.example.com:8443/c' },
    { given: { code: 303, location: '/c' }, want: 'GET https://hook.example.com:8443/c' },
    { given: { code: 307 }, want: 'none' },
    { given: { code: 302 }, want: '302 response missing Location header' },
    { given: { code: 307, location: 'https://[' }, want: 'failed to parse Location header "https://["' },
    {
      given: { code: 307, location: 'http://hook.example.com/' },
      want: 'http:// in a redirect is not followed',
    },
    { given: { code: 307, location: 'file:///etc/passwd' }, want: 'file:// in a redirect is not followed' },
  ])('of $given', ({ given, want }) => {
    const found = redirectOf({ code: 200, location: undefined, url, method: 'POST', ...given });
    const shown =
      found === undefined ? 'none' : 'reason' in found ? found.reason : `${found.method} ${found.url.href}`;
    expect(shown).toBe(want);
  });
});

describe('a hook that leads elsewhere', () => {
  let [first, second]: HookServer[] = [];
  beforeAll(async () => {
    [first, second] = [await startHookServer(), await startHookServer()];
  });
  afterAll(async () => {
    await first?.[Symbol.asyncDispose]();
    await second?.[Symbol.asyncDispose]();
  });
  const calling = async (code: number, location: string, timeoutMs = 10_000): Promise<Called> => {
    if (first === undefined || second === undefined) throw new Error('not started');
    first.on('/r', (_call, response) => void response.writeHead(code, { location }).end());
    for (const server of [first, second])
      server.on('/ok', ({ review }) => JSON.stringify(reviewOf(review, { allowed: true })));
    const trusted = [first, second].map(({ caBundle }) => Buffer.from(caBundle, 'base64').toString('utf8'));
    const { registry } = await contextWith([]);
    using caller = createHookCaller({ registry });

    const place = { kind: 'url', url: `https://127.0.0.1:${first.port}/r` } as const;
    const question = { apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview', request: { uid: 'u' } };
    const identity = (): { readonly token: string } => ({ token: 'secret' });
    return await caller.call({ place, caPem: trusted.join('\n') }, question, { timeoutMs, identity });
  };

  it('is asked there, and a token is shown to nobody else', async () => {
    const answer = await calling(307, '/ok?x=y');
    expect(answer.body?.toString()).toContain('"uid":"u"');
    expect(first?.calls.at(-1)?.headers['authorization']).toBe('Bearer secret');
    const elsewhere = await calling(308, `https://127.0.0.1:${second?.port}/ok`);
    expect(elsewhere.body?.toString()).toContain('"uid":"u"');
    expect(second?.calls.at(-1)?.headers['authorization']).toBeUndefined();
  });

  it('without the question where the code says so', async () => {
    expect((await calling(302, '/ok')).body?.toString()).toContain('"response"');
    expect(first?.calls.at(-1)?.review).toEqual({});
  });

  it('in a circle ends', async () => {
    expect(await calling(307, '/r')).toMatchObject({
      reason: expect.stringMatching(/^Post "https:.*": stopped after 10 redirects$/),
    });
  });
});
