/**
 * What is said to extenders and by them (k8s.io/kube-scheduler extender/v1). Members have Go's names, as upstream sends them; of answers their case does not
 * matter, as upstream reads them. Pure.
 */
import type { Binding, Pod } from '#api/generated/objects.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { isObject, listOf } from '#api/wire/json.ts';
import { PodwrightError } from '#base/errors.ts';
import type { NodeInfo } from '#control-plane/scheduler/snapshot.ts';
import type { OutsiderAnswer, VictimsOn } from './outsider.ts';

/** Extenders say up to 10 where plugins say up to 100; one that says more counts more, as upstream lets it (MaxExtenderPriority). */
export const scoreFactor = 10;

/** ExtenderArgs: an extender that knows the nodes is told their names. */
export function renderNodes(pod: Pod, nodes: readonly NodeInfo[], isNodeCacheCapable: boolean): JsonObject {
  const names = nodes.map(({ name }) => name);
  const items = nodes.map(({ node }) => node);
  return {
    Pod: pod,
    Nodes: isNodeCacheCapable ? null : { metadata: {}, items },
    NodeNames: isNodeCacheCapable ? names : null,
  } as unknown as JsonObject; // Of objects that came as JSON.
}

/**
 * ExtenderFilterResult; names count only of one that was told names.
 * @throws {E_INVALID} when it says that it failed, or names a node that was not asked about
 */
export function parseFiltered(
  answer: unknown,
  asked: readonly NodeInfo[],
  isNodeCacheCapable: boolean,
): OutsiderAnswer {
  const member = membersOf(answer);
  throwIfFailed(member('error'));
  const nodes = member('nodes');
  const items = isObject(nodes) ? membersOf(nodes)('items') : undefined;
  const names = isNodeCacheCapable ? member('nodenames') : undefined;
  const given = Array.isArray(names)
    ? names.map(String)
    : listOf(items).map((item) =>
        isObject(item) && isObject(item['metadata']) ? String(item['metadata']['name']) : '',
      );
  const known = new Set(asked.map(({ name }) => name));
  const stranger = given.find((name) => !known.has(name));
  if (stranger !== undefined)
    throw invalid(
      `claims a filtered node ${JSON.stringify(stranger)} which is not found in the input node list`,
    );
  const reasons = (list: unknown, isHelpedByEviction: boolean) =>
    Object.entries(isObject(list) ? list : {}).map(
      ([name, reason]) => [name, { reason: String(reason), isHelpedByEviction }] as const,
    );
  return {
    passed: new Set(given),
    refused: new Map([
      ...reasons(member('failednodes'), true),
      ...reasons(member('failedandunresolvablenodes'), false),
    ]),
  };
}

/** HostPriorityList, as what is added to scores. @throws {E_INVALID} */
export function parsePriorities(answer: unknown, weight: number): ReadonlyMap<string, number> {
  if (!Array.isArray(answer)) throw invalid('the answer is no list of scores');
  return new Map(
    answer.map((item: unknown) => {
      const member = membersOf(item);
      const [host, score] = [member('host'), member('score')];
      if (typeof host !== 'string' || typeof score !== 'number')
        throw invalid('the answer is no list of scores');
      return [host, score * scoreFactor * weight] as const;
    }),
  );
}

/** ExtenderBindingArgs. */
export function renderBinding({ metadata, target }: Binding): JsonObject {
  return {
    PodName: metadata?.name ?? '',
    PodNamespace: metadata?.namespace ?? '',
    PodUID: metadata?.uid ?? '',
    Node: target.name ?? '',
  };
}

/** ExtenderBindingResult. @throws {E_INVALID} when it says that it failed */
export function parseBound(answer: unknown): void {
  throwIfFailed(membersOf(answer)('error'));
}

/** ExtenderPreemptionArgs. */
export function renderVictims(
  pod: Pod,
  candidates: readonly VictimsOn[],
  isNodeCacheCapable: boolean,
): JsonObject {
  const byNode = (podsOf: (victims: readonly Pod[]) => readonly unknown[]) =>
    Object.fromEntries(
      candidates.map(({ node, victims, violations }) => [
        node.name,
        { Pods: podsOf(victims), NumPDBViolations: violations },
      ]),
    );
  return {
    Pod: pod,
    NodeNameToVictims: isNodeCacheCapable ? null : byNode((victims) => victims),
    NodeNameToMetaVictims: isNodeCacheCapable
      ? byNode((victims) => victims.map(({ metadata }) => ({ UID: metadata?.uid ?? '' })))
      : null,
  } as unknown as JsonObject; // Of objects that came as JSON.
}

/**
 * ExtenderPreemptionResult. A node where nobody would go is left out if the extender is ignorable.
 * @throws {E_INVALID} when it names a node or pod that is not there, or else nobody of a node
 */
export function parseVictims(
  answer: unknown,
  candidates: readonly VictimsOn[],
  isIgnorable: boolean,
): readonly VictimsOn[] {
  const byNode = membersOf(answer)('nodenametometavictims');
  if (!isObject(byNode)) throw invalid('the answer has no NodeNameToMetaVictims');
  return Object.entries(byNode).flatMap(([name, value]) => {
    const candidate = candidates.find(({ node }) => node.name === name);
    if (candidate === undefined) throw invalid(`extender: node ${JSON.stringify(name)} was not asked about`);
    const member = membersOf(value);
    const listed = member('pods');
    const uids = listOf(listed).map((item) => membersOf(item)('uid'));
    const there = [...candidate.node.pods.values()];
    const victims = uids.map((uid) => {
      const found = there.find(({ metadata }) => metadata?.uid === uid);
      if (found === undefined) throw invalid(`pod ${JSON.stringify(uid)} is not found on node ${name}`);
      return found;
    });
    if (victims.length === 0 && !isIgnorable)
      throw invalid(`expected at least one victim pod on node ${JSON.stringify(name)}`);
    const violations = member('numpdbviolations');
    const found = {
      node: candidate.node,
      victims,
      violations: typeof violations === 'number' ? violations : 0,
    };
    return victims.length === 0 ? [] : [found];
  });
}

function membersOf(value: unknown): (lowerCase: string) => unknown {
  if (!isObject(value)) throw invalid('the answer is no JSON object');
  const members = new Map(Object.entries(value).map(([name, member]) => [name.toLowerCase(), member]));
  return (name) => members.get(name);
}

function throwIfFailed(error: unknown): void {
  if (typeof error === 'string' && error !== '') throw invalid(error);
}

function invalid(message: string): PodwrightError {
  return new PodwrightError('E_INVALID', message);
}
