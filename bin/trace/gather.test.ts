import { describe, expect, it } from 'vitest';
import type { ApiClient } from '#client/client.ts';
import { gatherFacts, nodesMax, parseFacts } from './gather.ts';
import { healthy } from './world.fixture.ts';

const facts = healthy.facts.get('n1');

function clientOf(answers: Readonly<Record<string, { readonly status: number; readonly body: string }>>): {
  readonly client: ApiClient;
  readonly asked: readonly string[];
} {
  const asked: string[] = [];
  const raw = async (_method: string, path: string) => {
    asked.push(path);
    const answer = answers[path.split('/')[4] ?? ''];
    if (answer === undefined) throw new Error('connection refused');
    return answer;
  };
  return { client: { raw } as unknown as ApiClient, asked };
}

describe('gatherFacts()', () => {
  it('asks each node about its pods, and takes what does not answer for silence', async () => {
    const { client, asked } = clientOf({
      n1: { status: 200, body: JSON.stringify(facts) },
      n2: { status: 403, body: '{"kind":"Status","message":"nodes is forbidden"}' },
      n3: { status: 404, body: '404 page not found\n' },
      n4: { status: 200, body: '{"node":"n4"}' },
    });
    const wanted = new Map(['n1', 'n2', 'n3', 'n4', 'n5'].map((name) => [name, new Set(['u 1'])]));
    expect(await gatherFacts(client, wanted)).toEqual(
      new Map<string, unknown>([
        ['n1', facts],
        ['n2', { problem: '403: nodes is forbidden' }],
        ['n3', { problem: '404: 404 page not found' }],
        ['n4', { problem: expect.stringContaining('not of an agent') }],
        ['n5', { problem: 'connection refused' }],
      ]),
    );
    expect(asked[0]).toBe('/api/v1/nodes/n1/proxy/networkfacts?pod=u%201');
  });

  it('asks so many nodes at most', async () => {
    const { client, asked } = clientOf({});
    const wanted = new Map(Array.from({ length: nodesMax + 4 }, (_, i) => [`n${i}`, new Set<string>()]));
    expect((await gatherFacts(client, wanted)).size).toBe(nodesMax);
    expect(asked).toHaveLength(nodesMax);
  });
});

it('parseFacts() takes only what is whole', () => {
  expect(parseFacts(JSON.stringify(facts))).toEqual(facts);
  for (const body of ['null', '{}', '[]', '{"node":1}', 'x']) expect(() => parseFacts(body)).toThrow();
});
