import { expect, it } from 'vitest';
import { jsonLines } from './json-lines.ts';

async function* pieces(...texts: readonly (string | Buffer)[]): AsyncGenerator<Uint8Array> {
  for (const text of texts) yield Buffer.from(text as string);
}

async function read(body: AsyncIterable<Uint8Array>): Promise<readonly unknown[]> {
  const values: unknown[] = [];
  for await (const value of jsonLines(body)) values.push(value);
  return values;
}

it('gives a value per line, however the stream is cut', async () => {
  expect(await read(pieces('{"a"', ':1}\n{"b":2}', '\n\n3'))).toEqual([{ a: 1 }, { b: 2 }, 3]);
});

it('ends at a line of more than 16 MiB', async () => {
  const mebibyte = Buffer.alloc(1_048_576, 'x');
  async function* without(): AsyncGenerator<Uint8Array> {
    for (;;) yield mebibyte;
  }
  await expect(read(without())).rejects.toMatchObject({ code: 'E_LIMIT' });
});

it('takes what broke in the middle for the end of a connection', async () => {
  await expect(read(pieces('{"a":1}\n{"b'))).rejects.toMatchObject({ code: 'E_CONNECTION' });
});
