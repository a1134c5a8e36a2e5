/** Gives a pod what is its containers' alone, all of it or nothing (the kubelet's topology manager with its hint providers). Pure. */
import type { Pod } from '#api/generated/objects.ts';
import { isPodwrightError, PodwrightError } from '#base/errors.ts';
import type { Refusal } from '#agent/kubelet/admit/refusal.ts';
import type { Lacking } from './assign-counts.ts';
import type { Assigned, AssignInput, Assignment, HintDraft } from './assignment.ts';
import { claimsOf, wholeClaim, type Claim } from './claims.ts';
import { mergeHints, type Hints, type NodeMask } from './hints.ts';
import { chooseCpus, cpuHints, freeCpus, smtRefusal } from './share-cpus.ts';
import { chooseMemory, memoryHints } from './share-memory.ts';

/** With what there was too little of, for counting. */
export interface AssignRefusal extends Refusal {
  readonly lacking?: Lacking;
}

/** The words of the kubelet for what does not lie together as its policy wants it. */
const affinityRefusal: Refusal = {
  reason: 'TopologyAffinityError',
  message: 'Resources cannot be allocated with Topology locality',
};

/** What is assigned with the pod, which has nothing yet; or why it cannot be. `drafts`: what else it gets, which is kept by the caller. */
export function assignPod(
  pod: Pod,
  before: Assigned,
  input: AssignInput,
  drafts: readonly HintDraft[] = [],
): Assigned | AssignRefusal {
  const { rules } = input;
  const claims = claimsOf(pod, {
    cpu: rules.cpuPolicy === 'static',
    memory: rules.memoryPolicy === 'Static',
  });
  const draft: Draft = { uid: pod.metadata?.uid ?? '', claims, assigned: before, input, drafts };
  const whole = rules.scope === 'pod' ? nearOf(wholeClaim(claims), draft, claims) : undefined;
  if (isRefusal(whole)) return whole;
  let { assigned } = draft;
  for (const claim of claims) {
    const now = { ...draft, assigned };
    const near = whole ?? nearOf(claim, now, [claim]);
    if (isRefusal(near)) return near;
    const given = give(claim, now, near.nodes);
    if (isRefusal(given)) return given;
    assigned = given;
  }
  return countOnce(assigned, draft);
}

/** Memory of init containers is the others' later on: what counts is what the largest of them has beyond theirs. */
function countOnce(assigned: Assigned, { uid, claims }: Draft): Assigned {
  const own = assigned.get(uid);
  if (own === undefined) return assigned;
  const isInit = (name: string): boolean =>
    claims.some(({ container, kind }) => container === name && kind === 'init');
  const lasting = [...own].filter(([name]) => !isInit(name)).flatMap(([, { memory }]) => memory);
  const counted = new Map<string, number>();
  const largestFirst = [...own].toSorted(([, a], [, b]) => bytesOf(b) - bytesOf(a));
  const pod = new Map(own);
  for (const [name, assignment] of largestFirst) {
    if (!isInit(name)) continue;
    const memory = assignment.memory.map((block) => {
      const key = `${block.resource} ${block.nodes}`;
      const others = lasting.filter(
        ({ resource, nodes }) => resource === block.resource && nodes === block.nodes,
      );
      const held = others.reduce((sum, { bytes }) => sum + bytes, counted.get(key) ?? 0);
      const bytes = Math.max(0, block.bytes - held);
      counted.set(key, (counted.get(key) ?? 0) + bytes);
      return { ...block, bytes };
    });
    pod.set(name, { ...assignment, memory });
  }
  return new Map(assigned).set(uid, pod);
}

function bytesOf({ memory }: Assignment): number {
  return memory.reduce((sum, { bytes }) => sum + bytes, 0);
}

export function isRefusal(value: object | undefined): value is AssignRefusal {
  return value !== undefined && 'reason' in value;
}

interface Draft {
  readonly uid: string;
  readonly claims: readonly Claim[];
  readonly assigned: Assigned;
  readonly input: AssignInput;
  readonly drafts: readonly HintDraft[];
}

/** Where a claim lies best, by all that it asks for. */
function nearOf(
  claim: Claim,
  draft: Draft,
  members: readonly Claim[],
): { readonly nodes: NodeMask | undefined } | AssignRefusal {
  const { input, drafts } = draft;
  const { rules, topology } = input;
  const ids = topology.nodes.map(({ id }) => id);
  const free = usableCpus(claim, draft);
  const memory =
    claim.memory.size === 0 ? [] : memoryHints(input, withoutReusable(claim, draft), claim.memory).values();
  const hints: readonly Hints[] = [
    ...(claim.cpus === 0 ? [] : [cpuHints(input, free, claim.cpus)]),
    ...memory,
    ...drafts.flatMap((other) => other.hints(members, ids)),
  ];
  const topologyRules = { policy: rules.topologyPolicy, nodes: topology.nodes, isClosest: rules.isClosest };
  const { hint, isAdmitted } = mergeHints(hints, topologyRules);
  return isAdmitted ? { nodes: hint.nodes } : affinityRefusal;
}

function give(claim: Claim, draft: Draft, near: NodeMask | undefined): Assigned | AssignRefusal {
  const refusal = smtRefusal(draft.input, usableCpus(claim, draft), claim.cpus);
  if (refusal !== undefined) return { ...refusal, lacking: 'cpu' };
  try {
    for (const other of draft.drafts) other.give(claim.container, near);
    if (claim.cpus === 0 && claim.memory.size === 0) return draft.assigned;
    const assignment = { cpus: cpusFor(claim, draft, near), memory: memoryFor(claim, draft, near) };
    return withAssignment(draft, claim.container, assignment);
  } catch (error) {
    if (!isPodwrightError(error, 'E_LIMIT') && !isPodwrightError(error, 'E_BUSY')) throw error;
    const message = `Allocate failed due to ${error.message}, which is unexpected`;
    const lacking = lackingOf(error.detail);
    return { reason: 'UnexpectedAdmissionError', message, ...(lacking === undefined ? {} : { lacking }) };
  }
}

function lackingOf({ lacking }: Readonly<Record<string, unknown>>): Lacking {
  return lacking === 'cpu' || lacking === 'memory' ? lacking : undefined;
}

/** Those of init containers, which have ended by then, first. */
function cpusFor(claim: Claim, draft: Draft, near: NodeMask | undefined): readonly number[] {
  const { assigned, input } = draft;
  if (claim.cpus === 0) return [];
  const again = reusableCpus(claim, draft);
  const own = chooseCpus(input, again, Math.min(again.size, claim.cpus), near) ?? [];
  const others = [...freeCpus(input, assigned)].filter((id) => !own.includes(id));
  const more = chooseCpus(input, new Set(others), claim.cpus - own.length, near);
  if (more !== undefined) return [...own, ...more].toSorted((a, b) => a - b);
  const available = own.length + others.length;
  throw new PodwrightError(
    'E_LIMIT',
    `not enough cpus available to satisfy request: requested=${claim.cpus}, available=${available}`,
    { detail: { lacking: 'cpu' } },
  );
}

function memoryFor(claim: Claim, draft: Draft, near: NodeMask | undefined): Assignment['memory'] {
  if (claim.memory.size === 0) return [];
  const blocks = chooseMemory(draft.input, withoutReusable(claim, draft), claim.memory, near);
  if (blocks !== undefined) return blocks;
  throw new PodwrightError(
    'E_LIMIT',
    '[memorymanager] failed to find NUMA nodes to extend the current topology hint',
    { detail: { lacking: 'memory' } },
  );
}

/** Free, or of init containers that have ended by then. */
function usableCpus(claim: Claim, draft: Draft): ReadonlySet<number> {
  return new Set([...freeCpus(draft.input, draft.assigned), ...reusableCpus(claim, draft)]);
}

type Reuse = Pick<Draft, 'claims' | 'assigned' | 'uid'>;

/** Init containers of the same pod that have ended when the claim's container begins, and whose part nobody else has taken on. */
function endedBefore(claim: Claim, { claims, assigned, uid }: Reuse): readonly string[] {
  const own = assigned.get(uid);
  const place = claims.findIndex(({ container }) => container === claim.container);
  const before = place < 0 ? [] : claims.slice(0, place);
  return before
    .filter(({ kind, container }) => kind === 'init' && own?.has(container))
    .map(({ container }) => container);
}

function reusableCpus(claim: Claim, reuse: Reuse): ReadonlySet<number> {
  const own = reuse.assigned.get(reuse.uid);
  const ended = new Set(endedBefore(claim, reuse));
  const cpus = new Set([...ended].flatMap((name) => own?.get(name)?.cpus ?? []));
  // Another that runs beside it may have them already.
  for (const [name, { cpus: held }] of own ?? [])
    if (!ended.has(name)) for (const id of held) cpus.delete(id);
  return cpus;
}

function withoutReusable(claim: Claim, reuse: Reuse): Assigned {
  const own = reuse.assigned.get(reuse.uid);
  if (own === undefined) return reuse.assigned;
  const ended = new Set(endedBefore(claim, reuse));
  const rest = new Map(
    [...own].map(([name, each]) => [name, ended.has(name) ? { ...each, memory: [] } : each]),
  );
  return new Map(reuse.assigned).set(reuse.uid, rest);
}

function withAssignment({ uid, assigned }: Draft, container: string, assignment: Assignment): Assigned {
  const pod = new Map(assigned.get(uid)).set(container, assignment);
  return new Map(assigned).set(uid, pod);
}
