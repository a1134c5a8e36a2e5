import { describe, expect, it } from 'vitest';
import { createRecordedLog } from '#base/recorded-log.fixture.ts';
import { forbidden, unauthorized } from '#api/errors/status.ts';
import type { ApiRequest } from './request.ts';
import { tellRefusal, tellSlow } from './tell-request.ts';

const request = (headers: ApiRequest['headers'] = {}): ApiRequest => ({
  method: 'POST',
  path: '/api/v1/namespaces/default/secrets',
  query: new URLSearchParams('token=hunter2'),
  headers,
  caller: { kind: 'network', address: '192.0.2.7' },
  readBody: async () => Buffer.from('hunter2'),
  signal: new AbortController().signal,
});

describe('the log of the API server', () => {
  it.each([
    {
      name: 'a failed authentication by who and where',
      given: [request({ authorization: 'Bearer hunter2' }), 401, unauthorized()] as const,
      want: { level: 'warn', message: 'authentication failed', from: '192.0.2.7', by: 'bearer token' },
    },
    {
      name: 'a refusal of admission at debug',
      given: [request(), 403, forbidden({ group: '', resource: 'secrets' }, 'x', 'quota: hunter2')] as const,
      want: { level: 'debug', message: 'request refused', code: 403, reason: 'Forbidden' },
    },
    {
      name: 'a failure as one',
      given: [request(), 500, new Error('disk')] as const,
      want: {
        level: 'error',
        message: 'request failed',
        error: 'disk',
        path: '/api/v1/namespaces/default/secrets',
      },
    },
  ])('tells $name, and no secrets', ({ given: [asked, status, error], want }) => {
    const { log, lines } = createRecordedLog();
    tellRefusal({ logger: log }, asked, { status, error });
    expect(lines).toEqual([expect.objectContaining(want)]);
    expect(JSON.stringify(lines)).not.toContain('hunter2');
  });

  it('passes over the ordinary course', () => {
    const { log, lines } = createRecordedLog();
    for (const status of [404, 409, 410, 429]) tellRefusal({ logger: log }, request(), { status, error: '' });
    expect(lines).toEqual([]);
  });

  it('tells slow requests', () => {
    const { log, lines } = createRecordedLog();
    tellSlow({ logger: log }, request(), { verb: 'list', status: 200, seconds: 1.5 });
    expect(lines).toMatchObject([{ level: 'warn', message: 'slow request', verb: 'list', ms: 1500 }]);
  });
});
