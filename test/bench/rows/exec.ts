import { alternate, timed } from '#test/bench/measure.ts';
import { createNodeParts } from '#test/bench/node-parts.ts';
import { ociContenders } from '#test/bench/oci-runtime.ts';
import { atMost, type Row } from '#test/bench/row.ts';

const signal = AbortSignal.timeout(300_000);

/** A program in a running container: from the call to its exit seen. */
export const exec: Row = {
  name: 'exec',
  inNamespaces: true,
  run: async (scale) => {
    await using parts = await createNodeParts();
    await using stack = new AsyncDisposableStack();

    const { runtime } = parts;
    await runtime.runSandbox(parts.sandbox('exec'), signal);
    const container = parts.container(['wait']);
    await runtime.startContainer('exec', container, signal);
    const request = { args: ['/bin/busybox'], stdin: false, tty: false };
    const ours = async (): Promise<void> => {
      const session = await runtime.exec('exec', container.id, request, signal);
      if ((await session.exitCode) !== 0) throw new Error('exec of the probe failed');
    };
    const peers = ociContenders(parts.directory, parts.root, (oci) => {
      let id: Promise<string> | undefined;
      stack.defer(async () => {
        if (id !== undefined) await oci.remove(await id);
      });
      return async () => {
        const running = await (id ??= oci.startWaiting());
        return timed(() => oci.exec(running));
      };
    });
    return [
      await alternate({
        what: 'exec, call to exit seen',
        unit: 'ms',
        contenders: [{ name: 'podwright', round: () => timed(ours) }, ...peers],
        rounds: scale.rounds(40),
        budgets: [atMost(2)],
      }),
    ];
  },
};
