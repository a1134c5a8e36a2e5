/** What a 1.36.2 answered who asked for tokens and had them reviewed, asked again in the same order, with what was done in between. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { at } from '#api/wire/json.ts';
import { replayed, type Otherwise } from '#control-plane/apiserver/observed/observed-step.fixture.ts';
import type { Answer, Json } from '#control-plane/apiserver/test-server.fixture.ts';
import {
  startTestCluster,
  type TestCluster,
} from '#control-plane/controllers/certificates/certificates.fixture.ts';
import { askUnknown, prepareUntil, readSteps, type AccessStep } from './replay.fixture.ts';

const { steps, done } = readSteps('tokens-observed-1.36.2.txt');

const otherwise: Otherwise = new Map([[98, 'here nobody who was let in is remembered once the pod is gone']]);

let cluster: TestCluster;
/** The last that was given. */
let token = '';
/** Uids as the observer calls them. */
const uids = new Map<string, string>();
/** Of `done`, how many were. */
let doneCount = 0;
beforeAll(async () => {
  // Without a limit of ours (decision 0025), as the observed server.
  const serviceAccounts = {
    issuers: ['https://kubernetes.default.svc.cluster.local'],
    maxTokenSeconds: 2 ** 32,
  };
  cluster = await startTestCluster(
    { authentication: { serviceAccounts } },
    (name) => name === 'serviceaccount-token-controller',
  );
});
afterAll(() => cluster[Symbol.asyncDispose]());

it.each(steps)('$line $label', async (step) => {
  doneCount = await prepareUntil(cluster.test, { done, doneCount, line: step.line });
  if (uids.size === 0) await nameUids();
  const found = await replayed(step, otherwise, ask);
  if (otherwise.has(step.line)) expect(found).not.toEqual([]);
  else expect(found).toEqual([]);
});

async function nameUids(): Promise<void> {
  for (const [name, path] of [
    ['U2', 'pods/pa'],
    ['U5', 'secrets/s-used'],
  ] as const) {
    const { json } = await cluster.test.call('GET', `/api/v1/namespaces/acc/${path}`);
    uids.set(name, String(json['metadata']?.['uid']));
  }
}

async function ask(step: AccessStep): Promise<Answer> {
  const end = token.lastIndexOf('.') + 1;
  const filled = (text: string): string =>
    text
      .replaceAll(/"(U[25])"/g, (name, uid: string) => `"${uids.get(uid) ?? name}"`)
      .replaceAll('$token', token)
      .replaceAll('$tampered', `${token.slice(0, end)}${'A'.repeat(token.length - end)}`);
  const { method, path, headers, body } = step;
  if (step.client === 'None')
    return askUnknown(cluster.test, {
      ...step,
      headers: { authorization: filled(headers['authorization'] ?? '') },
    });
  const answer = await cluster.test.call(method, path, {
    headers: { 'user-agent': 'obs/1.0', ...headers },
    ...(body === undefined ? {} : { body: filled(body) }),
  });
  const lying = at(answer.json, 'data.token');
  const given =
    typeof lying === 'string' ? Buffer.from(lying, 'base64').toString() : at(answer.json, 'status.token');
  if (typeof given !== 'string') return { ...answer, json: masked(answer.json) };
  token = given;
  const dataKeys = Object.keys(answer.json['data'] ?? {});
  return { ...answer, json: masked({ ...answer.json, dataKeys, claims: claimsOf(given) }) };
}

/** With times from its issue. */
function claimsOf(text: string): object {
  const claims: Readonly<Record<string, unknown>> = JSON.parse(
    Buffer.from(text.split('.')[1] ?? '', 'base64url').toString(),
  );
  const since = (name: string): object =>
    name in claims ? { [name]: `iat+${Number(claims[name]) - Number(claims['iat'])}` } : {};
  return { ...claims, ...since('iat'), ...since('nbf'), ...since('exp') };
}

/** Without what differs each time, days of use among it. */
function masked(json: unknown): Json {
  const text = JSON.stringify(json, (name, value: unknown) =>
    name === 'jti' || name === 'token' ? '…' : value,
  );
  return JSON.parse(
    text
      .replaceAll(/JTI=[0-9a-f-]+/g, 'JTI=…')
      .replaceAll(/(kube-api-access-)\w+/g, '$1…')
      .replaceAll(/(legacy-token-last-used":")[\d-]{10}"/g, '$1T1"')
      .replace(/(UID )\([\w-]{36}\)( does not match claim )\([\w-]{36}\)/, '$1(U9)$2(U8)'),
  );
}

it('shows its fields in the order of Go', async () => {
  const { json } = await cluster.test.call('POST', '/api/v1/namespaces/acc/serviceaccounts/default/token', {
    body: { spec: { expirationSeconds: 600, audiences: ['a'] } },
  });
  const want = ['name', 'namespace', 'uid', 'creationTimestamp', 'managedFields'];
  expect(Object.keys(json['metadata'] ?? {})).toEqual(want);
  expect(Object.keys(json['spec'] ?? {})).toEqual(['audiences', 'expirationSeconds', 'boundObjectRef']);
});
