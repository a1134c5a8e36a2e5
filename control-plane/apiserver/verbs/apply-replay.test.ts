import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { systemClock } from '#base/clock.ts';
import { at, equalJson, goJson, isObject, listOf, objectOf, objectsOf } from '#api/wire/json.ts';
import {
  startTestServer,
  type Answer,
  type TestServer,
} from '#control-plane/apiserver/test-server.fixture.ts';
import { readSteps, type ObservedStep } from './replay.fixture.ts';

/*
 * What a kube-apiserver 1.36.2 answered to a long list of writes is asked of our server in the same order. In the file: "--- label";
 * "> METHOD path [kind of patch] body"; "! Warning: …"; "< code answer". "mf" is metadata.managedFields, "rv" and "gen" revision and
 * generation; T1, T2 … are seconds in their order, U1 … uids. Controllers, which a real cluster has, are not there: their entries are
 * left out of what is expected.
 */

const text = readFileSync(
  new URL('../../../api/fixtures/apply-observed-1.36.2.txt', import.meta.url),
  'utf8',
);
const sections = text.split(/^======== /m).slice(1);
const controllers = new Set(['kube-controller-manager', 'kube-scheduler']);

/** What the answer has of somebody who is not there, or is written down too short. */
const unlike: ReadonlyMap<string, string> = new Map([
  ['1 scale-apply force', 'the controller counts replicas'],
  [
    '1 pod-status-PATCH by a kubelet (manager from User-Agent kubelet/…)',
    'the scheduler made the list of conditions',
  ],
  ['5 … drop B', 'the scheduler made a condition'],
  ['5 pod conditions by type on status', 'the scheduler made a condition'],
  ['3 not YAML', 'the words of the YAML library'],
  ['9 delete collection of everything', 'somebody had made another object'],
]);

/** The part of the object that an answer tells of under the key. */
function part(object: unknown, key: string): unknown {
  if (key === 'mf') return at(object, 'metadata.managedFields') ?? null;
  if (key === 'la') {
    const annotations = objectOf(at(object, 'metadata.annotations'));
    return annotations;
  }
  return at(object, key) ?? '(absent)';
}

/** Of these steps not all entries of managedFields were written down. */
const partial = new Set(['5 another applier adds a container and an env var', '5 ownerReferences by uid']);

/** Writes that the file does not have, before a step. */
const before: ReadonlyMap<string, readonly [query: string, body: object]> = new Map([
  ['3 conflict with updater and appliers together', ['a1?fieldManager=up', { data: { u: '1' } }]],
]);

const variable = new Set([
  'uid',
  'resourceVersion',
  'creationTimestamp',
  'clusterIPs',
  'spec.clusterIPs',
  'rv',
  'gen',
]);

/** Without what differs from run to run; `[name, env]` for a container where it is written so. */
function essential(value: unknown): unknown {
  if (Array.isArray(value)) {
    return value
      .filter((item) => !(isObject(item) && 'fieldsV1' in item && controllers.has(String(item['manager']))))
      .map(essential);
  }
  if (typeof value === 'string') return /^\d{4}-\d\d-\d\dT.*Z$|^T\d+$/.test(value) ? 'TIME' : value;
  if (!isObject(value)) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([key]) => !variable.has(key))
      .map(([key, member]) => [key, essential(member)]),
  );
}

function shorten(want: unknown, got: unknown): unknown {
  if (!Array.isArray(want) || !Array.isArray(want[0]) || typeof want[0][0] !== 'string') return got;
  return objectsOf(got).map((container) => [container['name'], container['env'] ?? null]);
}

function check(step: ObservedStep, { json, headers, text: body }: Answer, isPartial: boolean): void {
  const { answer: want } = step;
  for (const warning of step.warnings) expect(headers['warning']).toContain(warning);
  if (step.status >= 400) return checkFailure(want, json);
  if (Array.isArray(want)) return checkList(want, json);
  if (!isObject(want) || Object.keys(want).some((key) => key.startsWith('k:'))) return;
  for (const [key, member] of Object.entries(want)) {
    if (variable.has(key)) continue;
    if (key === 'mf' && isPartial) checkList([member], json);
    else if (key === 'mf') {
      expect(goText(essential(part(json, 'mf')))).toBe(goText(essential(member)));
      expect(body.includes('"managedFields"')).toBe(member !== null);
    } else if (key === 'la' && isObject(member)) expect(part(json, 'la')).toEqual(member);
    else expect(essential(shorten(member, part(json, key)))).toEqual(essential(member));
  }
}

/** With members as they stand: the order of fields is told, too. */
function goText(value: unknown): string {
  const entries = objectsOf(value).map(
    ({ fieldsV1, ...entry }) => `${goJson(entry)} ${JSON.stringify(fieldsV1)}`,
  );
  return Array.isArray(value) ? entries.join('\n') : JSON.stringify(value);
}

function checkFailure(want: unknown, got: unknown): void {
  const { details, ...rest } = objectOf(want);
  const { causes, ...named } = objectOf(details);
  expect(got).toMatchObject({ ...rest, ...(details === undefined ? {} : { details: named }) });
  // Upstream checks some things several times, and tells managers in no order.
  const distinct = (list: unknown): readonly string[] => [...new Set(listOf(list).map(goJson))].toSorted();
  expect(distinct(at(got, 'details.causes'))).toEqual(distinct(causes));
}

/** A list: entries of managedFields and other parts of the object. */
function checkList(want: readonly unknown[], json: unknown): void {
  const entries = objectsOf(essential(part(json, 'mf')));
  const visit = (value: unknown): void => {
    if (Array.isArray(value)) value.forEach(visit);
    else if (isObject(value) && 'fieldsV1' in value)
      expect(
        entries.some((entry) => equalJson(entry, essential(value))) ||
          controllers.has(String(value['manager'])),
      ).toBe(true);
  };
  visit(want);
}

describe('a kube-apiserver 1.36.2', () => {
  let test: TestServer;
  let second = 0;
  const clock = { ...systemClock, now: () => Date.parse('2026-01-01T00:00:00Z') + second * 1000 };
  beforeAll(async () => {
    test = await startTestServer({ clock });
    const labels = { 'kubernetes.io/metadata.name': 'ap' };
    const headers = { 'user-agent': 'obs/1.0', 'content-type': 'application/json' };
    await test.call('POST', '/api/v1/namespaces', { body: { metadata: { name: 'ap', labels } }, headers });
    await test.make('/api/v1/namespaces/ap/serviceaccounts', { metadata: { name: 'default' } });
  });
  afterAll(() => test[Symbol.asyncDispose]());

  /** Kinds are served soon after their definition was made. */
  async function established(): Promise<void> {
    const path = '/apis/ap.example.com/v1/namespaces/ap/foos';
    await vi.waitFor(async () => expect((await test.call('GET', path)).status).toBe(200), 60_000);
  }

  for (const section of sections) {
    const [number = ''] = section;
    // Numbers of times begin anew.
    const base = number >= '9' ? 200 : number >= '5' ? 100 : 0;
    describe(section.split('\n')[0] ?? '', () => {
      const revisions = new Map<string, string>();
      const asked = (body: string): string =>
        body
          .replaceAll('"T11"', '"2026-01-01T00:00:11Z"')
          .replace(/("resourceVersion":")(\d+)/, (_all, start, rv) => `${start}${revisions.get(rv) ?? rv}`);
      let revision = '';
      let observed = '';
      const steps = readSteps(section).filter(({ body }) => !body.includes('…'));
      it.each(steps.map((step) => ({ ...step })))('$label', async (step) => {
        const times = JSON.stringify(step.answer).match(/"T\d+"/g) ?? [];
        second = Math.max(second, base, ...times.map((time) => base + Number(time.slice(2, -1))));
        const [query, patch] = before.get(`${number} ${step.label}`) ?? [];
        if (query !== undefined) {
          const merge = { 'content-type': 'application/merge-patch+json' };
          await test.call('PATCH', `/api/v1/namespaces/ap/configmaps/${query}`, {
            body: patch,
            headers: merge,
          });
        }
        const type = step.contentType ?? (step.body === '' ? undefined : 'application/json');
        const answer = await test.call(step.method, step.path, {
          headers: {
            'user-agent': step.userAgent ?? 'obs/1.0',
            ...(type === undefined ? {} : { 'content-type': type }),
          },
          ...(step.method === 'GET' || step.method === 'DELETE' ? {} : { body: asked(step.body) }),
        });
        expect({ status: answer.status, text: answer.status === step.status ? '' : answer.text }).toEqual({
          status: step.status,
          text: '',
        });
        if (step.label === 'CRD used') await established();
        const why = unlike.get(`${number} ${step.label}`);
        if (why === undefined) check(step, answer, partial.has(`${number} ${step.label}`));
        revisions.set(String(at(step.answer, 'rv')), String(at(answer.json, 'metadata.resourceVersion')));
        if (step.path.includes('/configmaps/') && step.status === 200) {
          const [before, observedBefore] = [revision, observed];
          revision = `${step.path.split('?')[0]} ${String(at(answer.json, 'metadata.resourceVersion'))}`;
          observed = `${step.path.split('?')[0]} ${String(at(step.answer, 'rv'))}`;
          const isNamed = observed.endsWith('undefined') || observedBefore.endsWith('undefined');
          if (!isNamed && before !== '' && before.split(' ')[0] === revision.split(' ')[0])
            expect(revision === before).toBe(observed === observedBefore);
        } else [revision, observed] = ['', ''];
      });
    });
  }
});
