import { describe, expect, it } from 'vitest';
import { createFakeClock } from '#base/clock.ts';
import { nextTurn } from '#base/time-slice.ts';
import type { Attributes } from '#control-plane/apiserver/chain/authz/authorizer.ts';
import type { User } from '#control-plane/apiserver/serve/request.ts';
import type { Json } from '#control-plane/apiserver/test-server.fixture.ts';
import { RequestRecord } from './record.ts';

const user: User = { name: 'alice', groups: [] };
const attributes: Attributes = {
  ...{ kind: 'resource', user, verb: 'create', group: '', version: 'v1', resource: 'configmaps' },
  ...{ subresource: '', namespace: 'n', name: '' },
};

/** The record of a POST, and what was written of it. */
function recordOf(isAwaited: boolean): { readonly record: RequestRecord; readonly written: Json[] } {
  const written: Json[] = [];
  const record = new RequestRecord({
    request: {
      ...{
        method: 'POST',
        path: '/api/v1/namespaces/n/configmaps',
        query: new URLSearchParams(),
        headers: {},
      },
      caller: { kind: 'in-process', user },
      readBody: async () => new Uint8Array(),
      signal: new AbortController().signal,
    },
    route: undefined,
    attributes,
    user,
    ruling: { level: 'Metadata', omitStages: new Set(), omitManagedFields: false },
    receivedMs: 0,
    clock: createFakeClock(),
    isAwaited,
    write: ({ json }) => {
      written.push(JSON.parse(json));
      return true;
    },
  });
  return { record, written };
}

const answer = { status: 201, headers: {}, body: new Uint8Array() };

/** What the server learns of it on its way. */
function learn(record: RequestRecord): void {
  record.decided({ decision: 'allow', reason: 'because' });
  record.saw({ metadata: { name: 'a' } });
}

describe('RequestRecord', () => {
  it('tells of an arrival that nobody waits for when the turn is over, as it was', async () => {
    const { record, written } = recordOf(false);
    expect(record.received()).toBe(true);
    learn(record);
    expect(written).toEqual([]);
    await nextTurn();
    expect(written).toMatchObject([{ stage: 'RequestReceived' }]);
    expect(written[0]).not.toHaveProperty('annotations');
    expect(written[0]?.['objectRef']).not.toHaveProperty('name');
    await record.answered(answer);
    expect(written[1]).toMatchObject({
      stage: 'ResponseComplete',
      objectRef: { name: 'a' },
      annotations: { 'authorization.k8s.io/decision': 'allow' },
    });
  });

  it('tells of an arrival before an answer in the same turn, and of whom somebody else is taken for', async () => {
    const { record, written } = recordOf(false);
    record.received();
    record.impersonates({ name: 'bob', groups: [] }, '');
    await record.answered(answer);
    await nextTurn();
    expect(written).toMatchObject([
      { stage: 'RequestReceived', user: { username: 'alice' } },
      { stage: 'ResponseComplete', impersonatedUser: { username: 'bob' } },
    ]);
    expect(written).toHaveLength(2);
    expect(written[0]).not.toHaveProperty('impersonatedUser');
  });

  it('tells of an arrival at once where a request waits for that', () => {
    const { record, written } = recordOf(true);
    record.received();
    expect(written).toMatchObject([{ stage: 'RequestReceived' }]);
  });
});
