import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { cms, deployments, ns, rows } from './error-rows.fixture.ts';
import { readRows } from './read-error-rows.fixture.ts';
import { writeRows } from './write-error-rows.fixture.ts';
import { deploymentNamed, startTestServer, type TestServer } from './test-server.fixture.ts';

describe('handle(): failures', () => {
  let test: TestServer;
  beforeAll(async () => {
    test = await startTestServer();
    await test.make(cms, { metadata: { name: 'x' } });
    await test.make(deployments, deploymentNamed('x'));
    await test.make(`${ns}/serviceaccounts`, { metadata: { name: 'default' } });
  });
  afterAll(() => test[Symbol.asyncDispose]());

  it.each([...rows, ...readRows, ...writeRows])(
    'answers $name',
    async ({ method = 'GET', path, options, status, want }) => {
      const answer = await test.call(method, path, options);
      expect(answer.json).toEqual(want);
      expect(answer.status).toBe(status);
    },
  );

  it('answers an unknown group in plain text', async () => {
    const answer = await test.call('GET', '/apis/nope/v1');
    expect(answer).toMatchObject({ status: 404, text: '404 page not found\n' });
  });

  it('names the uid that a write expected and the one that is', async () => {
    const answer = await test.call('PUT', `${cms}/x`, { body: { metadata: { name: 'x', uid: 'zz' } } });
    expect(answer.status).toBe(409);
    expect(answer.json['message']).toMatch(
      /^Operation cannot be fulfilled on configmaps "x": StorageError: invalid object, Code: 4, Key: \/registry\/configmaps\/default\/x, ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: UID in precondition: zz, UID in object meta: [-0-9a-f]{36}$/,
    );
  });

  it.each(['uid=zz', 'resourceVersion=1'])('deletes nothing else than the query says: %s', async (asked) => {
    for (const path of [`${cms}/x`, cms]) {
      expect((await test.call('DELETE', `${path}?${asked}`)).json).toMatchObject({ code: 409 });
    }
    expect((await test.call('GET', `${cms}/x`)).status).toBe(200);
  });

  it('names the uid that a deletion expected and the one that is', async () => {
    const answer = await test.call('DELETE', `${cms}/x`, { body: { preconditions: { uid: 'zz' } } });
    expect(answer.json).toMatchObject({ code: 409, details: { name: 'x', kind: 'ConfigMap' } });
    expect(answer.json['message']).toMatch(
      /the UID in the precondition \(zz\) does not match the UID in record \(/,
    );
  });
});
