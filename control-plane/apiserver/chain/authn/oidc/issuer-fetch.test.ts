import { describe, expect, it } from 'vitest';
import { startTestIssuer } from './issuer.fixture.ts';
import { fetchJson, fetchText } from './issuer-fetch.ts';

describe('fetchText()', () => {
  it('reads what is there, and no more than a mebibyte', async () => {
    await using issuer = await startTestIssuer();

    const { url, caPem } = issuer;
    const asking = { caPem, token: 'claims' };
    issuer.documents.set('/short', 'text').set('/long', 'x'.repeat(1_048_577));
    expect(await fetchText(`${url}/short`, asking)).toBe('text');
    await expect(fetchText(`${url}/long`, asking)).rejects.toThrow(
      `get ${url}/long: longer than 1048576 bytes`,
    );
    await expect(fetchText(`${url}/short`, { caPem })).rejects.toThrow('the answer is 401');
    await expect(fetchText(`${url}/short`, { caPem: undefined })).rejects.toThrow(/certificate/);
    expect(await fetchText(`${url}/short`, { caPem, isAnswer: (status) => status === 401 })).toBe('text');
  });
});

describe('fetchJson()', () => {
  it('reads objects alone', async () => {
    await using issuer = await startTestIssuer();

    issuer.about = { a: 1 };
    expect(await fetchJson(`${issuer.url}/x`, issuer.caPem)).toEqual({ a: 1 });
  });
});
