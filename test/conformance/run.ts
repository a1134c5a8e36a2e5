/**
 * `npm run test:conformance -- FOCUS [SKIP] [PROCS]`: upstream end-to-end specs (Kubernetes 1.20.2) against a two-node cluster of ours.
 * The suite lies beside the checkout, or where CONFORMANCE_DIR says.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readdirSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';

import { repositoryRoot } from '#bin/paths.ts';
import { run, startCluster } from '#test/cluster/cluster.ts';

const focusDefault = String.raw`\[Conformance\]`;
const skipDefault = String.raw`\[Serial\]|\[Disruptive\]|\[Slow\]`;

const suite = process.env['CONFORMANCE_DIR'] ?? join(repositoryRoot, '..', 'shared', 'conformance');
const cache = process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache');

async function unpack(): Promise<string> {
  const programs = join(cache, 'podwright', 'kubernetes-1.20.2');
  if (!existsSync(join(programs, 'e2e.test'))) {
    console.log('unpacking the suite (once, 500 MB)');
    mkdirSync(join(cache, 'podwright'), { recursive: true });
    await must(['tar', '-xJf', join(suite, 'kubernetes-1.20.2.tar.xz'), '-C', join(cache, 'podwright')]);
  }
  return programs;
}

async function makeImages(programs: string): Promise<readonly string[]> {
  const images = join(cache, 'podwright', 'conformance-images');
  if (!existsSync(images) || readdirSync(images).length === 0) {
    console.log('making the images of the specs (once)');
    await must(['python3', join(suite, 'mkimages.py'), programs, images]);
  }
  return readdirSync(images)
    .filter((name) => name.endsWith('.tar'))
    .map((name) => join(images, name));
}

async function must(command: readonly string[]): Promise<void> {
  const result = await run(command, { timeoutMs: 600_000 });
  if (result.code !== 0) throw new Error(`${command.join(' ')}: ${result.code}\n${result.stderr}`);
}

const runc = '/usr/sbin/runc';

/** What specs of RuntimeClasses take to be configured (`PreconfiguredRuntimeClassHandler`; "docker" where the suite is not told the runtime). */
function handlers(): readonly string[] {
  if (!existsSync(runc)) return [];
  return ['test-handler', 'docker'].flatMap((name) => ['--runtime-handler', `${name}=${runc}`]);
}

async function main(): Promise<void> {
  if (!existsSync(suite))
    throw new Error(`find the conformance suite in ${suite}: not there; set CONFORMANCE_DIR`);
  const [focus = focusDefault, skip = skipDefault, processes = '4'] = process.argv.slice(2);
  const programs = await unpack();
  const images = await makeImages(programs);
  const report = mkdtempSync(join(tmpdir(), 'podwright-conformance-'));
  const { CONFORMANCE_IP_FAMILY: family = 'ipv4' } = process.env; // ipv4 or dual.
  await using cluster = await startCluster({ nodes: 2, more: ['--ip-family', family, ...handlers()] });

  console.log('importing images');
  await must([join(repositoryRoot, 'podwright'), 'image', 'import', '--data', cluster.dataDir, ...images]);
  const { hosts } = await cluster.state();
  // Inside a node: pod and Service addresses are reached from there, and nothing leaves the cluster's namespaces.
  const host = hosts.find(({ name }) => name === 'node-1');
  if (host === undefined) throw new Error('the cluster has no node-1');
  const child = spawn(
    'nsenter',
    [
      `--target=${host.pid}`,
      '--net',
      '--',
      join(suite, 'run'),
      cluster.insideKubeconfig(),
      report,
      focus,
      skip,
      processes,
    ],
    { stdio: 'inherit' },
  );
  const [code] = await once(child, 'exit');
  console.log(`log: ${join(report, 'log.txt')}`);
  process.exitCode = Number(code);
}

await main();
