import { inParallel } from '#test/scale/api-load.ts';
import { eventsOf, startControlPlane } from '#test/scale/control-plane.ts';
import type { ScaleRow } from '#test/scale/row.ts';
import { measureTurns } from '#test/scale/turn-meter.ts';

const path = '/api/v1/namespaces';
const prefix = 'gone-';

/** Namespaces that hold what each of them has, deleted together. */
export const namespaces: ScaleRow = {
  name: 'namespaces',
  operation: 'namespace deleted',
  of: 'namespaces',
  sizes: [15, 60, 250],
  run: async (size) => {
    await using stack = new AsyncDisposableStack();

    const test = await startControlPlane(stack, 'load');
    const remove = async (names: readonly string[]): Promise<void> => {
      // Its deletion is asked for, its conditions are written, it is let go.
      const { told } = await eventsOf(test, path, { count: 3 * names.length });
      await inParallel(names.length, (index) => test.call('DELETE', `${path}/${names[index] ?? ''}`));
      await told;
    };
    const make = async (names: readonly string[]): Promise<void> => {
      for (const resource of ['serviceaccounts', 'configmaps'])
        for (const name of names) {
          if (resource === 'serviceaccounts') await test.make(path, { metadata: { name } });
          await until(test, `${path}/${name}/${resource}`);
        }
    };
    const names = Array.from({ length: size }, (_, index) => `${prefix}${index}`);
    await make(['first', ...names]);
    await remove(['first']);
    const cost = await measureTurns(() => remove(names));
    return { operations: size, ...cost };
  },
};

/** Controllers give each namespace an account and a ConfigMap. */
async function until(test: Awaited<ReturnType<typeof startControlPlane>>, path: string): Promise<void> {
  const deadline = AbortSignal.timeout(30_000);
  for (;;) {
    const { json } = await test.call('GET', path);
    if (Array.isArray(json['items']) && json['items'].length > 0) return;
    if (deadline.aborted) throw new Error(`GET ${path}: nothing`);
  }
}
