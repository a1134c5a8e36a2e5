import { configMapNumber, inParallel, startLoaded } from '#test/scale/api-load.ts';
import type { ScaleRow } from '#test/scale/row.ts';
import { measureTurns } from '#test/scale/turn-meter.ts';

const path = '/api/v1/namespaces/load/configmaps';
const lists = 5;

/** ConfigMaps of 1 KB; a tenth of them is asked for. */
export const listByLabel: ScaleRow = {
  name: 'list-by-label',
  operation: 'object looked at by a LIST with labelSelector, of which a tenth is sent',
  of: 'objects',
  sizes: [1_000, 4_000, 16_000],
  run: async (size) => {
    await using test = await startLoaded('load');

    await inParallel(size, (index) => test.make(path, configMapNumber(index)));
    const list = (): Promise<unknown> => drain(test.server, `${path}?labelSelector=app%3Dx1`);
    await list();
    const cost = await measureTurns(async () => {
      for (let round = 0; round < lists; round++) await list();
    });
    return { operations: size * lists, ...cost };
  },
};

/** Takes an answer, and does nothing with it. */
export async function drain(
  server: Awaited<ReturnType<typeof startLoaded>>['server'],
  path: string,
): Promise<number> {
  const { status, body } = await server
    .transport()
    .request({ method: 'GET', path, headers: {}, stream: true });
  if (status !== 200) throw new Error(`GET ${path}: ${status}`);
  if (body instanceof Uint8Array) return body.byteLength;
  let bytes = 0;
  for await (const piece of body) bytes += piece.byteLength;
  return bytes;
}
