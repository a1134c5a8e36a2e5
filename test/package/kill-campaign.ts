/**
 * The operator of the example, killed again and again while its Widgets churn: `node test/package/kill-campaign.ts [--kills 100] [--seed N]`.
 * Two run at a time, some by the lease and some without one, so that two work at once, too. Prints its seed; fails with what is wrong.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { load } from 'js-yaml';

import type { ConfigMap, CustomResourceDefinition } from '#api/generated/objects.ts';
import { controllerRef, isControlledBy } from '#api/meta/owner.ts';
import type { KubeObject } from '#api/meta/object.ts';
import { configMaps } from '#api/schema/kind-ref.ts';
import { systemClock } from '#base/clock.ts';
import { createRandom } from '#base/random.fixture.ts';
import { repositoryRoot } from '#bin/paths.ts';
import { isAlreadyExists, isNotFound } from '#client/api-error.ts';
import type { ApiClient } from '#client/client.ts';
import { ensureDefinition } from '#client/custom/establish.ts';
import { kindOf } from '#client/custom/kind-of.ts';
import { createInformers } from '#client/informers.ts';
import { startCluster } from '#test/environment/start-cluster.ts';
import { makeProject } from './project.ts';

interface Widget extends KubeObject {
  readonly spec: { readonly parts: number; readonly text: string };
  readonly status?: { readonly parts?: number; readonly observedGeneration?: number };
}

export interface CampaignResult {
  readonly seed: number;
  readonly kills: number;
  /** Of the churning, by which it is known that there was any. */
  readonly writes: number;
  readonly partsMade: number;
  readonly problems: readonly string[];
}

const namespace = 'default';
const label = 'example.com/widget';
const widgetNames = ['a', 'b', 'c', 'd', 'e', 'f'];
const operatorsAtOnce = 2;
const lifeMsMax = 2500;
const paceMsMax = 30;
const settleMsMax = 300_000;

/** As the example's own last lines, with a lease that changes hands quickly, or none. The last of them keeps its lease, however busy the machine is. */
const program = `
import { connect, processSignal, runOperator } from 'podwright/client';
import { startWidgets } from './operator.ts';
await using client = connect({ userAgent: 'widget-operator/1.0' });
const [holderEndsMs, leaseMs] = process.env.LEASE === 'last' ? [100_000, 120_000] : [600, 1000];
const times = { lookMs: 50, renewMs: 100, holderEndsMs, leaseMs };
const lease = process.env.LEASE !== 'no' ? { namespace: 'default', name: 'widget-operator', times } : undefined;
await runOperator({ client, lease, start: startWidgets, signal: processSignal() });
`;

export async function runCampaign(options: {
  readonly kills: number;
  readonly seed: number;
}): Promise<CampaignResult> {
  const random = createRandom(options.seed);
  using project = makeProject();
  writeFileSync(join(project.directory, 'campaign.ts'), program);
  await using cluster = await startCluster();
  const { client } = cluster;
  const definition = load(
    readFileSync(join(repositoryRoot, 'examples/operator/widget.crd.yaml'), 'utf8'),
  ) as CustomResourceDefinition;
  await ensureDefinition(client, definition);
  const kind = kindOf<Widget>(definition);
  const start = (lease = random() < 0.5 ? 'yes' : 'no'): ChildProcess =>
    spawn(process.execPath, ['campaign.ts'], {
      cwd: project.directory,
      env: { ...process.env, KUBECONFIG: cluster.kubeconfigPath, LEASE: lease },
      stdio: ['ignore', 'ignore', 'inherit'],
    });
  const stop = new AbortController();
  const churning = churn({ client, kind, random: createRandom(options.seed + 1) }, stop.signal);
  await using seen = watchParts(client);
  let kills = 0;
  const operate = async (): Promise<void> => {
    while (kills < options.kills) {
      const operator = start();
      const ended = once(operator, 'exit');
      await systemClock.sleep(300 + random() * lifeMsMax);
      kills++;
      operator.kill('SIGKILL');
      await ended;
    }
  };
  await Promise.all(Array.from({ length: operatorsAtOnce }, operate));
  stop.abort();
  const writes = await churning;
  const last = start('last');
  const ended = once(last, 'exit');
  // What those before left may be in order already; this is not before the last one works.
  await client.create(kind, { metadata: { namespace, name: 'last' }, spec: { parts: 1, text: 'last' } });
  const unsettled = await settle(client, kind);
  last.kill('SIGTERM');
  const [code] = (await ended) as [number | null];
  const problems = [
    ...seen.problems,
    ...unsettled,
    ...(code === 0 ? [] : [`the last operator ended with ${code}`]),
  ];
  return { seed: options.seed, kills, writes, partsMade: seen.made, problems };
}

interface Churned {
  readonly client: ApiClient;
  readonly kind: ReturnType<typeof kindOf<Widget>>;
  readonly random: () => number;
}

/** Somebody makes, changes and deletes Widgets, and meddles with parts. @returns how many writes were done */
async function churn({ client, kind, random }: Churned, signal: AbortSignal): Promise<number> {
  let writes = 0;
  const pick = (): string => widgetNames[Math.floor(random() * widgetNames.length)] ?? '';
  const spec = (): Widget['spec'] => ({
    parts: Math.floor(random() * 6),
    text: String(Math.floor(random() * 3)),
  });
  const act = async (): Promise<unknown> => {
    const where = { namespace, name: pick() };
    const dice = random();
    if (dice < 0.35) return client.create(kind, { metadata: where, spec: spec() });
    if (dice < 0.7) return client.patch(kind, where, { kind: 'merge', body: { spec: spec() } });
    if (dice < 0.85) return client.delete(kind, where);
    const part = { namespace, name: `${where.name}-${Math.floor(random() * 6)}` };
    if (dice < 0.93) return client.delete(configMaps, part);
    return client.patch(configMaps, part, { kind: 'merge', body: { data: { text: 'meddled' } } });
  };
  while (!signal.aborted) {
    await act().then(
      () => writes++,
      (error: unknown) => {
        if (!isNotFound(error) && !isAlreadyExists(error)) throw error;
      },
    );
    await systemClock.sleep(random() * paceMsMax);
  }
  return writes;
}

/** Of each Widget there is at no time a second part of the same place. */
function watchParts(
  client: ApiClient,
): AsyncDisposable & { readonly problems: string[]; readonly made: number } {
  const informers = createInformers({ client, clock: systemClock });
  const problems: string[] = [];
  const places = new Map<string, Set<string>>();
  let made = 0;
  informers.for(configMaps, { namespace, labelSelector: label }).onChange(({ old, current }) => {
    const part = current ?? old;
    const { name = '', uid = '' } = part?.metadata ?? {};
    const place = `${controllerRef(part ?? {})?.uid} ${/\d+$/.exec(name)?.[0]}`;
    const there = places.get(place) ?? new Set();
    places.set(place, there);
    if (current === undefined) there.delete(uid);
    else there.add(uid);
    if (old === undefined) made++;
    if (there.size > 1) problems.push(`${name}: ${there.size} parts of ${place}`);
  });
  return {
    problems,
    get made() {
      return made;
    },
    [Symbol.asyncDispose]: () => informers[Symbol.asyncDispose](),
  };
}

/** What is not as Widgets say, after everything had its time. */
async function settle(client: ApiClient, kind: Churned['kind']): Promise<readonly string[]> {
  for (const giveUp = systemClock.monotonic() + settleMsMax; ; await systemClock.sleep(100)) {
    const widgets = (await client.list(kind, { namespace })).items;
    const parts = (await client.list(configMaps, { namespace, labelSelector: label })).items;
    const wrong = problemsOf(widgets, parts);
    if (wrong.length === 0 || systemClock.monotonic() > giveUp) return wrong;
  }
}

function problemsOf(widgets: readonly Widget[], parts: readonly ConfigMap[]): readonly string[] {
  const ofNobody = parts.filter(
    (part) => !widgets.some(({ metadata }) => isControlledBy(part, metadata?.uid)),
  );
  const wrong = widgets.flatMap(({ metadata, spec, status }) => {
    const own = parts.filter((part) => isControlledBy(part, metadata?.uid));
    const names = own
      .map((part) => part.metadata?.name)
      .toSorted()
      .join();
    const wanted = Array.from({ length: spec.parts }, (_, index) => `${metadata?.name}-${index}`)
      .toSorted()
      .join();
    return [
      ...(metadata?.deletionTimestamp === undefined ? [] : [`${metadata.name} is still being deleted`]),
      ...(names === wanted ? [] : [`${metadata?.name} has parts ${names} for ${wanted}`]),
      ...(own.every(({ data }) => data?.['text'] === spec.text)
        ? []
        : [`${metadata?.name} has parts with another text`]),
      ...(status?.observedGeneration === metadata?.generation ? [] : [`${metadata?.name} has an old status`]),
    ];
  });
  return [...wrong, ...ofNobody.map(({ metadata }) => `${metadata?.name} is nobody's`)];
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: { kills: { type: 'string', default: '100' }, seed: { type: 'string' } },
  });
  const seed = Number(values.seed ?? Date.now() % 1_000_000);
  console.log(`seed ${seed}`);
  const result = await runCampaign({ kills: Number(values.kills), seed });
  console.log(JSON.stringify(result, undefined, 2));
  process.exitCode = result.problems.length === 0 ? 0 : 1;
}
