/** Images on a cluster of two nodes: each quirk of a builder runs as a pod, what is not used goes where the disk is short, and `image rm`. */
import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { layerQuirks } from '#agent/runtime/images/quirks/layer-quirks.fixture.ts';
import { tarOfQuirk } from '#agent/runtime/images/quirks/quirk.fixture.ts';
import { ociArchive, tarOf } from '#agent/runtime/images/test-archive.ts';
import { nodesHere } from '#bin/nodes-here.ts';
import { repositoryRoot } from '#bin/paths.ts';
import { findBusybox } from '#native/launch/busybox.ts';
import { ofToday } from '#test/days-turn.ts';
import { canTestClusters, eventually, run, startCluster, type TestCluster } from './cluster.ts';

const mib = 1_048_576;
/** In the topmost layer, where no quirk has anything. */
const program = 'busybox-of-quirks';
const quirkLabel = 'quirks';
/** The quirks of one run: a ninth, another each time, as nine days and the five of this file's turn share no divisor; PODWRIGHT_QUIRKS=all for all of them. */
const quirks = process.env['PODWRIGHT_QUIRKS'] === 'all' ? layerQuirks : ofToday(layerQuirks, 9);
const nodes = ['node-1', 'node-2'];
const canTest = canTestClusters() && findBusybox() !== undefined;

describe.skipIf(!canTest)(
  'images of two nodes (needs root, kubectl, a busybox)',
  { timeout: 600_000 },
  () => {
    let cluster: TestCluster;
    let disk = '';
    let top: Buffer;
    beforeAll(async () => {
      // The disk of both nodes, small enough to be filled.
      disk = mkdtempSync(join(tmpdir(), 'podwright-images-'));
      expect((await run(['mount', '-t', 'tmpfs', '-o', 'size=400m', 'podwright-images', disk])).code).toBe(0);
      mkdirSync(`${disk}/archives`);
      cluster = await startCluster({
        nodes: 2,
        dataDir: `${disk}/data`,
        environment: { PODWRIGHT_MINIMUM_IMAGE_TTL_DURATION: '0s' },
      });
      const content = readFileSync(findBusybox() ?? expect.unreachable());
      top = await tarOf([{ name: program, content, mode: 0o755 }]);
    }, 300_000);
    afterAll(async () => {
      await cluster?.[Symbol.asyncDispose]();
      await run(['umount', '-l', disk]);
      rmSync(disk, { recursive: true, force: true });
    }, 300_000);

    const podwright = (...args: readonly string[]): ReturnType<typeof run> =>
      run([join(repositoryRoot, 'podwright'), 'image', ...args, '--data', cluster.dataDir], {
        timeoutMs: 500_000,
      });
    /** Into both nodes; the archives do not stay. */
    const importImages = async (images: Readonly<Record<string, readonly Buffer[]>>): Promise<void> => {
      const paths: string[] = [];
      for (const [name, tars] of Object.entries(images)) {
        const layers = [...tars, top].map((tar) => ({ tar, blob: gzipSync(tar, { level: 1 }) }));
        const path = `${disk}/archives/${paths.length}.tar`;
        writeFileSync(path, await ociArchive({ layers, name }));
        paths.push(path);
      }
      const { code, stderr } = await podwright('import', ...paths);
      for (const path of paths) rmSync(path);
      expect(stderr).toBe('');
      expect(code).toBe(0);
    };
    const podOf = (name: string, image: string, nodeName: string, args: readonly string[]): object => {
      const container = { name: 'c', image, imagePullPolicy: 'Never', command: [`/${program}`, ...args] };
      const spec = {
        ...{ nodeName, restartPolicy: 'Never', automountServiceAccountToken: false },
        ...{ terminationGracePeriodSeconds: 0, containers: [container] },
        priorityClassName: 'system-node-critical', // The disk is both nodes': what one frees may not be enough, and then pods go.
      };
      return { apiVersion: 'v1', kind: 'Pod', metadata: { name, labels: { of: quirkLabel } }, spec };
    };
    const runPods = (items: readonly object[]): Promise<string> =>
      cluster.must('create -f -', { input: JSON.stringify({ apiVersion: 'v1', kind: 'List', items }) });
    const imagesOn = async (node: string): Promise<string> => {
      const { stdout } = await podwright('ls');
      const lines = stdout.split('\n').filter((line) => line.startsWith(node));
      return lines.join('\n');
    };
    const phaseOf = (pod: string): Promise<string> =>
      cluster.must(`get pod ${pod} -o jsonpath={.status.phase}`);

    it('each quirk of a builder runs as a pod, which sees its whole tree', async () => {
      const nameOf = (at: number): string => `quirk/${at}:1`;
      const tars = quirks.map((quirk) => quirk.layers.map((entries) => tarOfQuirk(entries, quirk)));
      await importImages(Object.fromEntries(tars.map((layers, at) => [nameOf(at), layers])));
      const args = ['find', '/', '-xdev'];
      await runPods(tars.map((_, at) => podOf(`quirk-${at}`, nameOf(at), nodes[at % 2] ?? '', args)));
      const phases = 'get pods -o jsonpath={.items[*].status.phase}';
      const running = async (): Promise<boolean> => !/Pending|Running/.test(await cluster.must(phases));
      await eventually('all of them to end', running, 480_000);
      const ended = await cluster.must(`get pods --field-selector status.phase=Succeeded -o name`);
      const logs = await cluster.must(`logs -l of=${quirkLabel} --prefix --tail=-1 --max-log-requests=1000`);
      const [succeeded, lines] = [new Set(ended.split('\n')), new Set(logs.split('\n'))];
      const failed = quirks.filter(
        (_, at) => !succeeded.has(`pod/quirk-${at}`) || !lines.has(`[pod/quirk-${at}/c] /${program}`),
      );
      expect(failed.map(({ name }) => name)).toEqual([]);
      await cluster.must('delete pods --all');
      expect((await podwright('rm', ...tars.map((_, at) => nameOf(at)))).code).toBe(0);
    });

    it('removes an image where it is, says who uses one, and tries each that is named', async () => {
      const names = ['rm/both:1', 'rm/one:1', 'rm/used:1'];
      const tars = await Promise.all(
        names.map(async (name) => [await tarOf([{ name: 'of', content: name }])]),
      );
      await importImages(Object.fromEntries(names.map((name, at) => [name, tars[at] ?? []])));
      const [first] = await nodesHere(cluster.dataDir);
      await first?.control.removeImage('rm/one:1');
      await runPods([podOf('uses', 'rm/used:1', 'node-2', ['sleep', '100000'])]);
      await cluster.must('wait pod uses --for=condition=Ready --timeout=120s');
      const { code, stdout, stderr } = await podwright(
        'rm',
        'rm/one:1',
        'rm/none:1',
        'rm/used:1',
        'rm/both:1',
      );
      expect(code).toBe(1);
      expect(stdout).toContain('removed rm/one:1\n');
      expect(stdout).toContain('removed rm/used:1; in use by containers (1 on node-2)');
      expect(stdout).toContain('removed rm/both:1\n');
      expect(stderr).toContain('rm/none:1');
      for (const node of nodes) expect(await imagesOn(node)).not.toMatch(/rm\/(one|both|used)/);
      expect(await phaseOf('uses')).toBe('Running');
      expect(await cluster.must(`exec uses -- /${program} cat /of`)).toBe('rm/used:1');
    });

    it('where the disk is short, what nobody uses goes from both nodes, and what is used stays', async () => {
      await importImages({
        'gc/idle:1': [await tarOf([{ name: 'large', content: randomBytes(28 * mib) }])],
        'gc/busy:1': [await tarOf([{ name: 'small', content: 'x' }])],
      });
      await runPods([podOf('busy', 'gc/busy:1', 'node-1', ['sleep', '100000'])]);
      await cluster.must('wait pod busy --for=condition=Ready --timeout=120s');
      const { bavail, bsize, blocks } = statfsSync(disk);
      // A tenth must be free, a fiftieth is, and each node's copy of the idle image is less than the rest: both have to go.
      writeFileSync(`${disk}/filling`, Buffer.alloc(bavail * bsize - Math.floor((blocks * bsize) / 50)));
      for (const node of nodes)
        await eventually(
          `${node} to be without gc/idle:1`,
          async () => !(await imagesOn(node)).includes('gc/idle'),
          120_000,
        );
      expect(await imagesOn('node-1')).toContain('gc/busy');
      expect(await imagesOn('node-1')).toContain('podwright/demo');
      expect(await phaseOf('busy')).toBe('Running');
      rmSync(`${disk}/filling`);
    });
  },
);
