import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { repositoryRoot } from '#bin/paths.ts';
import { installPlugins } from '#cni-plugins/program/install.ts';
import { createResident } from '#cni-plugins/program/resident.ts';
import { createNetlinkWorker } from '#native/netlink/worker.ts';
import { createCniPrograms, missingPlugins, type CniPrograms } from '#test/bench/cni-programs.ts';
import { alternate, timed, type Contender } from '#test/bench/measure.ts';
import { atMost, timesBetter, type Row } from '#test/bench/row.ts';

/** Plugins by path, as containerd calls them: ours answered by a resident, ours alone, Debian's. */
export const cniProgramRow: Row = {
  name: 'cni-programs',
  inNamespaces: true,
  run: async (scale) => {
    const directory = await mkdtemp(join(tmpdir(), 'n'));
    await using stack = new AsyncDisposableStack();

    stack.defer(() => rm(directory, { recursive: true }));
    const kernel = stack.use(await createNetlinkWorker());
    const socket = join(directory, 'sock');
    const resident = createResident({ ports: kernel });
    stack.defer(() => void resident.close());
    await once(resident.listen(socket), 'listening');
    const install = async (name: string, answers: string): Promise<CniPrograms> => {
      const binDir = join(directory, name);
      const nodePath = process.execPath;
      await installPlugins({
        binDir,
        nodePath,
        root: repositoryRoot,
        sockets: [answers, join(directory, 'none')],
      });
      return createCniPrograms(join(directory, `${name}-leases`), binDir, name);
    };
    const debian = 'Debian CNI plugins';
    const skipped = missingPlugins();
    const all: readonly (readonly [name: string, programs: CniPrograms])[] = [
      ['resident', await install('kept', socket)],
      ['alone', await install('alone', join(directory, 'nobody'))],
      ...(skipped === undefined ? [[debian, createCniPrograms(join(directory, 'leases'))] as const] : []),
    ];
    const measure = (verb: 'ADD' | 'DEL') =>
      alternate({
        what: `CNI ${verb} by programs (${verb === 'ADD' ? 'loopback, bridge with host-local, portmap' : 'bridge with host-local'})`,
        unit: 'ms',
        contenders: [
          ...all.map(([name, programs]) => contender(verb, name, programs, kernel.netlink)),
          ...(skipped === undefined ? [] : [{ name: debian, skipped }]),
        ],
        rounds: scale.rounds(30),
        budgets: skipped === undefined ? [timesBetter(1 / 1.5, debian)] : [atMost(30)],
      });
    return [await measure('ADD'), await measure('DEL')];
  },
};

let count = 0;

function contender(
  verb: 'ADD' | 'DEL',
  name: string,
  programs: CniPrograms,
  netlink: Parameters<typeof createResident>[0]['ports']['netlink'],
): Contender {
  return {
    name,
    round: async () => {
      const id = `by-path-${count++}`;
      const netns = `/run/netns/${id}`;
      await netlink.createNetns(netns);
      const add = await timed(() => programs.add(id, netns));
      const del = await timed(() => programs.del(id, netns));
      await netlink.removeNetns(netns);
      return verb === 'ADD' ? add : del;
    },
  };
}
