import { describe, expect, test } from 'vitest';
import type { Path } from '#agent/network/fabric/paths.ts';
import { renderFabricCondition } from '#agent/network/fabric/health.ts';
import { diagnose, type Questions, type Reply } from './diagnose.ts';
import { answerTo, isAnswerTo, makeAsk } from './probe-message.ts';

const base = { node: 'b', destination: '10.244.2.0/24' };
const tunnel: Path = { ...base, kind: 'vxlan', remote: '192.0.2.2', mac: '02:00:00:00:00:01' };
const direct: Path = { ...base, kind: 'direct', gateway: '192.0.2.2' };

/** `passes`: the largest packet that is answered. */
function questions(
  passes: number,
  more: { readonly bare?: Reply; readonly node?: Reply; readonly errno?: Reply } = {},
) {
  let asked = 0;
  const ask: Questions = {
    pod: async (bytes) => {
      asked += 1;
      return bytes <= passes ? 'answered' : (more.errno ?? 'silent');
    },
    bare: more.bare === undefined ? undefined : async () => more.bare ?? 'silent',
    node: async () => more.node ?? 'silent',
  };
  return { ask, asked: () => asked };
}

const facts = { mtu: 1450, port: 8472 };

describe('diagnose()', () => {
  test('asks once where all is well', async () => {
    const { ask, asked } = questions(1450);
    expect(await diagnose(tunnel, facts, ask)).toBeUndefined();
    expect(asked()).toBe(1);
  });

  test.each([1449, 1400, 1280, 577, 576, 575, 101, 100])('finds that %d bytes pass', async (passes) => {
    const { ask, asked } = questions(passes);
    expect(await diagnose(tunnel, facts, ask)).toEqual({
      fault: 'MtuExceeded',
      passes,
      message: expect.stringContaining(`of 1450 bytes are lost, of ${passes} they pass`),
    });
    expect(asked()).toBeLessThan(16);
  });

  test('asks four times where the same size passes as before', async () => {
    const { ask, asked } = questions(1354);
    expect(await diagnose(tunnel, { ...facts, passed: 1354 }, ask)).toMatchObject({ passes: 1354 });
    expect(asked()).toBe(4);
    expect(await diagnose(tunnel, { ...facts, passed: 1300 }, questions(1354).ask)).toMatchObject({
      passes: 1354,
    });
    expect(await diagnose(tunnel, { ...facts, passed: 1400 }, questions(1354).ask)).toMatchObject({
      passes: 1354,
    });
  });

  test.each<[string, Path, Parameters<typeof questions>[1], string, RegExp]>([
    ['no route', tunnel, { errno: 'ENETUNREACH' }, 'NoRoute', /no route to 10.244.2.0\/24 \(ENETUNREACH\)/],
    [
      'wrong checksums',
      tunnel,
      { bare: 'answered', node: 'answered' },
      'ChecksumOffload',
      /without a checksum/,
    ],
    ['a closed port', tunnel, { bare: 'silent', node: 'answered' }, 'PathBlocked', /UDP port 8472/],
    ['a network of hosts only', direct, { node: 'answered' }, 'PathBlocked', /addresses of pods/],
    ['a node that is not there', tunnel, { bare: 'silent' }, 'NodeUnreachable', /no answer from 192.0.2.2/],
    ['the same by its gateway', direct, {}, 'NodeUnreachable', /192.0.2.2/],
  ])('tells %s', async (_name, path, more, fault, message) =>
    expect(await diagnose(path, facts, questions(0, more).ask)).toEqual({
      fault,
      message: expect.stringMatching(message),
    }),
  );
});

test('an answer is the question byte for byte, and nothing else is taken for one', () => {
  const ask = makeAsk(64);
  const answer = answerTo(Buffer.from(ask));
  expect(answer && isAnswerTo(answer, ask)).toBe(true);
  expect(answer && isAnswerTo(answer, makeAsk(64))).toBe(false);
  expect(answer && answerTo(answer)).toBeUndefined(); // Two nodes do not answer each other for ever.
  const bent = Buffer.from(answer ?? []);
  bent[60] = 1;
  expect(isAnswerTo(bent, ask)).toBe(false);
  expect(isAnswerTo(bent.subarray(0, 63), ask)).toBe(false);
  expect(answerTo(Buffer.from('GET / HTTP/1.1\r\n\r\n'))).toBeUndefined();
  expect(answerTo(Buffer.alloc(3))).toBeUndefined();
  expect(makeAsk(-20)).toHaveLength(16);
});

test('renderFabricCondition() names three, and what the node itself lacks first', () => {
  const fault = (node: string) => ({ node, fault: 'PathBlocked', message: 'm' });
  expect(renderFabricCondition([], [])).toMatchObject({ status: 'False', reason: 'FabricSound' });
  expect(renderFabricCondition([{ node: '', message: 'wireguard: no' }], [])).toMatchObject({
    status: 'True',
    reason: 'FabricNotAsAsked',
    message: 'wireguard: no',
  });
  expect(renderFabricCondition([], ['a', 'b', 'c', 'd', 'e'].map(fault))).toMatchObject({
    type: 'FabricDegraded',
    reason: 'PathBlocked',
    message: 'a: m; b: m; c: m; and 2 more',
  });
});
