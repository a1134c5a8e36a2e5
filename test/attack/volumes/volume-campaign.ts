/**
 * Kills what attaches, stages, publishes and undoes volumes of a driver (-9), before and after each call of the driver and in between; and
 * looks whether the data is there whenever the pod is, and nothing else when it is gone.
 *
 *     node test/attack/volumes/volume-campaign.ts [--rounds 20 | --kills 1000] [--seed N]
 *
 * Root: the driver mounts, in a mount namespace of the program's own. The seed decides where it is killed: every place once before any
 * comes again.
 */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { repositoryRoot } from '#bin/paths.ts';
import { managedAttachAnnotation } from '#api/volume/attachment.ts';
import { realMounting, startToyDriver, type ToyDriver } from '#proto/csi/toy-driver.fixture.ts';
import { refusal } from '#proto/status.ts';
import { randomFrom, type Random } from '#test/fuzz/damage.ts';

const driverName = 'toy.csi.example.com';
const handle = 'vol-one';
const uid = '11111111-2222-4333-8444-555555555555';
const ownNamespace = 'PODWRIGHT_CAMPAIGN_NAMESPACE';
const steps = {
  come: ['ControllerPublishVolume', 'NodeStageVolume', 'NodePublishVolume'],
  go: ['NodeUnpublishVolume', 'NodeUnstageVolume', 'ControllerUnpublishVolume'],
} as const;
type Way = keyof typeof steps;
/** Kills of one way at most, and how long after its start one falls that no call decides. */
const killsMax = 3;
const delayMsMax = 1500;

interface Campaign {
  readonly directory: string;
  readonly random: Random;
  readonly faults: string[];
  readonly kills: Record<string, number>;
  /** Where it is still to be killed before all places come again. */
  readonly decks: Record<Way, Card[]>;
  /** What the next call of the driver does, if it is the one. */
  plan: Exclude<Card, 'any'> | undefined;
  victim: ChildProcess | undefined;
}

/** A place to be killed at: a call of the driver, which is then refused or not; or any moment. */
type Card = 'any' | { readonly call: string; readonly when: 'before' | 'after'; readonly isRefused: boolean };
const momentsOfDeck = 4;

interface Until {
  readonly rounds: number;
  readonly kills: number;
}

export interface CampaignReport {
  readonly seed: number;
  readonly rounds: number;
  readonly kills: Readonly<Record<string, number>>;
  /** Nothing lost, nothing left. */
  readonly faults: readonly string[];
}

async function runCampaign(until: Until, seed: number): Promise<CampaignReport> {
  const directory = mkdtempSync(join(tmpdir(), 'volume-campaign-'));
  const random = randomFrom(seed);
  const campaign: Campaign = {
    ...{ directory, random, faults: [], kills: {}, decks: { come: [], go: [] } },
    ...{ plan: undefined, victim: undefined },
  };
  const killed = (): number => Object.values(campaign.kills).reduce((sum, count) => sum + count, 0);
  let rounds = 0;
  const driver = await startToyDriver({
    ...{ socket: join(directory, 'csi.sock'), state: join(directory, 'state'), mounting: realMounting },
    fault: (call, when) => onCall(campaign, call, when),
  });
  try {
    driver.create({ name: 'one', capacity_range: null, parameters: {}, volume_content_source: null });
    for (; rounds < until.rounds && killed() < until.kills; rounds++) {
      await runRound(campaign, driver, rounds);
      process.stderr.write(
        `seed ${seed}: ${rounds + 1} rounds, ${killed()} kills, ${campaign.faults.length} faults\n`,
      );
    }
    campaign.faults.push(
      ...driver.violations.map((one) => `the driver was asked what it must not be: ${one}`),
    );
  } finally {
    campaign.victim?.kill('SIGKILL');
    await driver[Symbol.asyncDispose]();
  }
  if (campaign.faults.length === 0) rmSync(directory, { recursive: true });
  return { seed, rounds, kills: campaign.kills, faults: campaign.faults };
}

/** The victim dies while it waits for the driver, which has heard it or not. */
async function onCall(campaign: Campaign, call: string, when: 'before' | 'after'): Promise<void> {
  const { plan, victim } = campaign;
  if (plan === undefined || victim === undefined || plan.call !== call || plan.when !== when) return;
  campaign.plan = undefined;
  await kill(campaign, `${when} ${call}`);
  if (plan.isRefused) throw refusal('UNAVAILABLE', 'killed');
}

async function kill(campaign: Campaign, where: string): Promise<void> {
  const { victim } = campaign;
  if (victim === undefined || victim.exitCode !== null || victim.signalCode !== null) return;
  campaign.kills[where] = (campaign.kills[where] ?? 0) + 1;
  const ended = once(victim, 'exit');
  victim.kill('SIGKILL');
  await ended;
}

async function runRound(campaign: Campaign, driver: ToyDriver, round: number): Promise<void> {
  const { directory, faults } = campaign;
  writeObjects(directory, round);
  const told = await travel(campaign, 'come');
  const target = /^there (.*)$/m.exec(told)?.[1];
  const where = `round ${round}`;
  if (target === undefined) return void faults.push(`${where}: the pod has no volume: ${told}`);
  const log = join(target, 'rounds');
  const before = existsSync(log) ? readFileSync(log, 'utf8') : '';
  const wanted = Array.from({ length: round }, (_, one) => `${one}\n`).join('');
  if (before !== wanted) faults.push(`${where}: the volume has ${JSON.stringify(before)}`);
  if (!mountsBelow(directory).includes(target)) faults.push(`${where}: nothing is mounted at ${target}`);
  appendFileSync(log, `${round}\n`);
  const gone = await travel(campaign, 'go');
  if (!gone.includes('gone')) faults.push(`${where}: it does not go: ${gone}`);
  const { staged, published, attached } = driver.state;
  const left = [
    ...mountsBelow(directory).map((one) => `mount ${one}`),
    ...filesBelow(directory),
    ...Object.keys(staged).map((one) => `staged ${one}`),
    ...Object.keys(published).map((one) => `published ${one}`),
    ...Object.entries(attached).flatMap(([one, nodes]) => nodes.map((node) => `${one} attached to ${node}`)),
  ];
  if (left.length > 0) faults.push(`${where}: left: ${left.join(', ')}`);
}

/** Lives of the victim, each killed but the last. What the last said. */
async function travel(campaign: Campaign, way: Way): Promise<string> {
  const { directory, random } = campaign;
  const kills = random(killsMax + 1);
  for (let life = 0; ; life++) {
    const isLast = life >= kills;
    campaign.plan = isLast ? undefined : planKill(campaign, way);
    const delayMs = isLast || campaign.plan !== undefined ? undefined : random(delayMsMax);
    const program = join(repositoryRoot, 'test/attack/volumes/victim.ts');
    const args = [...process.execArgv, program, directory, join(directory, 'csi.sock'), way];
    const victim = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    campaign.victim = victim;
    let said = '';
    for (const stream of [victim.stdout, victim.stderr])
      stream.on('data', (text: Buffer) => void (said += text.toString()));
    const timer =
      delayMs === undefined
        ? undefined
        : setTimeout(() => void kill(campaign, `on the way (${way})`), delayMs);
    if (victim.exitCode === null && victim.signalCode === null) await once(victim, 'close');
    clearTimeout(timer);
    // What was to be killed and was not has come to its end, too.
    if (victim.signalCode === null) return said;
  }
}

/** The next place of the way; undefined: any moment. */
function planKill({ random, decks }: Campaign, way: Way): Campaign['plan'] {
  const deck = decks[way];
  if (deck.length === 0) {
    const calls = steps[way].flatMap((call) =>
      (['before', 'after'] as const).flatMap((when) =>
        [true, false].map((isRefused) => ({ call, when, isRefused })),
      ),
    );
    deck.push(...calls, ...Array.from({ length: momentsOfDeck }, () => 'any' as const));
  }
  const [card = 'any'] = deck.splice(random(deck.length), 1);
  return card === 'any' ? undefined : card;
}

function mountsBelow(directory: string): readonly string[] {
  return readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .map((line) => line.split(' ')[4] ?? '')
    .filter((target) => target.startsWith(`${directory}/`));
}

/** Of the pod and of what was staged for it. */
function filesBelow(directory: string): readonly string[] {
  return ['pods', 'kubelet']
    .map((below) => join(directory, below))
    .filter((below) => existsSync(below))
    .flatMap((below) => readdirSync(below, { recursive: true, withFileTypes: true }))
    .filter((entry) => !entry.isDirectory() || ['mount', 'globalmount', uid].includes(entry.name))
    .map((entry) => join(entry.parentPath, entry.name));
}

/** The pod is new in each round; the volume, its claim and the node stay. */
function writeObjects(directory: string, round: number): void {
  const file = join(directory, 'api.json');
  const pod = {
    metadata: { namespace: 'ns', name: 'p', uid },
    spec: {
      nodeName: 'n1',
      containers: [],
      volumes: [{ name: 'v', persistentVolumeClaim: { claimName: 'c' } }],
    },
    status: { phase: 'Running' },
  };
  writeFileSync(join(directory, 'pod.json'), JSON.stringify(pod));
  if (round === 0) {
    for (const below of ['pods', 'kubelet', 'memory', 'volumes']) mkdirSync(join(directory, below));
    writeFileSync(file, JSON.stringify(firstObjects(pod)));
    return;
  }
  const kept = JSON.parse(readFileSync(file, 'utf8')) as object[][];
  writeFileSync(file, JSON.stringify(kept.map((objects, at) => (at === podsAt ? [pod] : objects))));
}

/** As victim.ts lists its kinds. */
const podsAt = 5;

function firstObjects(pod: object): readonly (readonly object[])[] {
  const claimRef = { namespace: 'ns', name: 'c', uid: 'claim-uid' };
  const size = { storage: '1Mi' };
  const accessModes = ['ReadWriteOnce'];
  return [
    [{ metadata: { name: driverName }, spec: { attachRequired: true, fsGroupPolicy: 'None' } }],
    [],
    [
      {
        metadata: {
          ...{ name: 'n1', uid: 'node-uid' },
          annotations: { [managedAttachAnnotation]: 'true' },
        },
        status: { conditions: [{ type: 'Ready', status: 'True' }] },
      },
    ],
    [
      {
        metadata: { name: 'pv1', uid: 'pv-uid' },
        spec: { accessModes, capacity: size, claimRef, csi: { driver: driverName, volumeHandle: handle } },
        status: { phase: 'Bound' },
      },
    ],
    [
      {
        metadata: {
          ...{ namespace: 'ns', name: 'c', uid: 'claim-uid' },
          annotations: { 'pv.kubernetes.io/bind-completed': 'yes' },
        },
        spec: { accessModes, volumeName: 'pv1', resources: { requests: size } },
        status: { phase: 'Bound', capacity: size },
      },
    ],
    [pod],
    [],
  ];
}

const { values } = parseArgs({
  options: { rounds: { type: 'string' }, kills: { type: 'string' }, seed: { type: 'string' } },
});
if (process.env[ownNamespace] === undefined) {
  const again = [...process.execArgv, ...process.argv.slice(1)];
  const command = ['--mount', '--propagation', 'private', process.execPath, ...again];
  const env = { ...process.env, [ownNamespace]: '1' };
  const { status } = spawnSync('unshare', command, { stdio: 'inherit', env });
  process.exit(status ?? 1);
}
const seed = Number(values.seed ?? Math.floor(Math.random() * 2 ** 31));
const kills = Number(values.kills ?? Infinity);
const rounds = Number(values.rounds ?? (values.kills === undefined ? 20 : Infinity));
if (Number.isNaN(kills) || Number.isNaN(rounds) || Number.isNaN(seed)) {
  process.stderr.write('usage: volume-campaign.ts [--rounds N | --kills N] [--seed N]\n');
  process.exit(2);
}
const report = await runCampaign({ rounds, kills }, seed);
process.stdout.write(`${JSON.stringify(report)}\n`);
process.exit(report.faults.length === 0 ? 0 : 1);
