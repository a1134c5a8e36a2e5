/** What a 1.36.2 made of requests for certificates, asked again in the same order, with what was done in between. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { at } from '#api/wire/json.ts';
import { replayed, type Otherwise } from '#control-plane/apiserver/observed/observed-step.fixture.ts';
import { makeRequest } from '#control-plane/apiserver/pki/make-request.ts';
import type { Answer } from '#control-plane/apiserver/test-server.fixture.ts';
import {
  startTestCluster,
  type TestCluster,
} from '#control-plane/controllers/certificates/certificates.fixture.ts';
import { certificateText } from './certificate-text.fixture.ts';
import { askAs, prepareUntil, readSteps, type AccessStep } from './replay.fixture.ts';

const { steps, done } = readSteps('certificates-observed-1.36.2.txt');

const otherwise: Otherwise = new Map();

let cluster: TestCluster;
/** Of `done`, how many were. */
let doneCount = 0;
beforeAll(async () => {
  cluster = await startTestCluster();
});
afterAll(() => cluster[Symbol.asyncDispose]());

it.each(steps)('$line $label', async (step) => {
  doneCount = await prepareUntil(cluster.test, { done, doneCount, line: step.line });
  const found = await replayed(step, otherwise, ask);
  if (otherwise.has(step.line)) expect(found).not.toEqual([]);
  else expect(found).toEqual([]);
});

async function ask(step: AccessStep): Promise<Answer> {
  const answer = await askAs(cluster.test, { ...step, body: await filled(step.body) });
  const certificate = at(answer.json, 'status.certificate');
  if (typeof certificate !== 'string') return { ...answer, json: masked(answer.json) };
  const { caCertPem } = cluster.test.server;
  const issued = await certificateText(Buffer.from(certificate, 'base64'), {
    ...{ caCertPem, observedName: 'CN = kubernetes-ca' },
  });
  return { ...answer, json: masked({ ...answer.json, certificate: issued }) };
}

/** With a request for the subject that is told, `/O=…/CN=…`, and other names, `DNS:…,IP:…`. */
async function filled(body: string | undefined): Promise<string | undefined> {
  const [whole = '', subject = '', names = ''] = /\$request\(([^;)]*)(?:; ([^)]*))?\)/.exec(body ?? '') ?? [];
  if (whole === '') return body;
  const of = (name: string): readonly string[] =>
    subject.split('/').flatMap((part) => (part.startsWith(`${name}=`) ? [part.slice(name.length + 1)] : []));
  const hosts = names.split(',').flatMap((one) => (one === '' ? [] : [one.slice(one.indexOf(':') + 1)]));
  const { requestPem } = await makeRequest({
    ...{ commonName: of('CN')[0] ?? '', organizations: of('O'), hosts },
  });
  return body?.replace(whole, Buffer.from(requestPem).toString('base64'));
}

/** A request as the file cuts it. */
function masked(json: unknown): Answer['json'] {
  return JSON.parse(JSON.stringify(json).replaceAll(/("request":"LS0t)[^"]*/g, '$1…'));
}
