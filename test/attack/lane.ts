/**
 * The attack lane: a cluster of its own, pods that try to break out of it by every way there has been (breaker.c), and all that a user does
 * to a pod at the same time. A hit is a read of what no pod was given, or a change of it.
 */
import { execFileSync } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { eventually, run, startCluster, type TestCluster } from '#test/cluster/cluster.ts';
import { differences, fingerprint, type Fingerprints } from './canaries.ts';
import { attackerPod, type Manifest, type Place, type Profile, victimPod } from './profiles.ts';

export interface LaneReport {
  readonly hits: readonly string[];
  /** By pod, how often each class was tried. */
  readonly tried: Readonly<Record<string, Readonly<Record<string, number>>>>;
  /** What was done to the pods meanwhile. */
  readonly done: Readonly<Record<string, number>>;
}

export interface LaneOptions {
  readonly seconds: number;
  readonly profiles: readonly Profile[];
  readonly say: (line: string) => void;
}

const patienceMs = 240_000;

/** Runs it to its end; the cluster and its directory go with it. Needs root, gcc, kubectl. */
export async function runLane({ seconds, profiles, say }: LaneOptions): Promise<LaneReport> {
  const parent = mkdtempSync(join(tmpdir(), 'podwright-attack-'));
  const place = makePlace(parent, { seconds, millicores: Math.max(50, Math.round(1500 / profiles.length)) });
  const nullBefore = statSync('/dev/null');
  try {
    await using cluster = await startCluster({ dataDir: join(parent, 'data') });
    const watched = (): Fingerprints => fingerprintHost(parent);
    await cluster.must('create configmap attack --from-literal=a=0');
    await create(cluster, [victimPod('first', place)]); // Images are unpacked, the bridge is there.
    await finished(cluster, 'first');
    const before = watched();
    await create(
      cluster,
      profiles.map((profile) => attackerPod(profile, place)),
    );
    const done: Record<string, number> = {};
    const hits = await besiege(cluster, { place, profiles, done, say });
    const tried: Record<string, Record<string, number>> = {};
    for (const { name } of profiles) {
      const log = await logOf(cluster, name);
      hits.push(...log.filter((line) => line.startsWith('HIT')).map((line) => `${name}: ${line}`));
      const counts = log.map((line) => /^TRIED (\w+) (\d+)$/.exec(line)).filter((match) => match !== null);
      tried[name] = Object.fromEntries(counts.map(([, kind = '', count]) => [kind, Number(count)]));
    }
    hits.push(...(await routersBelieved(cluster)));
    await cluster.must('delete pods -l lane=attack --grace-period=1', { timeoutMs: patienceMs });
    hits.push(...differences(before, watched()).map((line) => `changed: ${line}`));
    return { hits, tried, done };
  } finally {
    chmodSync('/dev/null', nullBefore.mode & 0o7777); // Where this fails, the machine has lost the one that everybody uses.
    chownSync('/dev/null', nullBefore.uid, nullBefore.gid);
    rmSync(parent, { recursive: true, force: true });
  }
}

function makePlace(parent: string, limits: Pick<Place, 'seconds' | 'millicores'>): Place {
  const at = (name: string): string => join(parent, name);
  for (const name of ['programs', 'shared', 'shared/a', 'canary', 'canary/c', 'copied'])
    mkdirSync(at(name), { recursive: true });
  chmodSync(parent, 0o755);
  chmodSync(at('shared'), 0o777);
  const secret = `secret-${process.pid}-${Date.now()}`;
  for (const file of ['canary/precious', 'canary/c/precious'])
    writeFileSync(at(file), secret, { mode: 0o600 });
  execFileSync('mknod', [at('canary/node'), 'c', '1', '3']);
  const source = fileURLToPath(new URL('breaker.c', import.meta.url));
  execFileSync('gcc', ['-O2', '-static', '-o', at('programs/breaker'), source]);
  chmodSync(at('programs/breaker'), 0o755);
  return {
    programs: at('programs'),
    shared: at('shared'),
    canary: at('canary/precious').slice(1),
    secret,
    ...limits,
  };
}

/** The canaries, the agent's images, layers and keys, the machine's devices and accounts. */
function fingerprintHost(parent: string): Fingerprints {
  const node = join(parent, 'data', 'node-1');
  return fingerprint(
    [
      ...['canary', 'programs', 'copied/canary'].map((name) => join(parent, name)),
      ...['images', 'layers', 'agent.sock'].map((name) => join(node, name)),
      join(parent, 'data', 'server', 'pki'),
      '/dev',
      ...['passwd', 'shadow', 'group', 'hosts', 'hostname'].map((name) => join('/etc', name)),
    ],
    /^\/dev\/(pts|shm|mqueue|fd|std\w+|tty\w*|core|loop\w*|dm-\w*)/,
  );
}

const create = (cluster: TestCluster, items: readonly Manifest[]): Promise<string> =>
  cluster.must('create -f -', { input: JSON.stringify({ apiVersion: 'v1', kind: 'List', items }) });

const logOf = async (cluster: TestCluster, name: string): Promise<readonly string[]> =>
  (await cluster.kubectl(`logs ${name} -c breaker --tail=-1`)).stdout.split('\n');

const finished = (cluster: TestCluster, name: string): Promise<unknown> =>
  eventually(
    `${name} is over`,
    async () =>
      /Succeeded|Failed/.test((await cluster.kubectl(`get pod ${name} -o jsonpath={.status.phase}`)).stdout),
    patienceMs,
  );

interface Siege {
  readonly place: Place;
  readonly profiles: readonly Profile[];
  readonly done: Record<string, number>;
  readonly say: (line: string) => void;
}

/** Does to the pods what users do, until all breakers have ended; gives what victims let out. */
async function besiege(cluster: TestCluster, { place, profiles, done, say }: Siege): Promise<string[]> {
  const hits: string[] = [];
  const over = new Set<string>();
  const victims: string[] = [];
  const running = new Set<string>();
  const count = async (what: string, args: string): Promise<void> => {
    const { stdout } = await cluster.kubectl(args, { input: '', timeoutMs: 30_000 });
    done[what] = (done[what] ?? 0) + 1;
    if (stdout.includes(place.secret)) hits.push(`${what}: ${args}`);
  };
  const began = Date.now();
  const giveUp = began + place.seconds * 1000 + patienceMs;
  for (let round = 0; over.size < profiles.length; round++) {
    if (Date.now() > giveUp) throw new Error(`attack: no end of ${profiles.length - over.size} breakers`);
    const { name } = profiles[round % profiles.length] ?? { name: '' };
    if (!running.has(name)) {
      const { stdout } = await cluster.kubectl(`get pod ${name} -o jsonpath={.status.phase}`);
      if (stdout === 'Running') running.add(name);
      if (stdout === 'Failed')
        throw new Error(`attack: ${(await cluster.kubectl(`describe pod ${name}`)).stdout}`);
    }
    const victim = `victim-${round}`;
    await create(cluster, [victimPod(victim, place)]);
    victims.push(victim);
    const acts: readonly (readonly [string, string])[] = [
      ['exec', `exec ${name} -c breaker -- true`],
      ['exec with input', `exec -i ${name} -c breaker -- cat`],
      ['exec with a terminal', `exec -it ${name} -c breaker -- true`],
      ['exec in the sibling', `exec ${name} -c sibling -- true`],
      ['cp', `cp ${name}:/volume ${join(place.shared, '..', 'copied', `${round}`)} -c breaker`],
      ['attach', `attach ${name} -c sibling`],
      ['config', `patch configmap attack -p '{"data":{"a":"${round}"}}'`],
      ['logs', `logs ${name} -c sibling`],
    ];
    await Promise.all(acts.map(([what, args]) => count(what, args)));
    if (round < profiles.length * 2) {
      const debug = `debug ${name} --image=podwright/demo:1 --target=breaker --profile=general -c d${round} -- true`;
      await count('debug', debug);
    }
    hits.push(...(await endVictims(cluster, victims, place)));
    // All of them end at about one time; a round may take long.
    if (Date.now() - began > place.seconds * 1000) {
      for (const profile of profiles)
        if ((await logOf(cluster, profile.name)).includes('END')) over.add(profile.name);
    }
    if (round % 20 === 0) say(`round ${round}, ${over.size} of ${profiles.length} over, ${hits.length} hits`);
  }
  done['victims'] = victims.length;
  return hits;
}

/** Reads what the older victims saw, and removes them. */
async function endVictims(
  cluster: TestCluster,
  victims: readonly string[],
  place: Place,
): Promise<readonly string[]> {
  const old = victims.at(-3);
  if (old === undefined) return [];
  const { stdout } = await cluster.kubectl(`logs ${old} --all-containers --ignore-errors`);
  await cluster.kubectl(`delete pod ${old} --wait=false --grace-period=0`);
  return stdout.includes(place.secret) ? [`subPath of ${old} leads out of its volume`] : [];
}

/** Nobody takes a container for a router, nor its packets for the node's own. */
async function routersBelieved(cluster: TestCluster): Promise<readonly string[]> {
  const state = await cluster.state();
  const node = state.hosts.find(({ name }) => name === 'node-1');
  const inNode = async (command: string): Promise<string> =>
    (await run(['nsenter', `--target=${node?.pid}`, '--net', 'sh', '-c', command])).stdout.trim();
  const routes = await inNode('ip -6 route show default');
  return [
    ...(routes === '' ? [] : [`router: the node's packets go by a container: ${routes}`]),
    ...(await loopbackReached(cluster, inNode)),
  ];
}

const loopbackPort = 29_127;
const listenMs = 15_000;

/** A host port of loopback has route_localnet set on the bridge; what a container sends to 127.0.0.1 by the wire the node still has not. */
async function loopbackReached(
  cluster: TestCluster,
  inNode: (command: string) => Promise<string>,
): Promise<readonly string[]> {
  // Its own loopback out of the way, and the node as the router to it.
  const send = `gateway=$(ip route | sed -n 's/^default via \\([0-9.]*\\).*/\\1/p'); ip address del 127.0.0.1/8 dev lo; ip route add 127.0.0.0/8 via $gateway; for i in 1 2 3 4 5 6; do echo reached | nc -u -w 1 127.0.0.1 ${loopbackPort}; done; echo sent; sleep 600`;
  const server = `const s=require('dgram').createSocket('udp4');s.on('message',(t)=>{console.log(String(t));process.exit(0)});s.bind(${loopbackPort},'127.0.0.1');setTimeout(()=>process.exit(0),${listenMs})`;
  const heard = inNode(`${process.execPath} -e "${server}"`);
  const container = {
    name: 'breaker',
    image: 'podwright/demo:1',
    command: ['sh', '-c', send],
    ports: [{ containerPort: 8080, hostPort: 29_128, hostIP: '127.0.0.1' }],
    securityContext: { capabilities: { add: ['NET_ADMIN', 'NET_RAW'] } },
  };
  await create(cluster, [
    {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'localnet', labels: { lane: 'attack' } },
      spec: { nodeName: 'node-1', terminationGracePeriodSeconds: 1, containers: [container] },
    },
  ]);
  const reached = (await heard).includes('reached');
  const log = await logOf(cluster, 'localnet');
  const settings = await inNode('cat /proc/sys/net/ipv4/conf/*/route_localnet');
  const isTried = settings.includes('1') && log.includes('sent');
  return [
    ...(isTried ? [] : [`loopback: nothing was tried: ${log.join(' ')}`]),
    ...(reached ? ["loopback: a container reached the node's by the wire"] : []),
  ];
}
