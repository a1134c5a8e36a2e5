/** The fields of KubeletConfiguration about the cgroups of pods and of the system. Pure. */
import type { JsonObject } from '#api/meta/object.ts';
import { parseDurationMs } from '#api/meta/duration.ts';
import { isObject, stringOf } from '#api/wire/json.ts';
import { defaultCgroupRules, type CgroupRules } from '#agent/kubelet/render/cgroup-rules.ts';

/** Words of enforceNodeAllocatable. */
const enforcedParts = [
  'pods',
  'system-reserved',
  'kube-reserved',
  'system-reserved-compressible',
  'kube-reserved-compressible',
] as const;
export type EnforcedPart = (typeof enforcedParts)[number];

export interface NodeCgroupSettings {
  readonly enforced: ReadonlySet<EnforcedPart>;
  /** Below the mount of cgroup v2, `/system.slice`; undefined: none is named. */
  readonly kubeReserved: string | undefined;
  readonly systemReserved: string | undefined;
}

export const defaultNodeCgroups: NodeCgroupSettings = {
  enforced: new Set(['pods']),
  kubeReserved: undefined,
  systemReserved: undefined,
};

/** Adds what is wrong to `problems`. */
export function readCgroupRules(configuration: JsonObject, problems: string[]): CgroupRules {
  const swap = isObject(configuration['memorySwap'])
    ? stringOf(configuration['memorySwap']['swapBehavior'])
    : '';
  if (!['', 'NoSwap', 'LimitedSwap'].includes(swap))
    problems.push(`memorySwap.swapBehavior: ${swap} is neither NoSwap nor LimitedSwap`);
  const reservation = stringOf(configuration['memoryReservationPolicy']);
  if (!['', 'None', 'TieredReservation'].includes(reservation))
    problems.push(`memoryReservationPolicy: ${reservation} is neither None nor TieredReservation`);
  return {
    hasQuota: configuration['cpuCFSQuota'] !== false,
    periodUs: periodOf(configuration, problems),
    isSingleOomKill: configuration['singleProcessOOMKill'] === true,
    swap: swap === 'LimitedSwap' ? 'LimitedSwap' : 'NoSwap',
    throttlingFactor: throttlingOf(configuration, problems),
    isReserving: reservation === 'TieredReservation',
  };
}

/** From a millisecond to a second, which is what the kernel takes. */
function periodOf(configuration: JsonObject, problems: string[]): number {
  const text = stringOf(configuration['cpuCFSQuotaPeriod']);
  const us = text === '' ? 0 : parseDurationMs(text) * 1000;
  if (us === 0) return defaultCgroupRules.periodUs;
  if (us < 1000 || us > 1_000_000) problems.push(`cpuCFSQuotaPeriod: ${text} is not from 1ms to 1s`);
  return us;
}

const throttlingFactorDefault = 0.9;

/** memory.high is written where the factor is given, or by the gate of the kubelet that is for it. */
function throttlingOf(configuration: JsonObject, problems: string[]): number | undefined {
  const gates = configuration['featureGates'];
  const gate = isObject(gates) ? gates['MemoryQoS'] : undefined;
  const factor = configuration['memoryThrottlingFactor'];
  if (factor !== undefined && factor !== null && (typeof factor !== 'number' || factor <= 0 || factor > 1))
    problems.push('memoryThrottlingFactor: it is greater than 0, and 1 at most');
  if (gate === false) return undefined;
  return typeof factor === 'number' ? factor : gate === true ? throttlingFactorDefault : undefined;
}

/** Adds what is wrong to `problems`. */
export function readNodeCgroups(configuration: JsonObject, problems: string[]): NodeCgroupSettings {
  const given = configuration['enforceNodeAllocatable'];
  const words: readonly string[] = Array.isArray(given) ? given.map(String) : ['pods'];
  if (words.includes('none') && words.length > 1) problems.push('enforceNodeAllocatable: none stands alone');
  const enforced = new Set<EnforcedPart>();
  for (const word of words) {
    const part = enforcedParts.find((each) => each === word);
    if (part !== undefined) enforced.add(part);
    else if (word !== 'none')
      problems.push(`enforceNodeAllocatable: ${word} is none of none, ${enforcedParts.join(', ')}`);
  }
  const named = (field: string, who: 'kube' | 'system'): string | undefined => {
    const path = stringOf(configuration[field]);
    const isEnforced = enforced.has(`${who}-reserved`) || enforced.has(`${who}-reserved-compressible`);
    if (isEnforced && path === '')
      problems.push(`${field}: it is wanted where enforceNodeAllocatable has ${who}-reserved`);
    if (enforced.has(`${who}-reserved`) && enforced.has(`${who}-reserved-compressible`))
      problems.push(
        `enforceNodeAllocatable: ${who}-reserved and ${who}-reserved-compressible exclude each other`,
      );
    if (isEnforced && !isObject(configuration[`${who}Reserved`]))
      problems.push(`${who}Reserved: it is wanted where enforceNodeAllocatable has ${who}-reserved`);
    if (path.split('/').includes('..')) problems.push(`${field}: ${path} climbs out of the tree`);
    return path === '' ? undefined : path;
  };
  return {
    enforced,
    kubeReserved: named('kubeReservedCgroup', 'kube'),
    systemReserved: named('systemReservedCgroup', 'system'),
  };
}
