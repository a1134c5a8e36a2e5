/** Which Services ask this cluster for a load balancer, and who shares one. */
import type { Service } from '#api/generated/objects.ts';

/** What a Service may name in spec.loadBalancerClass; one without a class is ours, too. */
export const loadBalancerClass = 'podwright/link';

/** One of another class is another's, and one that goes gets none any more. Pure. */
export function asksForLoadBalancer({ metadata, spec }: Service): boolean {
  const { type, loadBalancerClass: asked } = spec ?? {};
  return (
    type === 'LoadBalancer' &&
    (asked === undefined || asked === loadBalancerClass) &&
    metadata?.deletionTimestamp === undefined
  );
}

/** Annotations whose value is a word that Services with one address have in common: ours, and MetalLB's, as manifests have it. */
const sharingAnnotations = [
  'podwright/allow-shared-ip',
  'metallb.io/allow-shared-ip',
  'metallb.universe.tf/allow-shared-ip',
] as const;

/**
 * Why two Services may not have one address; undefined: they may. A packet must say by its port alone which is meant, and one holder must
 * lead it to a backend whichever it is. Pure.
 */
export function refuseSharing(a: Service, b: Service): string | undefined {
  const [word, other] = [sharingWord(a), sharingWord(b)];
  if (word === undefined || word !== other) return 'they have no sharing key in common';
  const taken = new Set(portsOf(b));
  const same = portsOf(a).find((port) => taken.has(port));
  if (same !== undefined) return `both have port ${same}`;
  const isLocal = (service: Service): boolean => service.spec?.externalTrafficPolicy === 'Local';
  if (isLocal(a) !== isLocal(b)) return 'only one has externalTrafficPolicy Local';
  if (isLocal(a) && selectorOf(a) !== selectorOf(b))
    return 'externalTrafficPolicy is Local, and they select other pods';
  return undefined;
}

function sharingWord({ metadata }: Service): string | undefined {
  const word = sharingAnnotations
    .map((name) => metadata?.annotations?.[name])
    .find((each) => each !== undefined);
  return word === '' ? undefined : word;
}

const portsOf = ({ spec }: Service): readonly string[] =>
  (spec?.ports ?? []).map(({ port, protocol = 'TCP' }) => `${port}/${protocol}`);

const selectorOf = ({ spec }: Service): string =>
  JSON.stringify(Object.entries(spec?.selector ?? {}).toSorted());
