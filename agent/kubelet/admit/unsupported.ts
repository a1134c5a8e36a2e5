/** What this node cannot do for a pod, field by field. Nothing that is asked for is silently left out. Pure. */
import type { Container, EphemeralContainer, Pod, PodSpec } from '#api/generated/objects.ts';
import type { NodeFacts } from '#agent/kubelet/node-facts.ts';

type AnyContainer = Container | EphemeralContainer;
type NodeAbilities = Pick<NodeFacts, 'isSelinuxEnabled'>;

/** A field (`Type.field` of the API), and in whose words a pod asks for what is not there; undefined when it does not. */
export interface UnsupportedField<Holder> {
  readonly field: string;
  readonly find: (holder: Holder, spec: PodSpec, node: NodeAbilities) => string | undefined;
}

export const unsupportedInPods: readonly UnsupportedField<PodSpec>[] = [
  {
    field: 'PodSecurityContext.seLinuxOptions',
    find: ({ securityContext }, _spec, node) => selinux(securityContext, node),
  },
];

export const unsupportedInContainers: readonly UnsupportedField<AnyContainer>[] = [
  {
    field: 'SecurityContext.seLinuxOptions',
    find: ({ securityContext }, _spec, node) => selinux(securityContext, node),
  },
];

/** The first thing that the pod asks for and this node has not. Ephemeral containers come later, and are asked about one by one. */
export function unsupportedIn({ spec }: Pod, node: NodeAbilities): string | undefined {
  if (spec === undefined) return undefined;
  const ofPod = unsupportedInPods.map(({ find }) => find(spec, spec, node));
  const containers = [...(spec.initContainers ?? []), ...spec.containers];
  const ofContainers = containers.map((container) => unsupportedInContainer(container, spec, node));
  return [...ofPod, ...ofContainers].find((found) => found !== undefined);
}

export function unsupportedInContainer(
  container: AnyContainer,
  spec: PodSpec,
  node: NodeAbilities,
): string | undefined {
  return unsupportedInContainers
    .map(({ find }) => find(container, spec, node))
    .find((found) => found !== undefined);
}

type Context =
  | NonNullable<PodSpec['securityContext']>
  | NonNullable<Container['securityContext']>
  | undefined;

/** Labels mean nothing, to anybody, on a host without SELinux: container runtimes leave them out there. */
function selinux(context: Context, { isSelinuxEnabled }: NodeAbilities): string | undefined {
  return isSelinuxEnabled && context?.seLinuxOptions !== undefined ? 'seLinuxOptions' : undefined;
}
