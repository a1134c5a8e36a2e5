/** What a 1.36.2 wrote of requests into its audit log, written again: all of each line but the order of its members (audit.test.ts). */
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startAudited, type AuditedServer } from '#control-plane/apiserver/chain/audit/audit.fixture.ts';
import type { User } from '#control-plane/apiserver/serve/request.ts';
import { wholeBody } from '#control-plane/apiserver/test-server.fixture.ts';
import { askUnknown, prepareUntil, readSteps, type AccessStep } from './replay.fixture.ts';

const file = 'audit-observed-1.36.2.txt';
const { steps, done } = readSteps(file);
const written = readFileSync(new URL(file, import.meta.url), 'utf8').split('\n');

const rules = `
omitStages: [RequestReceived]
rules:
- level: None
  users: ['system:apiserver', tester]
- level: RequestResponse
  namespaces: [audit-rr]
- level: Request
  namespaces: [audit-r]
- level: Metadata
  namespaces: [audit-m]
- level: Metadata
  nonResourceURLs: [/version]
- level: None
`;

const known = (name: string, group: string, hash: string): User => ({
  ...{ name, groups: [group, 'system:authenticated'] },
  extra: { 'authentication.kubernetes.io/credential-id': [`X509SHA256=${hash}`] },
});
const bob = known('bob', 'devs', '38cf6372744d74d030d655fb3bc4a48f83f1189975e0dd35709328fc1e175483');
const admin = known(
  'kubernetes-admin',
  'system:masters',
  '215f708da628ebf706c2e2c45e7a17b34f58a17542460a8b2f3a741bfeb1e11e',
);

let audited: AuditedServer;
beforeAll(async () => {
  audited = await startAudited(rules);
  await prepareUntil(audited.test, { done, doneCount: 0, line: Number.POSITIVE_INFINITY });
});
afterAll(() => audited[Symbol.asyncDispose]());

it.each(steps)('$line $label', async (step) => {
  const before = audited.texts().length;
  expect(await ask(step)).toBe(step.status);
  const want = written.slice(step.line + 1);
  const count = want.findIndex((line) => !line.startsWith('{'));
  expect(audited.texts().slice(before).map(masked)).toEqual(want.slice(0, count).map(masked));
});

/** @returns the code */
async function ask(step: AccessStep): Promise<number> {
  const headers = { 'user-agent': 'obs/1.0', ...step.headers };
  if (step.client === 'None') return (await askUnknown(audited.test, { ...step, headers })).status;
  const response = await audited.test.server.transport(step.client === 'bob' ? bob : admin).request({
    ...{ method: step.method, path: step.path },
    headers: { 'content-type': 'application/json', ...headers },
    ...(step.body === undefined ? {} : { body: Buffer.from(step.body) }),
    stream: step.path.includes('watch=1'),
  });
  await wholeBody(response.body);
  return response.status;
}

/** Without what differs each time, and with what is hidden here (decision 0034). */
function masked(line: string): unknown {
  return JSON.parse(
    line
      .replaceAll(/("(?:auditID|uid)":"|JTI=)[\w-]+/g, '$1…')
      .replaceAll(/("(?:resourceVersion|\w*[tT]imestamp|time)":)"[^"]*"/g, '$1"…"')
      .replace(/("sourceIPs":)\["[\d.]+"\]/, '$1"…"')
      .replaceAll('"data":{"a":"Yg=="}', '"data":{"a":"REDACTED"}'),
  );
}
