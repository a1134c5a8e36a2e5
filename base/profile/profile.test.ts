import { gunzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { systemClock } from '#base/clock.ts';
import { cpuSamples, encodeProfile, heapSamples, type Frame } from './pprof.ts';
import { activeResources, answerProfile, profileSecondsMax } from './serve-profile.ts';

/** The fields of a message, in order: integers, and bytes of what has a length. */
function fieldsOf(bytes: Uint8Array): readonly (readonly [field: number, value: bigint | Uint8Array])[] {
  const fields: (readonly [number, bigint | Uint8Array])[] = [];
  let at = 0;
  const varint = (): bigint => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = bytes[at++] ?? expect.unreachable('cut short');
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  };
  while (at < bytes.length) {
    const tag = Number(varint());
    if (tag % 8 === 0) {
      fields.push([tag >> 3, varint()]);
      continue;
    }
    expect(tag % 8).toBe(2);
    const length = Number(varint());
    fields.push([tag >> 3, bytes.subarray(at, (at += length))]);
  }
  return fields;
}

function messagesOf(bytes: Uint8Array, field: number): readonly Uint8Array[] {
  return fieldsOf(bytes).flatMap(([one, value]) =>
    one === field && typeof value !== 'bigint' ? [value] : [],
  );
}

function numberOf(bytes: Uint8Array, field: number): bigint {
  const found = fieldsOf(bytes).find(([one]) => one === field)?.[1];
  return typeof found === 'bigint' ? found : 0n;
}

/** What a reader of pprof makes of it: stacks as `outer;inner:line`, with their values. */
function readProfile(bytes: Uint8Array): Readonly<Record<string, readonly number[]>> {
  const texts = messagesOf(bytes, 6).map((text) => Buffer.from(text).toString());
  const names = new Map(
    messagesOf(bytes, 5).map((one) => [numberOf(one, 1), texts[Number(numberOf(one, 2))]] as const),
  );
  const lines = new Map(
    messagesOf(bytes, 4).map((one) => {
      const [line = expect.unreachable()] = messagesOf(one, 4);
      return [numberOf(one, 1), `${names.get(numberOf(line, 1))}:${numberOf(line, 2)}`] as const;
    }),
  );
  const varints = (packed: Uint8Array): readonly bigint[] => {
    const values: bigint[] = [];
    let [value, shift] = [0n, 0n];
    for (const byte of packed) {
      value |= BigInt(byte & 0x7f) << shift;
      shift += 7n;
      if (byte >= 0x80) continue;
      values.push(value);
      [value, shift] = [0n, 0n];
    }
    return values;
  };
  return Object.fromEntries(
    messagesOf(bytes, 2).map((sample) => {
      const [stack = expect.unreachable(), values = expect.unreachable()] = [1, 2].flatMap((field) =>
        messagesOf(sample, field),
      );
      const names = varints(stack).map((id) => lines.get(id) ?? expect.unreachable('no such location'));
      return [names.toReversed().join(';'), varints(values).map(Number)];
    }),
  );
}

const frame = (
  functionName: string,
  lineNumber: number,
): Frame & { scriptId: string; columnNumber: number } => ({
  functionName,
  lineNumber,
  url: 'file:///a.ts',
  scriptId: '1',
  columnNumber: 0,
});

describe('encodeProfile()', () => {
  it('has the stacks of a CPU profile with what they took, and no idle time', () => {
    const samples = cpuSamples({
      startTime: 0,
      endTime: 60_000,
      nodes: [
        { id: 1, callFrame: frame('(root)', -1), children: [2, 5] },
        { id: 2, callFrame: frame('outer', 9), children: [3, 4] },
        { id: 3, callFrame: frame('inner', 19) },
        { id: 4, callFrame: frame('', 29) },
        { id: 5, callFrame: frame('(idle)', -1) },
      ],
      samples: [3, 3, 4, 5, 2],
      timeDeltas: [10_000, 10_000, 10_000, 20_000, -5],
    });
    const profile = {
      units: [['samples', 'count'] as const, ['cpu', 'nanoseconds'] as const],
      period: { unit: ['cpu', 'nanoseconds'] as const, value: 10_000_000 },
      startMs: 1_800_000_000_000,
      durationMs: 60,
      samples,
    };
    const bytes = encodeProfile(profile);
    expect(readProfile(bytes)).toEqual({
      'outer:10;inner:20': [2, 20_000_000],
      'outer:10;(anonymous):30': [1, 10_000_000],
      'outer:10': [1, 0],
    });
    expect(numberOf(bytes, 9)).toBe(1_800_000_000_000_000_000n);
    expect(numberOf(bytes, 10)).toBe(60_000_000n);
    expect(messagesOf(bytes, 6)[0]).toHaveLength(0); // The first text has to be the empty one.
  });

  it('has what a sampled heap holds', () => {
    const leaf = { callFrame: frame('keep', 4), selfSize: 4096, children: [] };
    const [sample] = heapSamples({
      head: { callFrame: frame('(root)', -1), selfSize: 0, children: [leaf] },
    });
    expect(sample).toEqual({ stack: [leaf.callFrame], values: [4096] });
  });

  it('counts what keeps the process', () => {
    const { samples } = activeResources(['Timeout', 'TCPSocketWrap', 'Timeout'], 0);
    expect(samples.map(({ stack, values }) => [stack[0]?.functionName, ...values])).toEqual([
      ['Timeout', 2],
      ['TCPSocketWrap', 1],
    ]);
  });
});

describe('answerProfile()', () => {
  const ask = (
    path: string,
    query = '',
    signal = new AbortController().signal,
  ): ReturnType<typeof answerProfile> =>
    answerProfile(`/debug/pprof${path}`, new URLSearchParams(query), { clock: systemClock, signal });

  it('takes a profile of this process', async () => {
    const taking = ask('/profile', 'seconds=0.3');
    function spin(): void {
      const endMs = performance.now() + 250;
      while (performance.now() < endMs);
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
    spin();
    const { body, fileName } = (await taking) ?? expect.unreachable();
    expect(fileName).toBe('profile');
    const stacks = Object.entries(readProfile(gunzipSync(body)));
    const spinning = stacks.filter(([stack]) => /\bspin:/.test(stack));
    const spentMs = spinning.reduce((sum, [, [, ns = 0]]) => sum + ns / 1e6, 0);
    expect(spentMs).toBeGreaterThan(100);
  });

  it('tells of the heap, of what runs, and of itself', async () => {
    const taking = ask('/heap', 'seconds=0.1');
    await new Promise((resolve) => setTimeout(resolve, 20));
    const kept = Array.from({ length: 50_000 }, (_, index) => ({ index }));
    const { body } = (await taking) ?? expect.unreachable();
    expect(Object.keys(readProfile(gunzipSync(body))).length).toBeGreaterThan(0);
    expect(kept).toHaveLength(50_000);
    const counts = (await ask('/goroutine', 'debug=1')) ?? expect.unreachable();
    expect(Buffer.from(counts.body).toString()).toMatch(/^goroutine profile: total \d+\n/);
    const index = (await ask('/')) ?? expect.unreachable();
    expect(Buffer.from(index.body).toString()).toContain('href="profile?debug=1"');
    expect(await ask('/nothing')).toBeUndefined();
    expect(await ask('/toString')).toBeUndefined();
  });

  it('takes one at a time, not for long, and none for who has gone', async () => {
    const gone = new AbortController();
    const first = ask('/profile', 'seconds=60', gone.signal);
    expect(await ask('/heap')).toMatchObject({ status: 500 });
    gone.abort(new Error('gone'));
    await expect(first).rejects.toThrow('gone');
    expect(await ask('/profile', 'seconds=0')).toMatchObject({ status: 200 });
    for (const seconds of [String(profileSecondsMax + 1), '-1', 'x']) {
      expect(await ask('/profile', `seconds=${seconds}`)).toMatchObject({ status: 400 });
    }
  });
});
