/** What a 1.36.2 wrote of requests into its audit log, written again: all of each line but the order of its members (audit.test.ts). */
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startAudited, type AuditedServer } from '#control-plane/apiserver/chain/audit/audit.fixture.ts';
import { askAs, prepareUntil, readSteps } from './replay.fixture.ts';

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

let audited: AuditedServer;
beforeAll(async () => {
  audited = await startAudited(rules);
  await prepareUntil(audited.test, { done, doneCount: 0, line: Number.POSITIVE_INFINITY });
});
afterAll(() => audited[Symbol.asyncDispose]());

it.each(steps)('$line $label', async (step) => {
  const before = audited.texts().length;
  expect((await askAs(audited.test, step)).status).toBe(step.status);
  const want = written.slice(step.line + 1);
  const count = want.findIndex((line) => !line.startsWith('{'));
  expect(audited.texts().slice(before).map(masked)).toEqual(want.slice(0, count).map(masked));
});

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
