import { describe, expect, it } from 'vitest';
import { RequestsAsked } from '#client/requests/requests-asked.ts';
import type { Transport, TransportRequest, TransportResponse } from '#client/transport.ts';
import { renderAsked } from './asked-metrics.ts';

describe('renderAsked()', () => {
  it('tells answers by code, what had none, and how long they took', async () => {
    let nowMs = 0;
    const asked = new RequestsAsked('api:6443', { monotonic: () => nowMs });
    const transport = asked.of({
      request: async ({ method }: TransportRequest) => {
        nowMs += 300;
        if (method === 'POST') return Promise.reject(new Error('gone'));
        return { status: 200 } as TransportResponse;
      },
      [Symbol.asyncDispose]: async () => undefined,
    } satisfies Transport);
    await transport.request({ method: 'GET' } as TransportRequest);
    await transport.request({ method: 'POST' } as TransportRequest).catch(() => undefined);
    expect(renderAsked(asked).split('\n')).toEqual(
      expect.arrayContaining([
        'rest_client_requests_total{code="200",host="api:6443",method="GET"} 1',
        'rest_client_requests_total{code="<error>",host="api:6443",method="POST"} 1',
        'rest_client_request_duration_seconds_bucket{host="api:6443",verb="GET",le="0.25"} 0',
        'rest_client_request_duration_seconds_bucket{host="api:6443",verb="GET",le="0.5"} 1',
        'rest_client_request_duration_seconds_sum{host="api:6443",verb="GET"} 0.3',
        'rest_client_request_duration_seconds_count{host="api:6443",verb="POST"} 1',
      ]),
    );
  });
});
