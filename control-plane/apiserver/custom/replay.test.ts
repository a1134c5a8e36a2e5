/** What a 1.36.2 answered about definitions and custom objects, asked again. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { systemClock } from '#base/clock.ts';
import {
  replayed,
  type ObservedStep,
  type Otherwise,
} from '#control-plane/apiserver/observed/observed-step.fixture.ts';
import {
  startTestServer,
  type Answer,
  type Json,
  type TestServer,
} from '#control-plane/apiserver/test-server.fixture.ts';
import { definitionsPath } from './definition.fixture.ts';
import { observedSteps } from './replay.fixture.ts';

let test: TestServer;
beforeAll(async () => {
  // Entries of managedFields of one second are in the order of their managers: all of it is of one.
  const nowMs = systemClock.now();
  test = await startTestServer({ clock: { ...systemClock, now: () => nowMs } });
  await test.make('/api/v1/namespaces', { metadata: { name: 'cr' } });
});
afterAll(() => test[Symbol.asyncDispose]());

/** What follows a write of a definition was asked a moment later. */
async function settled(step: ObservedStep): Promise<void> {
  if (!step.path.startsWith(definitionsPath) || step.method === 'GET') return;
  const deadline = AbortSignal.timeout(150_000);
  for (;;) {
    const { json } = await test.call('GET', definitionsPath);
    const all = JSON.parse(JSON.stringify(json['items'])) as readonly Json[];
    if (all.every(({ status }) => Array.isArray(status?.['conditions'])) || deadline.aborted) return;
  }
}

async function replay(step: ObservedStep): Promise<readonly string[]> {
  const found = await replayed(step, otherwise, ask);
  await settled(step);
  return found;
}

async function ask({ method, path, body, headers }: ObservedStep): Promise<Answer> {
  const stamped = body?.replace(/"resourceVersion":"\d+"/, `"resourceVersion":"${await revisionOf(path)}"`);
  return test.call(method, path, {
    ...(stamped === undefined ? {} : { body: stamped }),
    headers: { ...headers, 'user-agent': 'obs/1' },
  });
}

async function revisionOf(path: string): Promise<string> {
  const { json } = await test.call('GET', path.replace(/\?.*/, ''));
  return String(json?.['metadata']?.['resourceVersion'] ?? '');
}

const otherwise: Otherwise = new Map([
  [293, 'the order there is that of a map of Go'],
  [366, 'a refusal is told in JSON, whatever was asked for'],
  [376, 'a fault of the observed server'],
  [403, 'what is held by finalizers is among what is told of'],
  [493, 'a fault of the observed server: nobody gets at the object'],
  [738, 'the body is cut in the file'],
  [741, 'the body is cut in the file'],
]);

describe.each([1, 2, 3, 4, 5, 6, 7, 8])('section %i', (section) => {
  const steps = observedSteps([section]);

  it.each(steps)('$line $label', async (step) => {
    const found = await replay(step);
    if (otherwise.has(step.line)) expect(found).not.toEqual([]);
    else expect(found).toEqual([]);
  });
});
