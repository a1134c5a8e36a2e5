/** What `up` remembers, what it opens before it may, and what `down` removes when things are damaged. */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { isEntryOf, markerName, type OwnedRole } from '#bin/ownership/role.ts';
import { clusterId, repositoryRoot } from '#bin/paths.ts';
import { canTestClusters, findKubectl, freePort, run, type CommandResult } from './cluster.ts';
import { pidsOf } from './processes.ts';

describe.skipIf(!canTestClusters())(
  'the data directory of podwright up (needs root, kubectl, ip and nft)',
  () => {
    let scratch: string;
    let dataDir: string;
    const podwright = (...args: readonly string[]): Promise<CommandResult> =>
      run([join(repositoryRoot, 'podwright'), ...args, '--data', dataDir], { timeoutMs: 120_000 });
    const kubectl = async (...args: readonly string[]): Promise<string> =>
      (await run([findKubectl(), '--kubeconfig', join(dataDir, 'kubeconfig'), ...args])).stdout;

    beforeAll(() => {
      scratch = mkdtempSync(join(tmpdir(), 'podwright-'));
      dataDir = join(scratch, 'data');
    });

    afterAll(async () => {
      await podwright('down', '--purge');
      rmSync(scratch, { recursive: true, force: true });
    });

    it('is not opened by a second up; a third goes on as the first was told, or without a node', async () => {
      const port = String(await freePort());
      expect(await podwright('up', '--detach', '--nodes', '2', '--port', port)).toMatchObject({ code: 0 });
      const strangers = (directory: string, role: OwnedRole): readonly string[] =>
        readdirSync(directory).filter((name) => !isEntryOf(role, name) && name !== markerName(role));
      expect(strangers(dataDir, 'up')).toEqual([]);
      expect(strangers(join(dataDir, 'server'), 'server')).toEqual([]);
      expect(strangers(join(dataDir, 'node-1'), 'agent')).toEqual([]);
      const said = readFileSync(join(dataDir, 'up.log'), 'utf8');
      const second = await podwright('up', '--detach');
      expect(second).toMatchObject({
        code: 1,
        stderr: expect.stringMatching(/runs there as pid \d+; stop it with/),
      });
      expect(readFileSync(join(dataDir, 'up.log'), 'utf8')).toBe(said);
      expect(await podwright('down')).toMatchObject({
        code: 0,
        stdout: `stopped; data kept in ${dataDir}\n`,
      });

      const third = await podwright('up', '--detach', '--nodes', '1');
      expect(third.stdout).toContain(`node-2 taken out of the cluster; its files stay in ${dataDir}/node-2`);
      expect(await kubectl('get', 'nodes', '-o', 'name')).toBe('node/node-1\n');
      expect(await kubectl('config', 'view', '-o', 'jsonpath={.clusters[0].cluster.server}')).toBe(
        `https://127.0.0.1:${port}`,
      );
    });

    it('is gone again where up --detach made it and could not start', async () => {
      const server = createServer().listen(0, '127.0.0.1');
      using _closing = { [Symbol.dispose]: () => server.close() };

      await once(server, 'listening');
      const address = server.address();
      const port = typeof address === 'object' ? String(address?.port) : '';
      const unused = join(scratch, 'unused');
      const said = await run(
        [join(repositoryRoot, 'podwright'), 'up', '--detach', '--port', port, '--data', unused],
        { timeoutMs: 120_000 },
      );
      expect(said).toMatchObject({ code: 1, stderr: expect.stringContaining(port) });
      expect(existsSync(unused)).toBe(false);
    });

    it('with up.json damaged or gone: down still ends everything, and leaves what a person put there', async () => {
      writeFileSync(join(dataDir, 'up.json'), '{"pid": -1');
      expect(await podwright('status')).toMatchObject({
        code: 1,
        stderr: expect.stringMatching(
          /up\.json: it is damaged \(not JSON\); podwright down --data .* ends what runs/,
        ),
      });
      rmSync(join(dataDir, 'up.json'));
      writeFileSync(join(dataDir, 'notes.txt'), 'mine');
      const down = await podwright('down', '--purge');
      expect(down, down.stderr).toMatchObject({
        code: 0,
        stdout: `stopped; ${dataDir} stays: notes.txt in it is not podwright's\n`,
      });
      expect(readdirSync(dataDir)).toEqual(['notes.txt']);
      expect(existsSync(`/run/podwright-${clusterId(dataDir)}`)).toBe(false);
      expect(pidsOf(new RegExp(dataDir))).toEqual([]);
    });
  },
);
