/** What of a pod is given to its containers alone: whole CPUs and memory, of pods of class Guaranteed. Pure. */
import type { Container, Pod } from '#api/generated/objects.ts';
import { qosClass } from '#api/pod/qos.ts';
import { isSidecar, parseResources } from '#api/pod/requests.ts';
import { quantityToInteger, quantityToMilli } from '#api/meta/quantity.ts';

/** What a container asks for; none of it: it shares with others. */
export interface Claim {
  readonly container: string;
  readonly kind: 'init' | 'sidecar' | 'main';
  /** Whole CPUs. */
  readonly cpus: number;
  /** Bytes by resource. */
  readonly memory: ReadonlyMap<string, number>;
}

/** In the order of starting. A pod that asks for resources as a whole shares what it has among its containers (KEP-2837). */
export function claimsOf(
  pod: Pod,
  has: { readonly cpu: boolean; readonly memory: boolean },
): readonly Claim[] {
  const { spec } = pod;
  const isGiven = spec !== undefined && spec.resources === undefined && qosClass(pod) === 'Guaranteed';
  const claim = (container: Container, kind: Claim['kind']): Claim => ({
    container: container.name,
    kind,
    cpus: isGiven && has.cpu ? wholeCpus(container) : 0,
    memory: isGiven && has.memory ? memoryOf(container) : new Map(),
  });
  return [
    ...(spec?.initContainers ?? []).map((each) => claim(each, isSidecar(each) ? 'sidecar' : 'init')),
    ...(spec?.containers ?? []).map((each) => claim(each, 'main')),
  ];
}

function wholeCpus({ resources }: Container): number {
  const cpu = parseResources(resources?.requests ?? resources?.limits).get('cpu');
  const milli = cpu === undefined ? 0 : quantityToMilli(cpu);
  return milli % 1000 === 0 ? milli / 1000 : 0;
}

function memoryOf({ resources }: Container): ReadonlyMap<string, number> {
  const amounts = parseResources(resources?.requests ?? resources?.limits);
  return new Map(
    [...amounts]
      .filter(([name]) => name === 'memory' || name.startsWith('hugepages-'))
      .map(([name, quantity]) => [name, quantityToInteger(quantity)] as const)
      .filter(([, bytes]) => bytes > 0),
  );
}

/** What of some amount is used at once: init containers end before the others, sidecars do not. */
export function mostAtOnce(claims: readonly Claim[], amount: (claim: Claim) => number): number {
  let [together, highest] = [0, 0];
  for (const claim of claims) {
    if (claim.kind === 'init') highest = Math.max(highest, together + amount(claim));
    else together += amount(claim);
  }
  return Math.max(highest, together);
}

/** Of the pod as a whole. */
export function wholeClaim(claims: readonly Claim[]): Claim {
  const resources = new Set(claims.flatMap(({ memory }) => [...memory.keys()]));
  return {
    container: '',
    kind: 'main',
    cpus: mostAtOnce(claims, ({ cpus }) => cpus),
    memory: new Map(
      [...resources].map((name) => [name, mostAtOnce(claims, ({ memory }) => memory.get(name) ?? 0)]),
    ),
  };
}
