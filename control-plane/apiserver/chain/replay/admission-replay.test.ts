/** What a 1.36.2 answered about admission, asked again in the same order, with what was done in between. */
import { systemClock } from '#base/clock.ts';
import { afterAll, beforeAll, expect, it } from 'vitest';
import {
  replayed,
  type ObservedStep,
  type Otherwise,
} from '#control-plane/apiserver/observed/observed-step.fixture.ts';
import {
  startTestServer,
  type Answer,
  type TestServer,
} from '#control-plane/apiserver/test-server.fixture.ts';
import { prepareUntil, readSteps } from './replay.fixture.ts';

const { steps, done } = readSteps('admission-observed-1.36.2.txt');

const otherwise: Otherwise = new Map([[44, 'the order is that of a map of Go']]);

let test: TestServer;
/** Of `done`, how many were. */
let doneCount = 0;
beforeAll(async () => {
  // Each thing is made in a second of its own: of two defaults the newest counts.
  const clock = { ...systemClock, now: () => systemClock.now() + doneCount * 1000 };
  test = await startTestServer({ clock });
});
afterAll(() => test[Symbol.asyncDispose]());

it.each(steps)('$line $label', async (step) => {
  doneCount = await prepareUntil(test, { done, doneCount, line: step.line });
  const found = await replayed(step, otherwise, ask);
  if (otherwise.has(step.line)) expect(found).not.toEqual([]);
  else expect(found).toEqual([]);
});

async function ask({ method, path, headers, body }: ObservedStep): Promise<Answer> {
  return test.call(method, path, {
    headers: { 'user-agent': 'obs/1.0', 'content-type': 'application/json', ...headers },
    ...(body === undefined ? {} : { body }),
  });
}
