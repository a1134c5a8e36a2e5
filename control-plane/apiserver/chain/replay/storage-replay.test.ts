/** Under which keys a 1.36.2 keeps what it is given, and as what where it is encrypted, done again in the same order (storage-observed-1.36.2.txt). */
import { readFileSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { encryptedPlace, type Place } from '#control-plane/apiserver/encryption/encrypted-server.fixture.ts';
import { replayed, type Otherwise } from '#control-plane/apiserver/observed/observed-step.fixture.ts';
import { makeRequest } from '#control-plane/apiserver/pki/make-request.ts';
import type { TestServer } from '#control-plane/apiserver/test-server.fixture.ts';
import { askAs, prepareUntil, readSteps, type AccessStep } from './replay.fixture.ts';

const file = 'storage-observed-1.36.2.txt';
const { steps, done } = readSteps(file);

const asJson = 'here all objects are stored as JSON, custom or not';
const otherwise: Otherwise = new Map([
  [50, 'no server here asks another for kinds that it does not know itself'],
  [67, asJson],
  [68, asJson],
  [69, 'the metadata comes first'],
  [84, asJson],
  [96, 'lists are of the store, of no cache that would have to fill first'],
  [105, 'what a provider has is a key, which is not shown'],
  [113, 'the name of the file is told before'],
  [114, 'there is no scheme of that name'],
]);

/** A line that is no request: what was in the store, or how the server was started. */
type Line = Readonly<Record<'start' | 'key' | 'value' | 'refused', readonly string[] | undefined>>;

function readLine(text: string): Line {
  const match = (pattern: RegExp): readonly string[] | undefined => pattern.exec(text)?.slice(1);
  return {
    start: match(/^= (.*)$/),
    key: match(/^(\/registry\/.*\/).*? {2}\(\d+\)$/),
    value: match(/^(\/registry\/\S+): ['"](.*)['"]$/),
    refused: match(/^start with (.*?): (\[.*\]|Foo) -> (.*)$/),
  };
}

let place: Place;
let test: TestServer | undefined;
/** Of `done`, how many were. */
let doneCount = 0;
let preparations = done;
beforeAll(async () => {
  place = encryptedPlace();
  const { requestPem } = await makeRequest({ commonName: 'bob' });
  const request = Buffer.from(requestPem).toString('base64');
  preparations = done.map((one) => ({ ...one, body: one.body?.replace('$request', request) }));
});
afterAll(async () => {
  await test?.[Symbol.asyncDispose]();
  place[Symbol.dispose]();
});

const rows = readFileSync(new URL(file, import.meta.url), 'utf8')
  .split('\n')
  .flatMap((text, index) => {
    const line = index + 1;
    const step = steps.find((one) => one.line === line);
    const read = readLine(text);
    const isOne = Object.values(read).some((found) => found !== undefined);
    return step === undefined && !isOne ? [] : [{ line, label: text.slice(0, 100), step, ...read }];
  });

it.each(rows)('$line $label', { timeout: 120_000 }, async ({ line, step, start, ...told }) => {
  if (start !== undefined) return restart(start[0] ?? '');
  if (told.refused !== undefined) return judge(line, await startedWith(told.refused));
  if (test === undefined) throw new Error('no server was started');
  doneCount = await prepareUntil(test, { done: preparations, doneCount, line });
  if (told.key !== undefined) return judge(line, await keyed(test, told.key[0] ?? ''));
  if (told.value !== undefined) return judge(line, await stored(told.value));
  if (step !== undefined) return judge(line, await asked(test, step));
});

function judge(line: number, found: readonly string[]): void {
  if (otherwise.has(line)) expect(found).not.toEqual([]);
  else expect(found).toEqual([]);
}

async function restart(resources: string): Promise<void> {
  await test?.[Symbol.asyncDispose]();
  test = await place.start(resources === 'plain' ? undefined : JSON.parse(resources));
}

async function asked(server: TestServer, step: AccessStep): Promise<readonly string[]> {
  return replayed(step, otherwise, (one) => askAs(server, one));
}

/** Whether there is a key below what is that of the kind. */
async function keyed({ server }: TestServer, prefix: string): Promise<readonly string[]> {
  const { values } = await server.store.range(prefix, { limit: 1 });
  return values.length === 0 ? [`nothing is below ${prefix}`] : [];
}

/** A value by what says how it is kept: the rest is another each time. */
async function stored([key = '', value = '']: readonly string[]): Promise<readonly string[]> {
  const [want = value] = /^k8s:enc:\w+:v1:\w+:/.exec(value) ?? [];
  const got = (await place.stored(key)).subarray(0, want.length).toString('latin1');
  return got === want ? [] : [`${JSON.stringify(got)} instead of ${want}`];
}

/** On a store of its own. */
async function startedWith([, resources = '', want = '']: readonly string[]): Promise<readonly string[]> {
  using place = encryptedPlace();

  const path = place.configure(resources === 'Foo' ? [] : JSON.parse(resources));
  if (resources === 'Foo') writeFileSync(path, 'kind: Foo\napiVersion: apiserver.config.k8s.io/v1');
  try {
    await using _server = await place.start(undefined, { encryption: { path, isReloaded: false } });

    return want === 'starts' ? [] : ['it starts'];
  } catch (error) {
    return String(error).includes(want) ? [] : [String(error)];
  }
}
