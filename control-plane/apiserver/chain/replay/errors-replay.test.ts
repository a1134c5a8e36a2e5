/** What a 1.36.2 refused, listed, patched and deleted, asked again in the same order, with what was done in between. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { at, stringOf } from '#api/wire/json.ts';
import { replayed, type Otherwise } from '#control-plane/apiserver/observed/observed-step.fixture.ts';
import {
  startTestServer,
  type Answer,
  type TestServer,
} from '#control-plane/apiserver/test-server.fixture.ts';
import { askUnknown, prepareUntil, readSteps, type AccessStep } from './replay.fixture.ts';

const files: ReadonlyMap<string, Otherwise> = new Map([
  ['errors-observed-1.36.2.txt', new Map()],
  ['patch-delete-observed-1.36.2.txt', new Map()],
  ['watch-list-observed-1.36.2.txt', new Map()],
]);

describe.each([...files])('%s', (file, otherwise) => {
  const { steps, done } = readSteps(file);
  let test: TestServer;
  /** Of `done`, how many were. */
  let doneCount = 0;
  /** The resourceVersion of what was created last. */
  let made = '';
  /** The token of the last list in pieces. */
  let rest = '';
  beforeAll(async () => {
    test = await startTestServer();
  });
  afterAll(() => test[Symbol.asyncDispose]());

  it.each(steps)('$line $label', async (step) => {
    doneCount = await prepareUntil(test, { done, doneCount, line: step.line });
    const uid = step.answer.includes('$uid') ? await uidOf(step.path) : '';
    const asked = { ...step, answer: step.answer.replaceAll('$uid', uid) };
    const found = await replayed(asked, otherwise, ask);
    if (otherwise.has(step.line)) expect(found).not.toEqual([]);
    else expect(found).toEqual([]);
  });

  async function uidOf(path: string): Promise<string> {
    return String((await test.call('GET', path)).json['metadata']?.['uid']);
  }

  async function ask(step: AccessStep): Promise<Answer> {
    const { method, path, headers, client, body } = step;
    if (client === 'None') return askUnknown(test, step);
    const answer = await test.call(method, path.replace('$continue', rest), {
      headers: { 'user-agent': 'obs/1.0', ...headers },
      ...(body === undefined ? {} : { body: body.replaceAll('$made', made) }),
    });
    if (answer.status === 201) made = String(answer.json['metadata']?.['resourceVersion']);
    rest = stringOf(at(answer.json, 'metadata.continue'));
    return answer;
  }
});
